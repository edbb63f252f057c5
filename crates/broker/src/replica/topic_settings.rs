//! What a topic's configuration means for its partitions on this broker.

use std::sync::Arc;
use std::time::Duration;

use dohle_replication::{Durability, Rules};
use dohle_storage::LogConfig;

/// When appended records are synced, and what their acknowledgement means (`flush.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlushPolicy {
    /// Before they are acknowledged or read.
    Commit,
    /// This long after the first of them was written, or when there are this many; nobody waits for it.
    Interval { after: Duration, records_max: i64 },
    /// When the operating system thinks it time, when a segment is closed, and at a clean shutdown.
    Os,
}

impl FlushPolicy {
    pub(crate) fn durability(self) -> Durability {
        match self {
            FlushPolicy::Commit => Durability::Synced,
            FlushPolicy::Interval { .. } | FlushPolicy::Os => Durability::Written,
        }
    }
}

/// Shared by the partitions of a topic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicSettings {
    pub(crate) log: Arc<LogConfig>,
    pub(crate) replication: ReplicationSettings,
}

/// What a record has to have come through before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplicationSettings {
    /// Of a partition that has one replica, or one in sync.
    pub(crate) flush_alone: FlushPolicy,
    /// Of one that has more. Unless somebody has asked for a sync, the other replicas do instead of it, as in Kafka.
    pub(crate) flush_replicated: FlushPolicy,
    pub(crate) min_insync_replicas: usize,
    pub(crate) replica_lag_time_ms_max: i64,
}

impl ReplicationSettings {
    pub(crate) fn flush(&self, in_sync: usize) -> FlushPolicy {
        if in_sync > 1 { self.flush_replicated } else { self.flush_alone }
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            durability: self.flush_replicated.durability(),
            durability_alone: self.flush_alone.durability(),
            min_insync_replicas: self.min_insync_replicas,
            replica_lag_time_ms_max: self.replica_lag_time_ms_max,
        }
    }
}

impl From<FlushPolicy> for ReplicationSettings {
    /// The same policy for any number of replicas, and otherwise the defaults.
    fn from(flush: FlushPolicy) -> ReplicationSettings {
        let rules = Rules::default();
        ReplicationSettings {
            flush_alone: flush,
            flush_replicated: flush,
            min_insync_replicas: rules.min_insync_replicas,
            replica_lag_time_ms_max: rules.replica_lag_time_ms_max,
        }
    }
}
