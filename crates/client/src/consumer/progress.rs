//! How far one partition has been read, fetched and committed.

use dohle_protocol::messages::fetch::PartitionData;
use tokio::time::Instant;

use super::offsets::OffsetAndMetadata;
use super::{PartitionEnds, StartAt};
use crate::retry::Backoff;

pub(super) struct Progress {
    pub(super) start: StartAt,
    /// Next offset to hand to the application; `None` until the start is looked up.
    pub(super) position: Option<i64>,
    /// Leader epoch of the record before the position; -1: not known.
    pub(super) position_epoch: i32,
    /// Next offset to ask for.
    pub(super) next_fetch: Option<i64>,
    /// Answers not yet consumed.
    pub(super) fetched: usize,
    /// The number of the lookup that was started last.
    pub(super) lookup: Option<u64>,
    pub(super) paused: bool,
    /// What the group has committed, as far as this consumer knows.
    pub(super) committed: Option<i64>,
    pub(super) not_before: Option<Instant>,
    pub(super) failures: u32,
    pub(super) ends: Option<PartitionEnds>,
}

impl Progress {
    pub(super) fn new(start: StartAt) -> Progress {
        Progress {
            start,
            position: None,
            position_epoch: -1,
            next_fetch: None,
            fetched: 0,
            lookup: None,
            paused: false,
            committed: None,
            not_before: None,
            failures: 0,
            ends: None,
        }
    }

    /// Begins anew, elsewhere. What was fetched must be dropped by the caller.
    pub(super) fn restart(&mut self, start: StartAt) {
        *self = Progress {
            paused: self.paused,
            committed: self.committed,
            ends: self.ends,
            ..Progress::new(start)
        };
        if let StartAt::Offset(offset) = start {
            self.begin(offset);
        }
    }

    /// The start is found. Records that were fetched before a reset are still to be handed out.
    pub(super) fn begin(&mut self, offset: i64) {
        self.lookup = None;
        self.next_fetch = Some(offset);
        if self.fetched == 0 {
            self.position = Some(offset);
        }
    }

    /// The offset to ask for, if anything is to be asked now.
    pub(super) fn to_fetch(&self) -> Option<i64> {
        self.next_fetch.filter(|_| self.not_before.is_none() && !self.paused)
    }

    pub(super) fn back_off(&mut self, backoff: &Backoff) {
        self.failures += 1;
        self.not_before = Some(Instant::now() + backoff.after(self.failures));
    }

    pub(super) fn note_ends(&mut self, data: &PartitionData) {
        self.failures = 0;
        self.ends = Some(PartitionEnds {
            log_start: data.log_start_offset,
            high_watermark: data.high_watermark,
            last_stable: data.last_stable_offset,
        });
    }

    /// What there is to commit.
    pub(super) fn to_commit(&self) -> Option<OffsetAndMetadata> {
        let offset = self.position.filter(|position| self.committed != Some(*position))?;
        Some(OffsetAndMetadata {
            offset,
            leader_epoch: self.position_epoch,
            metadata: String::new(),
        })
    }
}
