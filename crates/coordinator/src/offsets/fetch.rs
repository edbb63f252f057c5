//! OffsetFetch: how far a group has read. Nothing committed is no error, and neither is a group that does not exist.

use dohle_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};

use crate::decision::ReplyToken;
use crate::hard::{CommittedOffset, HardGroup};
use crate::request::GroupResponse;
use crate::turn::Turn;

impl Turn<'_> {
    /// The member and its epoch (version 9) are of no concern to a classic group.
    pub(crate) fn fetch_offsets(&mut self, token: ReplyToken, request: OffsetFetchRequestGroup) {
        let group = self.hard.groups.get(&request.group_id);
        let topics = match request.topics {
            None => group.map(all_topics).unwrap_or_default(),
            Some(topics) => topics
                .into_iter()
                .map(|topic| {
                    let find = |index: &i32| partition(*index, group.and_then(|group| group.offset(&topic.name, *index)));
                    OffsetFetchResponseTopics {
                        partitions: topic.partition_indexes.iter().map(find).collect(),
                        name: topic.name,
                        topic_id: topic.topic_id,
                        ..Default::default()
                    }
                })
                .collect(),
        };
        let response = OffsetFetchResponseGroup {
            group_id: request.group_id,
            topics,
            ..Default::default()
        };
        self.reply(token, GroupResponse::FetchOffsets(response));
    }
}

fn all_topics(group: &HardGroup) -> Vec<OffsetFetchResponseTopics> {
    let topic = |(name, partitions): (&String, &std::collections::BTreeMap<i32, CommittedOffset>)| OffsetFetchResponseTopics {
        name: name.clone(),
        partitions: partitions
            .iter()
            .map(|(index, committed)| partition(*index, Some(committed)))
            .collect(),
        ..Default::default()
    };
    group.offsets.iter().map(topic).collect()
}

fn partition(index: i32, committed: Option<&CommittedOffset>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: committed.map_or(-1, |committed| committed.offset),
        committed_leader_epoch: committed.map_or(-1, |committed| committed.leader_epoch),
        metadata: Some(committed.map_or_else(String::new, |committed| committed.metadata.to_string())),
        ..Default::default()
    }
}
