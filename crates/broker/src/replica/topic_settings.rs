//! What a topic's configuration means for its partitions on this broker.

use std::sync::Arc;
use std::time::Duration;

use dohle_replication::Durability;
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
    pub(crate) flush: FlushPolicy,
}
