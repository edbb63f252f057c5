//! How far one partition has been read, fetched and committed.

use std::collections::BTreeMap;
use std::time::Duration;

use dohle_protocol::messages::fetch::PartitionData;
use tokio::time::Instant;

use super::offsets::OffsetAndMetadata;
use super::{PartitionEnds, StartAt};
use crate::cluster_metadata::Broker;
use crate::retry::Backoff;

/// A follower nearby, to which the leader sends this consumer (KIP-392).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Follower {
    node: i32,
    /// Then the leader is asked again.
    until: Instant,
}

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
    follower: Option<Follower>,
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
            follower: None,
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

    pub(super) fn read_from_follower(&mut self, node: i32, max_age: Duration) {
        let until = Instant::now() + max_age;
        self.follower = Some(Follower { node, until });
    }

    /// The node to fetch from: the follower, as long as it is there and the time has not come to ask the leader again.
    pub(super) fn source(&self, leader: i32, brokers: &BTreeMap<i32, Broker>) -> i32 {
        let now = Instant::now();
        let usable = |follower: &Follower| follower.until > now && brokers.contains_key(&follower.node);
        self.follower.filter(usable).map_or(leader, |follower| follower.node)
    }

    /// The follower has failed; `false` if this node is none.
    pub(super) fn leave_follower(&mut self, node: i32) -> bool {
        self.follower.take_if(|follower| follower.node == node).is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_is_read_from_until_it_fails_or_its_time_is_over() {
        let broker = |id| Broker {
            id,
            host: "h".into(),
            port: 1,
            rack: None,
        };
        let brokers = BTreeMap::from([(1, broker(1)), (2, broker(2))]);
        let mut progress = Progress::new(StartAt::Earliest);
        assert_eq!(progress.source(1, &brokers), 1);
        progress.read_from_follower(2, Duration::from_secs(10));
        assert_eq!(progress.source(1, &brokers), 2);
        assert!(!progress.leave_follower(1), "the leader failed, not the follower");
        assert!(progress.leave_follower(2));
        assert_eq!(progress.source(1, &brokers), 1);
        progress.read_from_follower(3, Duration::from_secs(10));
        assert_eq!(progress.source(1, &brokers), 1, "it is not there");
        progress.read_from_follower(2, Duration::ZERO);
        assert_eq!(progress.source(1, &brokers), 1, "its time is over");
    }
}
