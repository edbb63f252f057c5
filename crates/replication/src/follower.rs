//! A follower's half of a partition: where it reads on, where it cuts its log, and how far its consumers may read.

use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};

use crate::assignment::{EpochEnd, LogEnd, Rules};
use crate::follower_fetch::{FetchAnswer, FetchPosition, FetchToken, FollowerStep};
use crate::mutant::{Mutant, mutant_is};

#[derive(Debug)]
pub(crate) struct Follower {
    leader: BrokerId,
    leader_epoch: LeaderEpoch,
    rules: Rules,
    high_watermark: Offset,
    /// What the leader has told last.
    leader_high_watermark: Offset,
    log: LogEnd,
    in_flight: Option<FetchToken>,
    has_asked: bool,
}

impl Follower {
    pub(crate) fn new(leader: BrokerId, leader_epoch: LeaderEpoch, rules: Rules, high_watermark: Offset, log: LogEnd) -> Follower {
        Follower {
            leader,
            leader_epoch,
            rules,
            high_watermark: high_watermark.min(log.written),
            leader_high_watermark: Offset::ZERO,
            log,
            in_flight: None,
            has_asked: false,
        }
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    pub(crate) fn needs_sync(&self) -> bool {
        self.log.needs_sync(self.rules.durability)
    }

    /// Asking for more says that everything before is kept. So what counts only when it is synced is synced first.
    pub(crate) fn can_fetch(&self) -> bool {
        !self.needs_sync() || mutant_is(Mutant::UnsyncedFetch)
    }

    pub(crate) fn has_asked(&self) -> bool {
        self.has_asked
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_none()
    }

    /// Its answer is void from now on. Without a next one, the follower is idle, and asks as soon as it can.
    pub(crate) fn forget_fetch(&mut self) {
        self.in_flight = None;
    }

    pub(crate) fn next_fetch(&mut self, token: FetchToken, last_fetched_epoch: LeaderEpoch) -> FetchPosition {
        self.in_flight = Some(token);
        self.has_asked = true;
        FetchPosition {
            token,
            leader: self.leader,
            current_leader_epoch: self.leader_epoch,
            offset: self.log.written,
            last_fetched_epoch,
        }
    }

    pub(crate) fn on_fetch_answer(
        &mut self,
        token: FetchToken,
        answer: FetchAnswer,
        epoch_end: impl FnOnce(LeaderEpoch) -> Option<EpochEnd>,
    ) -> FollowerStep {
        if self.in_flight != Some(token) && !mutant_is(Mutant::StaleFetchAnswer) {
            return FollowerStep::Ignore;
        }
        self.in_flight = None;
        match answer {
            FetchAnswer::Records { high_watermark, log_start } => {
                self.leader_high_watermark = high_watermark;
                FollowerStep::Append { log_start }
            }
            // There is no such log.
            FetchAnswer::Diverging(theirs) if theirs.end_offset < Offset::ZERO => FollowerStep::BackOff,
            FetchAnswer::OutOfRange { log_start, log_end } if log_start < Offset::ZERO || log_end < log_start => FollowerStep::BackOff,
            FetchAnswer::Diverging(theirs) => FollowerStep::TruncateTo(self.parting(theirs, epoch_end(theirs.epoch))),
            FetchAnswer::OutOfRange { log_end, .. } if log_end < self.log.written => FollowerStep::TruncateTo(log_end),
            FetchAnswer::OutOfRange { log_start, .. } if log_start > self.log.written => {
                // What the leader has deleted was committed.
                self.high_watermark = log_start;
                FollowerStep::ResetTo(log_start)
            }
            FetchAnswer::OutOfRange { .. } | FetchAnswer::Failed => FollowerStep::BackOff,
        }
    }

    /// Where to cut, given where an epoch ends in the leader's log and in this one (KIP-279). The next fetch asks again.
    fn parting(&self, theirs: EpochEnd, ours: Option<EpochEnd>) -> Offset {
        let at = match ours {
            Some(ours) if ours.epoch == theirs.epoch => ours.end_offset.min(theirs.end_offset),
            Some(ours) => ours.end_offset,
            None => theirs.end_offset,
        };
        at.min(self.log.written)
    }

    /// The log was appended to or cut. True if consumers may read more.
    pub(crate) fn on_log(&mut self, log: LogEnd) -> bool {
        self.log = log;
        let before = self.high_watermark.min(log.written);
        self.high_watermark = before.max(self.leader_high_watermark.min(log.written));
        self.high_watermark > before
    }

    pub(crate) fn on_synced(&mut self, synced: Offset) {
        self.log.synced = self.log.synced.max(synced.min(self.log.written));
    }
}
