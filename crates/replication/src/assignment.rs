//! What a partition is told from outside: by the metadata, by the configuration, by the log.

use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};

use crate::limits::REPLICA_LAG_TIME_MS_MAX;

/// What the committed metadata say about a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// [`BrokerId::NONE`]: nobody at the moment.
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    /// Counts the changes of the partition.
    pub partition_epoch: i32,
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
}

impl Assignment {
    /// A partition that has one replica, which leads.
    pub fn alone(leader: BrokerId, leader_epoch: LeaderEpoch) -> Assignment {
        Assignment {
            leader,
            leader_epoch,
            partition_epoch: leader_epoch.0,
            replicas: vec![leader],
            isr: vec![leader],
        }
    }
}

/// When a replica counts a record as kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once it is synced: nobody reads, and no producer is told of, a record that a power cut could take away.
    Synced,
    /// Once it is written, as Kafka does; the sync comes later.
    Written,
}

/// What is configured for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub durability: Durability,
    /// The same for a leader that is alone in sync: there is no second copy yet, or any more.
    pub durability_alone: Durability,
    /// Counts no more than there are replicas.
    pub min_insync_replicas: usize,
    pub replica_lag_time_ms_max: i64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            durability: Durability::Written,
            durability_alone: Durability::Written,
            min_insync_replicas: 1,
            replica_lag_time_ms_max: REPLICA_LAG_TIME_MS_MAX,
        }
    }
}

/// How far the log goes, and how much of it is known to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    pub written: Offset,
    pub synced: Offset,
}

impl LogEnd {
    /// Where what counts as kept ends.
    pub(crate) fn kept(self, durability: Durability) -> Offset {
        match durability {
            Durability::Synced => self.synced,
            Durability::Written => self.written,
        }
    }

    pub(crate) fn needs_sync(self, durability: Durability) -> bool {
        self.kept(durability) < self.written
    }
}

/// The end of a leader epoch in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch in the log that is no larger than the one that was asked for.
    pub epoch: LeaderEpoch,
    pub end_offset: Offset,
}
