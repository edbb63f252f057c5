//! The leader's half of a partition: how far records may be read and are acknowledged.

use std::collections::VecDeque;

use dohle_protocol::id::Offset;

use crate::acks::Acks;
use crate::limits::UNSYNCED_APPENDS_MAX;

/// When this replica counts a record as kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once it is synced: nobody reads, and no producer is told of, a record that a power cut could take away.
    Synced,
    /// Once it is written, as Kafka does; the sync comes later.
    Written,
}

/// A partition of one replica while that replica leads. The high watermark is what this replica counts as kept, and never moves back.
#[derive(Debug)]
pub struct Leader {
    durability: Durability,
    high_watermark: Offset,
    /// Where the log ended when this replica became leader.
    epoch_start: Offset,
    log_end: Offset,
    synced: Offset,
    /// End offset and size of each append above the high watermark, so that a sync knows how many bytes it made readable.
    unsynced: VecDeque<(Offset, u64)>,
}

impl Leader {
    pub(crate) fn new(durability: Durability, high_watermark: Offset, log_end: Offset, synced: Offset) -> Leader {
        let mut leader = Leader {
            durability,
            high_watermark,
            epoch_start: log_end,
            log_end,
            synced,
            unsynced: VecDeque::new(),
        };
        leader.advance();
        leader
    }

    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Whether everything is readable that was in the log when this replica became leader. Until then the end of the log is not known to
    /// be where the last leader told it to be.
    pub fn is_settled(&self) -> bool {
        self.high_watermark >= self.epoch_start
    }

    /// How far a `read_committed` reader may go, given where the first open transaction began.
    pub fn last_stable_offset(&self, first_unstable: Option<Offset>) -> Offset {
        first_unstable.map_or(self.high_watermark, |offset| offset.min(self.high_watermark))
    }

    pub fn durability(&self) -> Durability {
        self.durability
    }

    pub(crate) fn needs_sync(&self) -> bool {
        self.durability == Durability::Synced && self.synced < self.log_end
    }

    /// Whether a producer with `acks` has its answer now, given where its records end.
    ///
    /// Under [`Durability::Synced`] `acks=1` waits too: "the leader has it" means that the leader would still have it after a power cut.
    pub(crate) fn is_acknowledged(&self, acks: Acks, end: Offset) -> bool {
        match (acks, self.durability) {
            (Acks::None, _) | (Acks::Leader, Durability::Written) => true,
            (Acks::Leader, Durability::Synced) | (Acks::All, _) => self.high_watermark >= end,
        }
    }

    /// Records up to `log_end` are in the log. Returns the bytes that became readable.
    pub(crate) fn on_append(&mut self, log_end: Offset, bytes: u64) -> Option<u64> {
        assert!(
            log_end >= self.log_end,
            "a leader's log only grows: {log_end} after {}",
            self.log_end
        );
        self.log_end = log_end;
        let is_full = self.unsynced.len() >= UNSYNCED_APPENDS_MAX;
        match self.unsynced.back_mut() {
            Some(last) if is_full => *last = (log_end, last.1 + bytes),
            _ => self.unsynced.push_back((log_end, bytes)),
        }
        self.advance()
    }

    /// Records below `synced` are on the disk. Returns the bytes that became readable.
    pub(crate) fn on_synced(&mut self, synced: Offset) -> Option<u64> {
        self.synced = self.synced.max(synced.min(self.log_end));
        self.advance()
    }

    pub(crate) fn set_durability(&mut self, durability: Durability) -> Option<u64> {
        self.durability = durability;
        self.advance()
    }

    fn advance(&mut self) -> Option<u64> {
        let kept = match self.durability {
            Durability::Synced => self.synced,
            Durability::Written => self.log_end,
        };
        if kept <= self.high_watermark {
            return None;
        }
        self.high_watermark = kept;
        let count = self.unsynced.partition_point(|(end, _)| *end <= kept);
        let bytes = self.unsynced.drain(..count).map(|(_, bytes)| bytes).sum::<u64>();
        Some(bytes.max(1))
    }
}
