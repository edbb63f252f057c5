//! One replica of a partition: its role, the checks that every request passes, and the replies that wait for it.

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};

use crate::acks::Acks;
use crate::assignment::{Assignment, EpochEnd, LogEnd, Rules};
use crate::effect::Effect;
use crate::follower::Follower;
use crate::follower_fetch::{FetchAnswer, FetchPosition, FetchToken, FollowerAnswer, FollowerFetch, FollowerStep};
use crate::in_sync::{IsrProposal, IsrState};
use crate::leader::Leader;
use crate::mutant::{Mutant, mutant_is};
use crate::waiters::{ByteWaiters, OffsetWaiters, ParkedFetch, Reader, WaitKey};

#[derive(Debug)]
enum Role {
    Leader(Leader),
    Follower(Follower),
    /// Nobody leads, or this replica is none any more.
    Bystander,
}

/// `P` identifies a parked Produce reply, `F` a parked Fetch.
#[derive(Debug)]
pub struct Partition<P, F> {
    me: BrokerId,
    rules: Rules,
    role: Role,
    leader: BrokerId,
    leader_epoch: LeaderEpoch,
    partition_epoch: i32,
    /// Of the time before the present role.
    high_watermark: Offset,
    next_token: u64,
    /// Replies that wait for the high watermark.
    produces: OffsetWaiters<P>,
    /// Replies that wait for this replica alone.
    own_produces: OffsetWaiters<P>,
    fetches: ByteWaiters<F>,
}

