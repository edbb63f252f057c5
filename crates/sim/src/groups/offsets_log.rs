//! `__consumer_offsets`, one partition of it: what is written is committed later, or lost.

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_protocol::coordinator_records::GroupRecord;

use crate::random::Random;

/// A record as it lies in the log: a key, and a value or none.
type Written = (Bytes, Option<Bytes>);

#[derive(Debug, Default)]
pub(super) struct OffsetsLog {
    records: Vec<Written>,
    /// Where each batch ends: a batch is there as a whole, or not at all.
    batch_ends: Vec<usize>,
    committed: usize,
}

impl OffsetsLog {
    /// What a reader of the log will see.
    pub(super) fn append(&mut self, batch: &[GroupRecord]) -> Vec<GroupRecord> {
        self.records.extend(batch.iter().map(GroupRecord::encode));
        self.batch_ends.push(self.end());
        read(&self.records[self.end() - batch.len()..]).collect()
    }

    pub(super) fn end(&self) -> usize {
        self.records.len()
    }

    pub(super) fn committed(&self) -> usize {
        self.committed
    }

    pub(super) fn commit(&mut self, end: usize) {
        self.committed = self.committed.max(end);
    }

    /// The leader is lost, and with it some of what was not committed.
    pub(super) fn lose_tail(&mut self, random: &mut Random) {
        let first_uncommitted = self.batch_ends.partition_point(|end| *end <= self.committed);
        let kept = first_uncommitted + random.below(self.batch_ends.len() - first_uncommitted + 1);
        self.batch_ends.truncate(kept);
        self.records.truncate(self.batch_ends.last().copied().unwrap_or(0));
    }

    pub(super) fn read(&self) -> impl Iterator<Item = GroupRecord> {
        read(&self.records)
    }

    /// What the cleaner leaves when all tombstones have had their time: the last value of each key, in the order of the log.
    pub(super) fn read_compacted(&self) -> impl Iterator<Item = GroupRecord> {
        let last: BTreeMap<&Bytes, usize> = self.records.iter().enumerate().map(|(at, (key, _))| (key, at)).collect();
        let is_left = move |at: usize, written: &Written| last[&written.0] == at && written.1.is_some();
        let left = self.records.iter().enumerate().filter(move |(at, written)| is_left(*at, written));
        left.map(|(_, written)| decode(written))
    }
}

fn read(records: &[Written]) -> impl Iterator<Item = GroupRecord> {
    records.iter().map(decode)
}

fn decode((key, value): &Written) -> GroupRecord {
    let record = GroupRecord::decode(key.clone(), value.clone());
    record
        .expect("what was encoded can be decoded")
        .expect("only records of groups are written")
}
