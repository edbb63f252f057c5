//! One partition at one moment: its bounds, and a way to read it without holding its lock.

use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_storage::ReadView;

#[derive(Debug)]
pub(crate) struct PartitionView {
    pub(crate) log: ReadView,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) log_start_offset: Offset,
    pub(crate) last_stable_offset: Offset,
    pub(crate) high_watermark: Offset,
    pub(crate) log_end_offset: Offset,
    /// False while the high watermark may lie below one that clients have seen.
    pub(crate) is_settled: bool,
}

/// Which records a reader wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    /// Of a follower: whatever is in the log.
    Everything,
}

impl Isolation {
    /// As Kafka does, any other number than 1 is taken for `read_uncommitted`.
    pub(crate) fn from_wire(level: i8) -> Isolation {
        if level == 1 {
            Isolation::ReadCommitted
        } else {
            Isolation::ReadUncommitted
        }
    }
}

impl PartitionView {
    /// A reader sees nothing from here on.
    pub(crate) fn upper_bound(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable_offset,
            Isolation::Everything => self.log_end_offset,
        }
    }
}
