//! OffsetDelete, and what follows when topics or whole groups are deleted.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::GroupRecord;
use dohle_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use crate::decision::ReplyToken;
use crate::group::{Group, GroupState};
use crate::hard::CommittedOffset;
use crate::request::GroupResponse;
use crate::turn::Turn;

impl Turn<'_> {
    pub(crate) fn delete_offsets(&mut self, token: ReplyToken, request: &OffsetDeleteRequest) {
        let response = self.try_delete_offsets(request).unwrap_or_else(|error| OffsetDeleteResponse {
            error_code: error.code(),
            ..Default::default()
        });
        self.reply(token, GroupResponse::DeleteOffsets(response));
    }

    fn try_delete_offsets(&mut self, request: &OffsetDeleteRequest) -> Result<OffsetDeleteResponse, ErrorCode> {
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let group = self.take(&request.group_id).ok_or(ErrorCode::GroupIdNotFound)?;
        let result = if group.state != GroupState::Empty && !group.is_of_consumers() {
            Err(ErrorCode::NonEmptyGroup)
        } else {
            let mut response = OffsetDeleteResponse::default();
            for topic in &request.topics {
                response.topics.push(self.delete_in_topic(&group, topic));
            }
            Ok(response)
        };
        self.put_unchanged(group);
        result
    }

    fn delete_in_topic(&mut self, group: &Group, topic: &OffsetDeleteRequestTopic) -> OffsetDeleteResponseTopic {
        let error = if group.may_be_subscribed(&topic.name) {
            ErrorCode::GroupSubscribedToTopic
        } else {
            ErrorCode::None
        };
        let mut answers: Vec<OffsetDeleteResponsePartition> = Vec::with_capacity(topic.partitions.len());
        let mut seen = BTreeSet::new();
        for partition_index in topic.partitions.iter().map(|partition| partition.partition_index) {
            let hard = self.hard.groups.get(&group.id);
            let exists = hard.and_then(|hard| hard.offset(&topic.name, partition_index)).is_some();
            if error == ErrorCode::None && exists && seen.insert(partition_index) {
                self.record(tombstone(&group.id, &topic.name, partition_index));
            }
            answers.push(OffsetDeleteResponsePartition {
                partition_index,
                error_code: error.code(),
            });
        }
        OffsetDeleteResponseTopic {
            name: topic.name.clone(),
            partitions: answers,
        }
    }

    /// The topics are gone, and what was read of them.
    pub(crate) fn on_topics_deleted(&mut self, topics: &[&str]) {
        let hard = self.hard;
        for (id, group) in &hard.groups {
            for topic in topics {
                if let Some(partitions) = group.offsets.get(*topic) {
                    self.delete_partitions(id, topic, partitions);
                }
            }
        }
    }

    pub(crate) fn delete_all_offsets(&mut self, group_id: &str) {
        let hard = self.hard;
        for (topic, partitions) in hard.groups.get(group_id).iter().flat_map(|group| &group.offsets) {
            self.delete_partitions(group_id, topic, partitions);
        }
    }

    fn delete_partitions(&mut self, group_id: &str, topic: &str, partitions: &BTreeMap<i32, CommittedOffset>) {
        for index in partitions.keys() {
            self.record(tombstone(group_id, topic, *index));
        }
    }
}

pub(super) fn tombstone(group: &str, topic: &str, partition: i32) -> GroupRecord {
    GroupRecord::OffsetCommit {
        group: group.to_owned(),
        topic: topic.to_owned(),
        partition,
        value: None,
    }
}
