//! The leader's half of a partition: how far records may be read and are acknowledged, and who is in sync.

use std::collections::VecDeque;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};

use crate::acks::Acks;
use crate::assignment::{Assignment, Durability, EpochEnd, LogEnd, Rules};
use crate::follower_fetch::{FollowerAnswer, FollowerFetch};
use crate::in_sync::{InSync, InSyncReplica, IsrProposal, IsrState};
use crate::limits::UNREAD_APPENDS_MAX;
use crate::mutant::{Mutant, mutant_is};
use crate::remote::Remote;

/// A replica while it leads, in one epoch. The high watermark is the end of what all replicas keep that may be in sync, and never moves back.
#[derive(Debug)]
pub struct Leader {
    me: BrokerId,
    rules: Rules,
    high_watermark: Offset,
    /// Where the log ended when this replica became leader.
    epoch_start: Offset,
    log: LogEnd,
    in_sync: InSync,
    remotes: Vec<Remote>,
    /// End offset and size of each append above the high watermark, so that it is known how many bytes become readable.
    unread: VecDeque<(Offset, u64)>,
    /// The latest time that was told.
    now_ms: i64,
}

impl Leader {
    pub(crate) fn new(me: BrokerId, assignment: &Assignment, rules: Rules, high_watermark: Offset, log: LogEnd, now_ms: i64) -> Leader {
        let mut leader = Leader {
            me,
            rules,
            high_watermark: high_watermark.min(log.written),
            epoch_start: log.written,
            log,
            in_sync: InSync::new(assignment),
            remotes: Vec::new(),
            unread: VecDeque::new(),
            now_ms,
        };
        leader.set_replicas(assignment);
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

    /// When this leader itself counts a record as kept.
    pub fn durability(&self) -> Durability {
        if self.in_sync.committed().len() > 1 {
            self.rules.durability
        } else {
            self.rules.durability_alone
        }
    }

    /// As far as this leader knows.
    pub fn in_sync_replicas(&self) -> &[BrokerId] {
        self.in_sync.committed()
    }

    /// Whether the controller may take the replica for one in sync, by now.
    pub fn may_be_in_sync(&self, id: BrokerId) -> bool {
        self.in_sync.may_contain(id)
    }

    /// Whether so few replicas are in sync that nothing is committed.
    pub fn is_under_min_isr(&self) -> bool {
        let min = self.rules.min_insync_replicas.min(self.remotes.len() + 1);
        self.in_sync.committed().len() < min && !mutant_is(Mutant::CommitBelowMinIsr)
    }

    /// Whether records may be appended for a producer with `acks`.
    pub fn check_acks(&self, acks: Acks) -> Result<(), ErrorCode> {
        if acks == Acks::All && self.is_under_min_isr() {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        Ok(())
    }

    /// The replica near the consumer that is to be read from instead (KIP-392): of those in sync, the one with the most.
    pub fn preferred_read_replica(&self, offset: Offset, is_near: impl Fn(BrokerId) -> bool) -> Option<BrokerId> {
        if is_near(self.me) {
            return None;
        }
        let holds = |remote: &&Remote| remote.end.is_some_and(|end| end >= offset) && remote.log_start <= offset;
        let in_sync = self.remotes.iter().filter(|remote| self.in_sync.committed().contains(&remote.id));
        let near = in_sync.filter(|remote| is_near(remote.id)).filter(holds);
        near.max_by_key(|remote| (remote.end, remote.caught_up_ms()))
            .map(|remote| remote.id)
    }

    /// What no replica that is there holds any more, given where this log begins.
    pub fn low_watermark(&self, log_start: Offset, is_there: impl Fn(BrokerId) -> bool) -> Offset {
        let others = self.remotes.iter().filter(|remote| is_there(remote.id));
        others.map(|remote| remote.log_start).fold(log_start, Offset::min)
    }

    pub(crate) fn partition_epoch(&self) -> i32 {
        self.in_sync.partition_epoch()
    }

    pub(crate) fn log(&self) -> LogEnd {
        self.log
    }

    pub(crate) fn needs_sync(&self) -> bool {
        self.log.needs_sync(self.durability())
    }

    /// Where what this replica itself keeps ends.
    pub(crate) fn kept(&self) -> Offset {
        self.log.kept(self.durability())
    }

    /// Whether a producer with `acks` has its answer now, given where its records end.
    ///
    /// Under [`Durability::Synced`] `acks=1` waits too: "the leader has it" means that the leader would still have it after a power cut.
    pub(crate) fn is_acknowledged(&self, acks: Acks, end: Offset) -> bool {
        match acks {
            Acks::None => true,
            Acks::Leader => self.kept() >= end,
            Acks::All => self.high_watermark >= end || mutant_is(Mutant::AckOnAppend),
        }
    }

    /// The metadata have changed within the epoch. Returns the bytes that became readable.
    pub(crate) fn on_assignment(&mut self, assignment: &Assignment, now_ms: i64) -> Option<u64> {
        self.now_ms = self.now_ms.max(now_ms);
        let was_in_sync = self.in_sync.committed().to_vec();
        self.in_sync.commit(assignment.partition_epoch, &assignment.isr);
        self.set_replicas(assignment);
        // Whoever was taken out is not there, as far as the controller knows, and is not waited for until it fetches again.
        let is_out = |id: &BrokerId| was_in_sync.contains(id) && !assignment.isr.contains(id);
        for remote in self.remotes.iter_mut().filter(|remote| is_out(&remote.id)) {
            remote.is_eligible = false;
        }
        self.advance()
    }

    /// Records up to `log_end` are in the log. Returns the bytes that became readable.
    pub(crate) fn on_append(&mut self, log_end: Offset, bytes: u64) -> Option<u64> {
        let before = self.log.written;
        assert!(log_end >= before, "a leader's log only grows: {log_end} after {before}");
        self.log.written = log_end;
        let is_full = self.unread.len() >= UNREAD_APPENDS_MAX;
        match self.unread.back_mut() {
            Some(last) if is_full => *last = (log_end, last.1 + bytes),
            _ => self.unread.push_back((log_end, bytes)),
        }
        self.advance()
    }

    /// Records below `synced` are on the disk. Returns the bytes that became readable.
    pub(crate) fn on_synced(&mut self, synced: Offset) -> Option<u64> {
        self.log.synced = self.log.synced.max(synced.min(self.log.written));
        self.advance()
    }

    pub(crate) fn set_rules(&mut self, rules: Rules) -> Option<u64> {
        self.rules = rules;
        self.advance()
    }

    /// A follower asks for records, and says by that what it keeps.
    pub(crate) fn on_follower_fetch(
        &mut self,
        fetch: &FollowerFetch,
        log_start: Offset,
        epoch_end: impl FnOnce(LeaderEpoch) -> Option<EpochEnd>,
        now_ms: i64,
    ) -> Result<FollowerAnswer, ErrorCode> {
        self.now_ms = self.now_ms.max(now_ms);
        let leader_end = self.log.written;
        let names_epoch = !fetch.current_leader_epoch.is_none();
        let Some(remote) = self.remotes.iter_mut().find(|remote| remote.id == fetch.replica) else {
            // It may know of a later assignment than this leader does.
            return Err(if names_epoch {
                ErrorCode::UnknownLeaderEpoch
            } else {
                ErrorCode::NotLeaderOrFollower
            });
        };
        let latest = fetch.active_epoch.max(Some(remote.broker_epoch));
        if fetch.broker_epoch != -1 && latest > Some(fetch.broker_epoch) && !mutant_is(Mutant::StaleBrokerEpoch) {
            // There is a later process under this id, which may have less (KIP-903).
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if !fetch.last_fetched_epoch.is_none() && !mutant_is(Mutant::NoDivergence) {
            let end = epoch_end(fetch.last_fetched_epoch).ok_or(ErrorCode::OffsetOutOfRange)?;
            if end.epoch < fetch.last_fetched_epoch || end.end_offset < fetch.offset {
                return Ok(FollowerAnswer::Diverging(end));
            }
        }
        if fetch.offset < log_start || fetch.offset > leader_end {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        remote.on_fetch(fetch, leader_end, self.now_ms);
        Ok(FollowerAnswer::Read)
    }

    /// Proposes a follower that has caught up (KIP-320): it must have everything that is committed, which may be everything up to where
    /// this epoch began.
    pub(crate) fn expand(&mut self, id: BrokerId) -> Option<IsrProposal> {
        let remote = self.remotes.iter().find(|remote| remote.id == id)?;
        if self.in_sync.has_pending() || self.in_sync.committed().contains(&id) || !remote.is_eligible {
            return None;
        }
        let has_all = remote
            .end
            .is_some_and(|end| end >= self.high_watermark && (end >= self.epoch_start || mutant_is(Mutant::ExpandTooEarly)));
        let members: Vec<BrokerId> = self.in_sync.committed().iter().copied().chain([id]).collect();
        has_all.then(|| self.propose(&members))
    }

    /// What to send to the controller: an undecided proposal once more, or one without the followers that lag.
    pub(crate) fn on_tick(&mut self, now_ms: i64) -> Option<IsrProposal> {
        self.now_ms = self.now_ms.max(now_ms);
        if self.in_sync.has_pending() {
            return self.in_sync.on_tick(self.now_ms, self.rules.replica_lag_time_ms_max);
        }
        let lags = |id: BrokerId| {
            let remote = self.remotes.iter().find(|remote| remote.id == id);
            remote.is_some_and(|remote| !self.is_caught_up(remote))
        };
        let members: Vec<BrokerId> = self.in_sync.committed().iter().copied().filter(|id| !lags(*id)).collect();
        (members.len() < self.in_sync.committed().len()).then(|| self.propose(&members))
    }

    /// Whoever is not there (any more) is not waited for unless it is in sync. Returns the bytes that became readable.
    pub(crate) fn on_brokers(&mut self, active_epoch: impl Fn(BrokerId) -> Option<i64>) -> Option<u64> {
        for remote in &mut self.remotes {
            remote.is_eligible &= remote.is_active(active_epoch(remote.id));
        }
        self.advance()
    }

    pub(crate) fn on_isr_answer(&mut self, sent: &IsrProposal, answer: Result<IsrState, ErrorCode>) -> Option<u64> {
        if self.in_sync.on_answer(sent, answer) {
            self.advance()
        } else {
            None
        }
    }

    fn propose(&mut self, members: &[BrokerId]) -> IsrProposal {
        let epoch_of = |id: BrokerId| match self.remotes.iter().find(|remote| remote.id == id) {
            Some(remote) if !mutant_is(Mutant::StaleBrokerEpoch) => remote.broker_epoch,
            _ => -1,
        };
        let isr = members.iter().map(|id| InSyncReplica {
            id: *id,
            broker_epoch: epoch_of(*id),
        });
        let isr = isr.collect();
        self.in_sync.propose(isr, self.now_ms)
    }

    fn set_replicas(&mut self, assignment: &Assignment) {
        let others = assignment.replicas.iter().filter(|id| **id != self.me);
        let known = std::mem::take(&mut self.remotes);
        let mut known: Vec<Remote> = known
            .into_iter()
            .filter(|remote| assignment.replicas.contains(&remote.id))
            .collect();
        for id in others {
            if !known.iter().any(|remote| remote.id == *id) {
                known.push(Remote::new(*id, assignment.isr.contains(id), self.now_ms));
            }
        }
        self.remotes = known;
    }

    fn is_caught_up(&self, remote: &Remote) -> bool {
        remote.is_caught_up(self.log.written, self.now_ms, self.rules.replica_lag_time_ms_max)
    }

    /// Returns the bytes that became readable. Beside those in sync, followers count that are about to be, or they would never reach the
    /// high watermark of a busy partition.
    pub(crate) fn advance(&mut self) -> Option<u64> {
        if self.is_under_min_isr() {
            return None;
        }
        let mut kept = self.kept();
        for remote in &self.remotes {
            if self.in_sync.may_contain(remote.id) || remote.is_eligible && self.is_caught_up(remote) && !mutant_is(Mutant::NoMaximalIsr) {
                kept = kept.min(remote.end.unwrap_or(Offset::ZERO));
            }
        }
        if kept <= self.high_watermark {
            return None;
        }
        self.high_watermark = kept;
        let count = self.unread.partition_point(|(end, _)| *end <= kept);
        let bytes = self.unread.drain(..count).map(|(_, bytes)| bytes).sum::<u64>();
        Some(bytes.max(1))
    }
}
