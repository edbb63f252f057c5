//! Hard state: what the log says, and nothing else. It changes only by replay, so replay after a crash gives the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_protocol::coordinator_records::{GroupMetadataValue, GroupRecord, OffsetCommitValue};

/// How far a group has read a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    /// -1: unknown.
    pub leader_epoch: i32,
    pub metadata: Box<str>,
    pub commit_timestamp_ms: i64,
    /// -1: it expires as the configuration says.
    pub expire_timestamp_ms: i64,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct HardGroup {
    /// None: a simple group, which only has offsets.
    pub(crate) metadata: Option<GroupMetadataValue>,
    pub(crate) offsets: BTreeMap<String, BTreeMap<i32, CommittedOffset>>,
}

#[derive(Debug, Default)]
pub(crate) struct Hard {
    /// A simple group stays when its last offset is deleted, as it does in Kafka, until the sweep finds it.
    pub(crate) groups: BTreeMap<String, HardGroup>,
    pub(crate) offset_count: usize,
}

impl HardGroup {
    /// None for a simple group, and for one that no member has joined yet.
    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.metadata
            .as_ref()
            .map(|metadata| metadata.protocol_type.as_str())
            .filter(|name| !name.is_empty())
    }

    pub(crate) fn offset(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.offsets.get(topic)?.get(&partition)
    }

    pub(crate) fn is_in_log(&self) -> bool {
        self.metadata.is_some() || !self.offsets.is_empty()
    }
}

impl Hard {
    pub(crate) fn replay(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::GroupMetadata { group, value: Some(value) } => {
                self.groups.entry(group.clone()).or_default().metadata = Some(compact(value));
            }
            GroupRecord::GroupMetadata { group, value: None } => self.forget_group(group),
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value: Some(value),
            } => self.put_offset(group, topic, *partition, value),
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value: None,
            } => self.forget_offset(group, topic, *partition),
        }
    }

    fn forget_group(&mut self, id: &str) {
        let Some(group) = self.groups.get_mut(id) else { return };
        group.metadata = None;
        if group.offsets.is_empty() {
            self.groups.remove(id);
        }
    }

    fn put_offset(&mut self, group: &str, topic: &str, partition: i32, value: &OffsetCommitValue) {
        let committed = CommittedOffset {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.as_str().into(),
            commit_timestamp_ms: value.commit_timestamp,
            expire_timestamp_ms: value.expire_timestamp,
        };
        let topics = &mut self.groups.entry(group.to_owned()).or_default().offsets;
        let partitions = topics.entry(topic.to_owned()).or_default();
        if partitions.insert(partition, committed).is_none() {
            self.offset_count += 1;
        }
    }

    fn forget_offset(&mut self, group: &str, topic: &str, partition: i32) {
        let Some(group) = self.groups.get_mut(group) else { return };
        let Some(partitions) = group.offsets.get_mut(topic) else { return };
        if partitions.remove(&partition).is_some() {
            self.offset_count -= 1;
        }
        if partitions.is_empty() {
            group.offsets.remove(topic);
        }
    }
}

/// The bytes may be a small part of a large buffer, which they would keep in memory.
fn compact(value: &GroupMetadataValue) -> GroupMetadataValue {
    let mut value = value.clone();
    for member in &mut value.members {
        member.subscription = Bytes::copy_from_slice(&member.subscription);
        member.assignment = Bytes::copy_from_slice(&member.assignment);
    }
    value
}
