//! A log in memory that behaves like the one on the disk: offsets, epochs, what is synced, which batches of a producer it holds.

use std::collections::BTreeMap;

use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_replication::{EpochEnd, LogEnd};
use dohle_storage::epoch_cache::EpochCache;

/// A batch of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) epoch: i32,
    /// 0: of no producer that counts.
    pub(super) producer: u16,
    pub(super) sequence: u32,
    pub(super) value: u32,
}

/// Sequences and offsets of the last batches of a producer.
type Window = Vec<(u32, i64)>;

/// Batches of a producer that can be told from new ones.
const WINDOW_BATCHES: usize = 5;

#[derive(Debug, Clone, Default)]
pub(super) struct ModelLog {
    base: i64,
    records: Vec<Record>,
    synced: i64,
    pub(super) epochs: EpochCache,
    pub(super) producers: BTreeMap<u16, Window>,
    /// As of the last checkpoint.
    pub(super) high_watermark: i64,
    /// Everything below is known to be what is committed.
    pub(super) verified: i64,
    /// Counts the times that it was cut: a sync that began before says nothing.
    pub(super) cuts: u32,
}

/// What a batch is to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    Next,
    DuplicateOf(i64),
    OutOfOrder,
}

impl ModelLog {
    pub(super) fn start(&self) -> i64 {
        self.base
    }

    pub(super) fn end(&self) -> i64 {
        self.base + self.records.len() as i64
    }

    pub(super) fn synced(&self) -> i64 {
        self.synced
    }

    pub(super) fn bounds(&self) -> LogEnd {
        LogEnd {
            written: Offset(self.end()),
            synced: Offset(self.synced),
        }
    }

    pub(super) fn at(&self, offset: i64) -> Option<&Record> {
        self.records.get(usize::try_from(offset - self.base).ok()?)
    }

    pub(super) fn read(&self, offset: i64, count_max: usize) -> &[Record] {
        let from = ((offset - self.base) as usize).min(self.records.len());
        let to = (from + count_max).min(self.records.len());
        &self.records[from..to]
    }

    pub(super) fn last_epoch(&self) -> LeaderEpoch {
        self.epochs.latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch)
    }

    pub(super) fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        end_of(&self.epochs, epoch, self.end())
    }

    /// As the leader of an epoch sees it, which begins when its leader does.
    pub(super) fn epoch_end_as_leader(&self, leader_epoch: LeaderEpoch, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let mut epochs = self.epochs.clone();
        epochs.assign(leader_epoch, Offset(self.end()));
        end_of(&epochs, epoch, self.end())
    }

    pub(super) fn sequence(&self, producer: u16, sequence: u32) -> Sequence {
        let Some(window) = self.producers.get(&producer) else {
            return Sequence::Next;
        };
        match window.iter().find(|(other, _)| *other == sequence) {
            Some((_, offset)) => Sequence::DuplicateOf(*offset),
            None if window.last().is_some_and(|(last, _)| last + 1 == sequence) => Sequence::Next,
            None => Sequence::OutOfOrder,
        }
    }

    pub(super) fn append(&mut self, record: Record, learns: bool) {
        let offset = self.end();
        self.epochs.assign(LeaderEpoch(record.epoch), Offset(offset));
        self.records.push(record);
        if learns {
            note(&mut self.producers, record, offset);
        }
    }

    pub(super) fn sync_to(&mut self, offset: i64) {
        self.synced = self.synced.max(offset.min(self.end()));
    }

    pub(super) fn truncate(&mut self, to: i64) {
        self.records.truncate((to - self.base).max(0) as usize);
        self.epochs.truncate_from_end(Offset(self.end()));
        self.synced = self.synced.min(self.end());
        self.verified = self.verified.min(self.end());
        self.producers = self.rebuilt();
        self.cuts += 1;
    }

    pub(super) fn reset(&mut self, to: i64) {
        *self = ModelLog {
            base: to,
            synced: to,
            verified: to,
            high_watermark: to,
            cuts: self.cuts + 1,
            ..ModelLog::default()
        };
    }

    pub(super) fn delete_before(&mut self, offset: i64) {
        if offset > self.base && offset <= self.end() {
            self.records.drain(..(offset - self.base) as usize);
            self.base = offset;
            self.synced = self.synced.max(offset);
            self.verified = self.verified.max(offset);
            self.epochs.truncate_from_start(Offset(offset));
        }
    }

    /// The producers as a scan of the log finds them.
    pub(super) fn rebuilt(&self) -> BTreeMap<u16, Window> {
        let mut producers = BTreeMap::new();
        for (index, record) in self.records.iter().enumerate() {
            note(&mut producers, *record, self.base + index as i64);
        }
        producers
    }

    /// The first offset that has to stay so that no batch of a producer is forgotten altogether.
    pub(super) fn first_needed(&self) -> i64 {
        let latest = self.producers.values().filter_map(|window| window.last());
        latest.map(|(_, offset)| *offset).min().unwrap_or(self.base)
    }
}

fn end_of(epochs: &EpochCache, epoch: LeaderEpoch, log_end: i64) -> Option<EpochEnd> {
    let end = epochs.end_offset_for(epoch, Offset(log_end));
    (end.end_offset.0 >= 0).then_some(EpochEnd {
        epoch: end.epoch,
        end_offset: end.end_offset,
    })
}

fn note(producers: &mut BTreeMap<u16, Window>, record: Record, offset: i64) {
    if record.producer == 0 {
        return;
    }
    let window = producers.entry(record.producer).or_default();
    if window.len() == WINDOW_BATCHES {
        window.remove(0);
    }
    window.push((record.sequence, offset));
}
