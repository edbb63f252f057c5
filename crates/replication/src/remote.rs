//! What a leader knows about one of its followers: from its fetches, and from nowhere else.

use dohle_protocol::id::{BrokerId, Offset};

use crate::follower_fetch::FollowerFetch;

#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) id: BrokerId,
    /// It keeps everything below; `None`: it has not fetched in this epoch.
    pub(crate) end: Option<Offset>,
    pub(crate) log_start: Offset,
    pub(crate) broker_epoch: i64,
    /// Whether the process that fetches is the one that the metadata know, and is there.
    pub(crate) is_eligible: bool,
    /// When it last had everything.
    caught_up_ms: Option<i64>,
    /// When it fetched last, and where the leader's log ended then.
    last_fetch: Option<(i64, Offset)>,
}

impl Remote {
    /// At the beginning of an epoch, a replica in sync has everything, as far as anybody knows.
    pub(crate) fn new(id: BrokerId, is_in_sync: bool, now_ms: i64) -> Remote {
        Remote {
            id,
            end: None,
            log_start: Offset::ZERO,
            broker_epoch: -1,
            is_eligible: false,
            caught_up_ms: is_in_sync.then_some(now_ms),
            last_fetch: None,
        }
    }

    pub(crate) fn on_fetch(&mut self, fetch: &FollowerFetch, leader_end: Offset, now_ms: i64) {
        if fetch.offset >= leader_end {
            self.caught_up_ms = Some(now_ms);
        } else if let Some((at_ms, end)) = self.last_fetch
            && fetch.offset >= end
        {
            // It has what there was when it fetched before, so it had everything at that time.
            self.caught_up_ms = self.caught_up_ms.max(Some(at_ms));
        }
        self.last_fetch = Some((now_ms, leader_end));
        self.end = Some(fetch.offset);
        self.log_start = fetch.log_start;
        self.broker_epoch = fetch.broker_epoch;
        self.is_eligible = self.is_active(fetch.active_epoch);
    }

    /// Whether the process that has fetched is the one that the metadata know under this epoch; `None`: they know none that is there.
    pub(crate) fn is_active(&self, active_epoch: Option<i64>) -> bool {
        active_epoch.is_some_and(|active| self.broker_epoch == -1 || self.broker_epoch == active)
    }

    pub(crate) fn is_caught_up(&self, leader_end: Offset, now_ms: i64, lag_ms_max: i64) -> bool {
        self.end == Some(leader_end) || self.caught_up_ms.is_some_and(|at_ms| now_ms - at_ms <= lag_ms_max)
    }

    pub(crate) fn caught_up_ms(&self) -> Option<i64> {
        self.caught_up_ms
    }
}