impl<P, F: ParkedFetch> Partition<P, F> {
    /// Without an assignment; every request is refused until there is one. The high watermark is the last one known to the disk, or 0.
    pub fn new(me: BrokerId, rules: Rules, high_watermark: Offset) -> Partition<P, F> {
        Partition {
            me,
            rules,
            role: Role::Bystander,
            leader: BrokerId::NONE,
            leader_epoch: LeaderEpoch::NONE,
            partition_epoch: -1,
            high_watermark,
            next_token: 0,
            produces: OffsetWaiters::new(),
            own_produces: OffsetWaiters::new(),
            fetches: ByteWaiters::new(),
        }
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Who leads, as far as this replica knows: a hint for whoever asks the wrong one (KIP-951).
    pub fn leader_id(&self) -> BrokerId {
        self.leader
    }

    /// Everything below is committed. More may be.
    pub fn high_watermark(&self) -> Offset {
        match &self.role {
            Role::Leader(leader) => leader.high_watermark(),
            Role::Follower(follower) => follower.high_watermark(),
            Role::Bystander => self.high_watermark,
        }
    }

    /// The leader of this partition, if it is this replica, and if the client does not live in another epoch.
    pub fn leader(&self, current_leader_epoch: LeaderEpoch) -> Result<&Leader, ErrorCode> {
        self.check_epoch(current_leader_epoch)?;
        match &self.role {
            Role::Leader(leader) => Ok(leader),
            Role::Follower(_) | Role::Bystander => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// How far a consumer may read here, from the leader or from a follower (KIP-392).
    pub fn readable_end(&self, current_leader_epoch: LeaderEpoch) -> Result<Offset, ErrorCode> {
        self.check_epoch(current_leader_epoch)?;
        match &self.role {
            Role::Leader(leader) if mutant_is(Mutant::ReadPastHighWatermark) => Ok(leader.log().written),
            Role::Leader(_) | Role::Follower(_) => Ok(self.high_watermark()),
            Role::Bystander => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    fn check_epoch(&self, current_leader_epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        if !current_leader_epoch.is_none() && current_leader_epoch < self.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if !current_leader_epoch.is_none() && current_leader_epoch > self.leader_epoch {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        Ok(())
    }

    /// The metadata have changed. An assignment of an older epoch than the present one is stale and changes nothing.
    pub fn on_assignment(&mut self, assignment: &Assignment, log: LogEnd, now_ms: i64) -> Vec<Effect<P, F>> {
        let known = match &self.role {
            Role::Leader(leader) => leader.partition_epoch(),
            Role::Follower(_) | Role::Bystander => self.partition_epoch,
        };
        let is_old = assignment.leader_epoch == self.leader_epoch && assignment.partition_epoch <= known;
        if assignment.leader_epoch < self.leader_epoch || is_old {
            return Vec::new();
        }
        let is_new_epoch = assignment.leader_epoch > self.leader_epoch;
        self.partition_epoch = assignment.partition_epoch;
        self.leader_epoch = assignment.leader_epoch;
        self.leader = assignment.leader;
        let mut effects = Vec::new();
        match &mut self.role {
            Role::Leader(leader) if !is_new_epoch => {
                let readable = leader.on_assignment(assignment, now_ms);
                self.on_in_sync(readable, &mut effects);
            }
            Role::Follower(_) if !is_new_epoch => {}
            _ => self.begin_epoch(assignment, log, now_ms, &mut effects),
        }
        self.dismiss_if_under_min_isr(&mut effects);
        effects
    }

    fn begin_epoch(&mut self, assignment: &Assignment, log: LogEnd, now_ms: i64, effects: &mut Vec<Effect<P, F>>) {
        self.high_watermark = self.high_watermark();
        if assignment.leader == self.me {
            let leader = Leader::new(self.me, assignment, self.rules, self.high_watermark, log, now_ms);
            self.role = Role::Leader(leader);
            effects.extend(self.sync_if_needed());
            // Of a leader that goes on in a new epoch.
            self.acknowledge(effects);
            return;
        }
        let is_follower = !assignment.leader.is_none() && assignment.replicas.contains(&self.me);
        self.role = if is_follower {
            let follower = Follower::new(assignment.leader, assignment.leader_epoch, self.rules, self.high_watermark, log);
            Role::Follower(follower)
        } else {
            Role::Bystander
        };
        effects.extend(self.dismiss(ErrorCode::NotLeaderOrFollower));
        effects.extend(self.sync_if_needed());
        effects.extend(self.fetch_if_idle());
    }

    /// Records were appended by a producer; the log ends at `log_end` now.
    pub fn on_append(&mut self, log_end: Offset, bytes: u64) -> Vec<Effect<P, F>> {
        let readable = self.leading().on_append(log_end, bytes);
        let mut effects = self.sync_if_needed();
        let followers = self.fetches.take_satisfied(Reader::Follower, bytes);
        effects.extend(followers.map(|parked| Effect::WakeFetch { parked }));
        self.on_readable(readable, &mut effects);
        effects
    }

    /// Everything below `synced` is on the disk.
    pub fn on_synced(&mut self, synced: Offset) -> Vec<Effect<P, F>> {
        let mut effects = Vec::new();
        match &mut self.role {
            Role::Leader(leader) => {
                let readable = leader.on_synced(synced);
                self.on_readable(readable, &mut effects);
                self.acknowledge(&mut effects);
            }
            Role::Follower(follower) => {
                follower.on_synced(synced);
                effects = self.fetch_if_idle();
            }
            Role::Bystander => {}
        }
        effects
    }

    /// The configuration was changed. Towards less durability, what waited for a sync waits no longer.
    pub fn set_rules(&mut self, rules: Rules) -> Vec<Effect<P, F>> {
        self.rules = rules;
        let mut effects = Vec::new();
        match &mut self.role {
            Role::Leader(leader) => {
                let readable = leader.set_rules(rules);
                effects = self.sync_if_needed();
                self.on_readable(readable, &mut effects);
                self.acknowledge(&mut effects);
                self.dismiss_if_under_min_isr(&mut effects);
            }
            Role::Follower(follower) => {
                follower.set_rules(rules);
                effects = self.sync_if_needed();
                effects.extend(self.fetch_if_idle());
            }
            Role::Bystander => {}
        }
        effects
    }

    /// A follower asks for records; `log_start` is where this log begins, `epoch_end` knows where epochs end in it. To be called once
    /// for each request, and not again when a parked one is woken.
    pub fn on_follower_fetch(
        &mut self,
        fetch: &FollowerFetch,
        log_start: Offset,
        epoch_end: impl FnOnce(LeaderEpoch) -> Option<EpochEnd>,
        now_ms: i64,
    ) -> Result<(FollowerAnswer, Vec<Effect<P, F>>), ErrorCode> {
        if !mutant_is(Mutant::NoFetchEpochCheck) {
            self.check_epoch(fetch.current_leader_epoch)?;
        }
        let Role::Leader(leader) = &mut self.role else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        let answer = leader.on_follower_fetch(fetch, log_start, epoch_end, now_ms)?;
        let mut effects = Vec::new();
        if answer == FollowerAnswer::Read {
            effects.extend(leader.expand(fetch.replica).map(Effect::ProposeIsr));
            let readable = leader.advance();
            self.on_readable(readable, &mut effects);
        }
        Ok((answer, effects))
    }

    /// Time has passed: to be called several times within `replica.lag.time.max.ms`.
    pub fn on_tick(&mut self, now_ms: i64) -> Vec<Effect<P, F>> {
        let mut effects = Vec::new();
        if let Role::Leader(leader) = &mut self.role {
            effects.extend(leader.on_tick(now_ms).map(Effect::ProposeIsr));
            // A follower that fell behind, or a proposal that is given up, holds nothing back any more.
            let readable = leader.advance();
            self.on_readable(readable, &mut effects);
        }
        effects
    }

    /// The metadata tell which brokers are there, each by the epoch of its process. To be called as often as [`Partition::on_tick`]: a
    /// follower that is about to be in sync, and dies, says nothing.
    pub fn on_brokers(&mut self, active_epoch: impl Fn(BrokerId) -> Option<i64>) -> Vec<Effect<P, F>> {
        let mut effects = Vec::new();
        if let Role::Leader(leader) = &mut self.role {
            let readable = leader.on_brokers(active_epoch);
            self.on_readable(readable, &mut effects);
        }
        effects
    }

    /// What the controller says to a proposal that was sent.
    pub fn on_isr_answer(&mut self, sent: &IsrProposal, answer: Result<IsrState, ErrorCode>) -> Vec<Effect<P, F>> {
        let mut effects = Vec::new();
        if let Role::Leader(leader) = &mut self.role {
            let readable = leader.on_isr_answer(sent, answer);
            self.on_in_sync(readable, &mut effects);
            self.dismiss_if_under_min_isr(&mut effects);
        }
        effects
    }

    /// What to ask the leader, given the epoch of the last record in the log; `None`: nothing now, and [`Effect::Fetch`] says when. An
    /// answer to an earlier fetch is void from now on.
    pub fn next_fetch(&mut self, last_fetched_epoch: LeaderEpoch) -> Option<FetchPosition> {
        let Role::Follower(follower) = &mut self.role else { return None };
        follower.forget_fetch();
        if !follower.can_fetch() {
            return None;
        }
        let token = FetchToken(self.next_token);
        self.next_token += 1;
        Some(follower.next_fetch(token, last_fetched_epoch))
    }

    /// Whether the leader was asked before in this epoch. One that is new has not answered anything, and others may wait for that.
    pub fn has_asked(&self) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.has_asked())
    }

    /// The leader has answered; `epoch_end` knows where epochs end in this log.
    pub fn on_fetch_answer(
        &mut self,
        token: FetchToken,
        answer: FetchAnswer,
        epoch_end: impl FnOnce(LeaderEpoch) -> Option<EpochEnd>,
    ) -> FollowerStep {
        match &mut self.role {
            Role::Follower(follower) => follower.on_fetch_answer(token, answer, epoch_end),
            Role::Leader(_) | Role::Bystander => FollowerStep::Ignore,
        }
    }

    /// The step that an answer asked for is done; this is how far the log goes now.
    pub fn on_followed(&mut self, log: LogEnd) -> Vec<Effect<P, F>> {
        let Role::Follower(follower) = &mut self.role else {
            return Vec::new();
        };
        let has_more = follower.on_log(log);
        let mut effects = self.sync_if_needed();
        if has_more {
            effects.extend(self.fetches.take_all().map(|parked| Effect::WakeFetch { parked }));
        }
        effects.extend(self.fetch_if_idle());
        effects
    }

    /// Nothing more can be written: producers who wait are told. What can be read, still is.
    pub fn dismiss_produces(&mut self, error: ErrorCode) -> Vec<Effect<P, F>> {
        let all = self.produces.take_all().chain(self.own_produces.take_all());
        let refuse = |parked| Effect::AnswerProduce {
            parked,
            outcome: Err(error),
        };
        all.map(refuse).collect()
    }

    /// The log cannot be used any more (its topic was deleted, the broker ends): everybody who waits is told.
    pub fn give_up(&mut self, error: ErrorCode) -> Vec<Effect<P, F>> {
        self.high_watermark = self.high_watermark();
        self.role = Role::Bystander;
        self.dismiss(error)
    }

    /// Whether a reply with `acks` to records that end at `end` can leave at once; else it is to be parked.
    pub fn is_acknowledged(&self, acks: Acks, end: Offset) -> bool {
        match &self.role {
            Role::Leader(leader) => leader.is_acknowledged(acks, end),
            Role::Follower(_) | Role::Bystander => false,
        }
    }

    /// Parks a Produce reply until records that end at `end` are acknowledged.
    pub fn park_produce(&mut self, acks: Acks, end: Offset, parked: P) {
        match acks {
            Acks::All => self.produces.park(end, parked),
            Acks::None | Acks::Leader => self.own_produces.park(end, parked),
        }
    }

    /// Parks a fetch that has seen everything: below the high watermark `seen`, or below the end of the log if a follower reads. `None` if
    /// there is more by now and it has to look again.
    pub fn park_fetch(&mut self, reader: Reader, seen: Offset, parked: F) -> Option<WaitKey> {
        let end = match (&self.role, reader) {
            (Role::Leader(leader), Reader::Follower) => leader.log().written,
            (Role::Leader(_), Reader::Consumer) | (Role::Follower(_), Reader::Consumer) => self.high_watermark(),
            (Role::Follower(_), Reader::Follower) | (Role::Bystander, _) => return None,
        };
        (end == seen).then(|| self.fetches.park(reader, parked))
    }

    /// The fetch does not wait any longer, or was woken by another partition.
    pub fn cancel_fetch(&mut self, key: WaitKey) {
        self.fetches.cancel(key);
    }

    fn leading(&mut self) -> &mut Leader {
        match &mut self.role {
            Role::Leader(leader) => leader,
            Role::Follower(_) | Role::Bystander => panic!("only a leader appends for clients"),
        }
    }

    fn sync_if_needed(&self) -> Vec<Effect<P, F>> {
        let is_needed = match &self.role {
            Role::Leader(leader) => leader.needs_sync(),
            Role::Follower(follower) => follower.needs_sync(),
            Role::Bystander => false,
        };
        if is_needed { vec![Effect::Sync] } else { Vec::new() }
    }

    fn fetch_if_idle(&self) -> Vec<Effect<P, F>> {
        match &self.role {
            Role::Follower(follower) if follower.is_idle() && follower.can_fetch() => vec![Effect::Fetch],
            _ => Vec::new(),
        }
    }

    fn on_readable(&mut self, readable: Option<u64>, effects: &mut Vec<Effect<P, F>>) {
        let Some(bytes) = readable else { return };
        self.acknowledge(effects);
        let consumers = self.fetches.take_satisfied(Reader::Consumer, bytes);
        effects.extend(consumers.map(|parked| Effect::WakeFetch { parked }));
    }

    /// Others are in sync than before, perhaps. A leader that is alone has its own idea of what it keeps.
    fn on_in_sync(&mut self, readable: Option<u64>, effects: &mut Vec<Effect<P, F>>) {
        self.on_readable(readable, effects);
        self.acknowledge(effects);
        effects.extend(self.sync_if_needed());
    }

    fn acknowledge(&mut self, effects: &mut Vec<Effect<P, F>>) {
        let Role::Leader(leader) = &self.role else { return };
        let own = self.own_produces.take_reached(leader.kept());
        let all = self.produces.take_reached(leader.high_watermark());
        effects.extend(all.chain(own).map(|parked| Effect::AnswerProduce { parked, outcome: Ok(()) }));
    }

    /// What is not committed by now is not for as long as replicas are missing: who waits for it is told that it may or may not stay.
    fn dismiss_if_under_min_isr(&mut self, effects: &mut Vec<Effect<P, F>>) {
        if let Role::Leader(leader) = &self.role
            && leader.is_under_min_isr()
        {
            effects.extend(self.produces.take_all().map(|parked| Effect::AnswerProduce {
                parked,
                outcome: Err(ErrorCode::NotEnoughReplicasAfterAppend),
            }));
        }
    }

    fn dismiss(&mut self, error: ErrorCode) -> Vec<Effect<P, F>> {
        let mut effects = self.dismiss_produces(error);
        effects.extend(self.fetches.take_all().map(|parked| Effect::WakeFetch { parked }));
        effects
    }
}

#[cfg(test)]
mod tests;
