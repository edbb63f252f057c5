//! What a follower asks of its leader, and what it is told.

use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};

use crate::assignment::EpochEnd;

/// A Fetch of a follower, about one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerFetch {
    pub replica: BrokerId,
    /// Of the process that asks; -1 if it does not say.
    pub broker_epoch: i64,
    /// The epoch under which the metadata know the broker as one that is there: not fenced, and not about to stop.
    pub active_epoch: Option<i64>,
    pub current_leader_epoch: LeaderEpoch,
    /// The follower keeps everything below.
    pub offset: Offset,
    /// The epoch of its last record; [`LeaderEpoch::NONE`] if it has none, or does not say.
    pub last_fetched_epoch: LeaderEpoch,
    pub log_start: Offset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowerAnswer {
    /// Send records from the offset of the fetch up to the end of the log.
    Read,
    /// The logs part: the follower has to cut its own (KIP-595).
    Diverging(EpochEnd),
}

/// Names a fetch, so that a late answer to an earlier one can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchToken(pub(crate) u64);

/// What a follower is to ask its leader next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPosition {
    pub token: FetchToken,
    pub leader: BrokerId,
    pub current_leader_epoch: LeaderEpoch,
    pub offset: Offset,
    pub last_fetched_epoch: LeaderEpoch,
}

/// What the leader has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchAnswer {
    /// Records, or none; they follow the offset of the fetch.
    Records {
        high_watermark: Offset,
        log_start: Offset,
    },
    Diverging(EpochEnd),
    /// The leader's log does not hold the offset of the fetch. These are its bounds.
    OutOfRange {
        log_start: Offset,
        log_end: Offset,
    },
    /// Another error, or none came back.
    Failed,
}

/// What a follower does about it. Whatever it does to its log, `Partition::on_followed` is told how far that goes then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a step that is not carried out leaves the follower behind"]
pub enum FollowerStep {
    /// Nothing: the answer belongs to an earlier fetch.
    Ignore,
    /// Append the records, if there are any, and drop what is below the leader's log start.
    Append { log_start: Offset },
    /// Cut off everything from here on.
    TruncateTo(Offset),
    /// Drop everything, and begin here.
    ResetTo(Offset),
    /// Wait a moment before the next fetch.
    BackOff,
}
