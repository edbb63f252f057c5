//! What the log says, read by the checkers' own eyes.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::coordinator_records::{GroupMetadataValue, GroupRecord, OffsetCommitValue};

#[derive(Debug, Default)]
pub(super) struct FactGroup {
    pub(super) generation: Option<GroupMetadataValue>,
    /// By topic and partition.
    pub(super) offsets: BTreeMap<(String, i32), OffsetCommitValue>,
}

impl FactGroup {
    fn lasts(&self) -> bool {
        self.generation.is_some() || !self.offsets.is_empty()
    }
}

/// The whole history of the log, as if it were never compacted, and what it comes to.
#[derive(Debug, Default)]
pub(super) struct Facts {
    history: Vec<GroupRecord>,
    /// A group that lost its last offset stays until it is forgotten.
    pub(super) groups: BTreeMap<String, FactGroup>,
    /// How often each group was forgotten: its generations begin anew then.
    lives: BTreeMap<String, u32>,
}

impl Facts {
    pub(super) fn append(&mut self, record: &GroupRecord) {
        self.history.push(record.clone());
        self.apply(record);
    }

    pub(super) fn lose_tail(&mut self, end: usize) {
        let mut history = std::mem::take(&mut self.history);
        history.truncate(end);
        *self = Facts::default();
        for record in &history {
            self.apply(record);
        }
        self.history = history;
    }

    pub(super) fn life(&self, group: &str) -> u32 {
        self.lives.get(group).copied().unwrap_or(0)
    }

    pub(super) fn generation(&self, group: &str) -> Option<&GroupMetadataValue> {
        self.groups.get(group)?.generation.as_ref()
    }

    pub(super) fn offset(&self, group: &str, topic: &str, partition: i32) -> Option<&OffsetCommitValue> {
        let offsets = &self.groups.get(group)?.offsets;
        offsets.get(&(topic.to_owned(), partition))
    }

    /// Those that a compacted log still shows.
    pub(super) fn lasting(&self) -> BTreeSet<&str> {
        let lasting = self.groups.iter().filter(|(_, group)| group.lasts());
        lasting.map(|(id, _)| id.as_str()).collect()
    }

    /// A compacted log does not show groups that have nothing any more.
    pub(super) fn forget_traces(&mut self) {
        self.groups.retain(|_, group| group.lasts());
    }

    fn apply(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::GroupMetadata { group, value: Some(value) } => {
                self.groups.entry(group.clone()).or_default().generation = Some(value.clone());
            }
            GroupRecord::GroupMetadata { group, value: None } => {
                *self.lives.entry(group.clone()).or_default() += 1;
                if let Some(known) = self.groups.get_mut(group) {
                    known.generation = None;
                    if known.offsets.is_empty() {
                        self.groups.remove(group);
                    }
                }
            }
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value: Some(value),
            } => {
                let offsets = &mut self.groups.entry(group.clone()).or_default().offsets;
                offsets.insert((topic.clone(), *partition), value.clone());
            }
            GroupRecord::OffsetCommit {
                group, topic, partition, ..
            } => {
                if let Some(known) = self.groups.get_mut(group) {
                    known.offsets.remove(&(topic.clone(), *partition));
                }
            }
        }
    }
}
