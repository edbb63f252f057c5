//! OffsetCommit: accepted from members of the present generation, and from anybody (generation -1) while the group is empty.

use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::{GroupRecord, OffsetCommitValue};
use dohle_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use crate::decision::ReplyToken;
use crate::group::{Group, GroupState};
use crate::limits;
use crate::mutant::{Mutant, mutant_is};
use crate::request::{Caller, GroupResponse};
use crate::turn::Turn;

/// From this version on a group that does not exist has an error of its own.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 9;

impl Turn<'_> {
    pub(crate) fn commit_offsets(&mut self, caller: &Caller, token: ReplyToken, request: OffsetCommitRequest) {
        let refused = self.may_commit(caller.api_version, &request).err();
        let response = self.commit_each(request, refused);
        self.reply(token, GroupResponse::CommitOffsets(response));
    }

    fn may_commit(&mut self, api_version: i16, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let Some(group) = self.take(&request.group_id) else {
            return match request.generation_id_or_member_epoch {
                ..0 if self.hard.groups.len() >= self.config.groups_max => Err(ErrorCode::PolicyViolation),
                ..0 => self.fits_in_a_batch(request),
                _ if api_version >= GROUP_ID_NOT_FOUND_SINCE => Err(ErrorCode::GroupIdNotFound),
                _ => Err(ErrorCode::IllegalGeneration),
            };
        };
        let result = check(&group, request).and_then(|()| self.fits_in_a_batch(request));
        if result.is_ok()
            && let Some(member) = group.members.get(&request.member_id)
        {
            self.extend_session(&group.id, member);
        }
        self.put_unchanged(group);
        result
    }

    fn fits_in_a_batch(&self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let mut bytes = 0;
        for topic in &request.topics {
            let key_bytes = request.group_id.len() + topic.name.len() + limits::OFFSET_RECORD_OVERHEAD_BYTES;
            let metadata_bytes = topic
                .partitions
                .iter()
                .map(|partition| self.accepted_metadata(partition).map_or(0, str::len));
            bytes += key_bytes * topic.partitions.len() + metadata_bytes.sum::<usize>();
        }
        if bytes <= self.config.record_bytes_max {
            Ok(())
        } else {
            Err(ErrorCode::InvalidCommitOffsetSize)
        }
    }

    fn commit_each(&mut self, request: OffsetCommitRequest, refused: Option<ErrorCode>) -> OffsetCommitResponse {
        let expire_timestamp_ms = match request.retention_time_ms {
            -1 => -1,
            retention_ms => self.now_ms.saturating_add(retention_ms),
        };
        let mut response = OffsetCommitResponse::default();
        let mut created = 0;
        for topic in request.topics {
            let mut answers = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let is_created = self.is_first_commit(&request.group_id, &topic.name, partition.partition_index);
                let is_full = is_created && self.hard.offset_count + created >= self.config.offsets_max;
                let error = match (refused, self.accepted_metadata(partition)) {
                    (Some(error), _) => error,
                    (None, None) => ErrorCode::OffsetMetadataTooLarge,
                    (None, Some(_)) if is_full => ErrorCode::InvalidCommitOffsetSize,
                    (None, Some(metadata)) => {
                        let value = self.value(partition, metadata, expire_timestamp_ms);
                        self.record(GroupRecord::OffsetCommit {
                            group: request.group_id.clone(),
                            topic: topic.name.clone(),
                            partition: partition.partition_index,
                            value: Some(value),
                        });
                        self.soft.counters.offset_commits += 1;
                        created += usize::from(is_created);
                        ErrorCode::None
                    }
                };
                answers.push(OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: error.code(),
                    ..Default::default()
                });
            }
            response.topics.push(OffsetCommitResponseTopic {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions: answers,
                ..Default::default()
            });
        }
        response
    }

    fn is_first_commit(&self, group: &str, topic: &str, partition: i32) -> bool {
        let group = self.hard.groups.get(group);
        group.and_then(|group| group.offset(topic, partition)).is_none()
    }

    fn value(&self, partition: &OffsetCommitRequestPartition, metadata: &str, expire_timestamp_ms: i64) -> OffsetCommitValue {
        OffsetCommitValue {
            offset: partition.committed_offset,
            // The only format that has an expiry of its own knows no epoch.
            leader_epoch: if expire_timestamp_ms == -1 {
                partition.committed_leader_epoch
            } else {
                -1
            },
            metadata: metadata.to_owned(),
            commit_timestamp: self.now_ms,
            expire_timestamp: expire_timestamp_ms,
            ..Default::default()
        }
    }

    /// None if it is too long.
    fn accepted_metadata<'a>(&self, partition: &'a OffsetCommitRequestPartition) -> Option<&'a str> {
        let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
        let max = self.config.offset_metadata_bytes_max;
        (metadata.len() <= max || metadata.encode_utf16().count() <= max).then_some(metadata)
    }
}

fn check(group: &Group, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
    let generation = request.generation_id_or_member_epoch;
    if generation < 0 && group.state == GroupState::Empty {
        return Ok(());
    }
    if generation < 0 && request.member_id.is_empty() && request.group_instance_id.is_none() {
        // No member, and the group has some.
        return Err(ErrorCode::UnknownMemberId);
    }
    group.check_member(&request.member_id, request.group_instance_id.as_deref())?;
    if generation != group.generation && !mutant_is(Mutant::StaleCommit) {
        return Err(ErrorCode::IllegalGeneration);
    }
    if group.state == GroupState::CompletingRebalance && !mutant_is(Mutant::CommitWhileCompleting) {
        // It knows the generation, and not yet what it owns in it.
        return Err(ErrorCode::RebalanceInProgress);
    }
    Ok(())
}
