//! One partition of `__consumer_offsets` that is led here, with the groups that belong to it.

mod loading;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dohle_coordinator::{Caller, Counters, Decision, Effect, GroupConfig, GroupRequest, GroupResponse, GroupShard, ReplyToken};
use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::GroupRecord;
use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_replication::Acks;
use dohle_storage::{AppendError, AppendOrigin};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::journal;
use super::parked_replies::{Answer, ParkedReplies};
use super::pending_reply::PendingReply;
use super::shard_timer;
use crate::clock;
use crate::limits;
use crate::metrics::Metrics;
use crate::replica::cell::{Cell, ProduceContext, ProduceError};

/// What all shards of a broker use.
#[derive(Debug)]
pub(super) struct ShardServices {
    pub(super) metrics: Arc<Metrics>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Shards that may be loaded at the same time.
    pub(super) loads: Semaphore,
    /// What the members of all groups take in memory.
    pub(super) member_bytes: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct Shard {
    pub(super) cell: Arc<Cell>,
    /// What is decided is appended in this epoch or not at all.
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) services: Arc<ShardServices>,
    /// The timer is to look again.
    pub(super) sooner: Notify,
    config: GroupConfig,
    load_chunk_bytes: usize,
    next_token: AtomicU64,
    state: Mutex<State>,
}

enum State {
    Loading {
        /// Deleted meanwhile.
        topics: Vec<String>,
    },
    Active(Box<Active>),
    /// Not led here any more, or given up until it is loaded again.
    Ended,
}

struct Active {
    machine: GroupShard,
    waiting: HashMap<ReplyToken, oneshot::Sender<Answer>>,
    /// Where the log ended after the last append.
    appended: Offset,
    /// When the timer looks next; `None` if there is no timer.
    timer_due_ms: Option<i64>,
    /// Largest batch that the log takes.
    batch_bytes_max: usize,
    /// What is in the metrics.
    counted: Counters,
    member_bytes: MemberBytes,
    /// Tells this loading of the shard from others.
    load: u64,
}

/// What the timer does next.
pub(super) enum TimerPlan {
    SleepMs(u64),
    End,
}

/// Nothing of a decision has come into the log, or not all.
struct Failure {
    error: ErrorCode,
    /// The log is as it was before, and can be written.
    is_harmless: bool,
    replies: ParkedReplies,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::Loading { .. } => "loading",
            State::Active(_) => "active",
            State::Ended => "ended",
        })
    }
}

impl Active {
    /// When the machine is to be called next. Without groups it would only look for some.
    fn next_timer_ms(&self) -> Option<i64> {
        self.machine.groups().next()?;
        self.machine.next_timer_ms()
    }
}

impl Shard {
    pub(super) fn new(
        cell: Arc<Cell>,
        leader_epoch: LeaderEpoch,
        services: Arc<ShardServices>,
        config: GroupConfig,
        load_chunk_bytes: usize,
    ) -> Arc<Shard> {
        let shard = Shard {
            cell,
            leader_epoch,
            services,
            sooner: Notify::new(),
            config,
            load_chunk_bytes,
            next_token: AtomicU64::new(0),
            state: Mutex::new(State::Loading { topics: Vec::new() }),
        };
        let shard = Arc::new(shard);
        shard.begin_loading();
        shard
    }

    /// Decides a request. What that changes is in the log when this returns; the reply comes once it is acknowledged.
    pub(super) fn ask(self: &Arc<Shard>, caller: &Caller, request: GroupRequest) -> Result<PendingReply, ErrorCode> {
        let token = self.new_token();
        // Only a member that joins may need one.
        let fresh_id = if matches!(request, GroupRequest::Join(_)) {
            Uuid::new_v4()
        } else {
            Uuid::nil()
        };
        let (sender, receiver) = oneshot::channel();
        self.turn(|active, now_ms| {
            if active.waiting.len() >= limits::GROUP_REPLIES_PER_SHARD_MAX {
                return Err(ErrorCode::CoordinatorNotAvailable);
            }
            active.waiting.insert(token, sender);
            if matches!(request, GroupRequest::Join(_) | GroupRequest::Sync(_)) {
                let bytes_max = active.member_bytes.room().min(self.config.member_bytes_max);
                active.machine.set_member_bytes_max(bytes_max);
            }
            Ok(active.machine.decide(now_ms, caller, token, fresh_id, request))
        })?;
        Ok(PendingReply::new(receiver, Arc::clone(self), token))
    }

    /// The client does not wait any longer. To the machine that makes no difference: a member stays until its session is over.
    pub(super) fn cancel(&self, token: ReplyToken) {
        if let State::Active(active) = &mut *self.state.lock() {
            active.waiting.remove(&token);
        }
    }

    /// Forgets what was committed for topics that have been deleted.
    pub(super) fn topics_deleted(self: &Arc<Shard>, deleted: &[&str]) {
        if let State::Loading { topics } = &mut *self.state.lock() {
            topics.extend(deleted.iter().map(|topic| (*topic).to_string()));
            return;
        }
        // Another shard of the same log will find the topics gone.
        let _ = self.turn(|active, _| Ok(active.machine.on_partitions_deleted(deleted)));
    }

    /// Nothing is decided here any more. Who waits is told to look for the coordinator; what has been appended is still answered.
    pub(super) fn end(&self) {
        self.give_up(&mut self.state.lock());
    }

    /// Lets `look` see the machine, unless there is none at the moment.
    pub(super) fn inspect<T>(&self, look: impl FnOnce(&GroupShard) -> T) -> Option<T> {
        match &*self.state.lock() {
            State::Active(active) => Some(look(&active.machine)),
            State::Loading { .. } | State::Ended => None,
        }
    }

    /// Adds to the metrics what has been counted since the last time.
    pub(super) fn publish_counters(&self) {
        if let State::Active(active) = &mut *self.state.lock() {
            let now = active.machine.counters();
            self.services.metrics.groups.counted(active.counted, now);
            active.counted = now;
        }
    }

    /// Does what is due, for the timer of the given loading.
    pub(super) fn fire(self: &Arc<Shard>, load: u64) -> TimerPlan {
        let _guard = PanicGuard(self);
        let mut state = self.state.lock();
        let now_ms = clock::steady_ms();
        match &mut *state {
            State::Active(active) if active.load == load => {
                if active.machine.next_timer_ms().is_some_and(|due| due <= now_ms) {
                    self.step(&mut state, now_ms, |machine| machine.on_timers(now_ms));
                }
            }
            _ => return TimerPlan::End,
        }
        let State::Active(active) = &mut *state else {
            return TimerPlan::End;
        };
        active.timer_due_ms = active.next_timer_ms().map(|due| due.max(now_ms + 1));
        match active.timer_due_ms {
            Some(due) => TimerPlan::SleepMs((due - now_ms).unsigned_abs()),
            None => TimerPlan::End,
        }
    }

    fn new_token(&self) -> ReplyToken {
        ReplyToken(self.next_token.fetch_add(1, Ordering::Relaxed))
    }

    /// One step of the machine, and all that follows from it.
    fn turn(self: &Arc<Shard>, step: impl FnOnce(&mut Active, i64) -> Result<Decision, ErrorCode>) -> Result<(), ErrorCode> {
        let _guard = PanicGuard(self);
        let mut state = self.state.lock();
        let active = match &mut *state {
            State::Active(active) => active,
            State::Loading { .. } => return Err(ErrorCode::CoordinatorLoadInProgress),
            State::Ended => return Err(ErrorCode::NotCoordinator),
        };
        let now_ms = clock::steady_ms();
        let decision = step(active, now_ms)?;
        self.settle(&mut state, decision, now_ms);
        if let State::Active(active) = &mut *state {
            self.arm(active);
        }
        Ok(())
    }

    /// One step that nobody has asked for.
    fn step(self: &Arc<Shard>, state: &mut State, now_ms: i64, decide: impl FnOnce(&mut GroupShard) -> Decision) {
        if let State::Active(active) = state {
            let decision = decide(&mut active.machine);
            self.settle(state, decision, now_ms);
        }
    }

    /// Appends and applies what was decided, and parks the replies.
    fn settle(self: &Arc<Shard>, state: &mut State, decision: Decision, now_ms: i64) {
        let State::Active(active) = state else { return };
        let Err(failure) = self.carry_out(active, decision, now_ms) else {
            return;
        };
        let partition = self.cell.partition.0;
        tracing::warn!(shard = partition, error = %failure.error, "what a group coordinator decided could not be written");
        failure.replies.answer(Err(failure.error));
        if !failure.is_harmless {
            self.give_up(state);
            self.load_again_later();
        }
    }

    fn carry_out(&self, active: &mut Active, decision: Decision, now_ms: i64) -> Result<(), Failure> {
        let Decision { records, effects } = decision;
        let mut replies = ParkedReplies::default();
        // A commit that could not be written leaves the machine as it was. Other requests may have changed what is not in the log.
        let mut is_commit = !effects.is_empty();
        for Effect::Reply { token, response } in effects {
            is_commit &= matches!(response, GroupResponse::CommitOffsets(_));
            if let Some(to) = active.waiting.remove(&token) {
                replies.push(to, response);
            }
        }
        let mut parked = Some(replies);
        let batches = journal::batches(&records, now_ms, active.batch_bytes_max);
        let written = if batches.is_empty() {
            self.park(active.appended, &mut parked)
        } else {
            self.append(active, batches, now_ms, &mut parked)
        };
        match (written, parked) {
            (Ok(()), Some(replies)) => replies.answer(Ok(())),
            (Ok(()), None) => {}
            (Err((error, is_intact)), replies) => {
                return Err(Failure {
                    error,
                    is_harmless: is_intact && is_commit,
                    replies: replies.unwrap_or_default(),
                });
            }
        }
        records.iter().for_each(|record: &GroupRecord| active.machine.replay(record));
        active.member_bytes.set(active.machine.member_bytes());
        Ok(())
    }

    /// Takes the replies if there is something to wait for.
    fn park(&self, end: Offset, replies: &mut Option<ParkedReplies>) -> Result<(), (ErrorCode, bool)> {
        if replies.as_ref().is_none_or(ParkedReplies::is_empty) {
            return Ok(());
        }
        let ticket = || replies.take().unwrap_or_default().into();
        let parked = self.cell.park_until_acknowledged(self.leader_epoch, end, ticket);
        parked.map(|_| ()).map_err(|error| (error, false))
    }

    /// The same, behind the last of some batches. The error comes with whether the log is as it was.
    fn append(
        &self,
        active: &mut Active,
        batches: Vec<bytes::Bytes>,
        now_ms: i64,
        replies: &mut Option<ParkedReplies>,
    ) -> Result<(), (ErrorCode, bool)> {
        let context = ProduceContext {
            origin: AppendOrigin::Coordinator,
            leader_epoch: self.leader_epoch,
            acks: Acks::All,
            zstd_allowed: true,
            turned_away: None,
            now_ms,
            now: tokio::time::Instant::now(),
            request_bytes: 0,
        };
        let count = batches.len();
        for (number, batch) in batches.into_iter().enumerate() {
            let is_last = number + 1 == count;
            let ticket = || if is_last { replies.take() } else { None }.unwrap_or_default().into();
            match self.cell.append(batch, context, ticket) {
                Ok((info, _)) => active.appended = info.last_offset + 1,
                // Nothing is appended while too few replicas are in sync, and the log is as it was.
                Err(ProduceError::Refused(error)) => return Err((error, number == 0 && error == ErrorCode::NotEnoughReplicas)),
                Err(ProduceError::Log(error)) => {
                    let is_intact = number == 0 && !error.is_disk_failure() && !matches!(error, AppendError::Torn);
                    return Err((error.error_code(), is_intact));
                }
            }
        }
        Ok(())
    }

    fn give_up(&self, state: &mut State) {
        let State::Active(mut active) = std::mem::replace(state, State::Ended) else {
            return;
        };
        let counters = active.machine.counters();
        for Effect::Reply { token, response } in active.machine.abandon() {
            if let Some(to) = active.waiting.remove(&token) {
                let _ = to.send(Ok(response));
            }
        }
        self.services.metrics.groups.counted(active.counted, counters);
        self.sooner.notify_one();
    }

    fn arm(self: &Arc<Shard>, active: &mut Active) {
        let Some(due) = active.next_timer_ms() else { return };
        match active.timer_due_ms {
            Some(planned) if planned <= due => {}
            Some(_) => {
                active.timer_due_ms = Some(due);
                self.sooner.notify_one();
            }
            None => {
                active.timer_due_ms = Some(due);
                self.services.tasks.spawn(shard_timer::run(Arc::clone(self), active.load));
            }
        }
    }
}

/// What the members of one shard take of the memory that all shards have together; given back when the shard ends.
struct MemberBytes {
    all: Arc<ShardServices>,
    mine: usize,
}

impl MemberBytes {
    fn set(&mut self, bytes: usize) {
        self.all.member_bytes.fetch_add(bytes.wrapping_sub(self.mine), Ordering::Relaxed);
        self.mine = bytes;
    }

    /// What this shard may take, as much as the others leave.
    fn room(&self) -> usize {
        let others = self.all.member_bytes.load(Ordering::Relaxed).wrapping_sub(self.mine);
        limits::GROUP_MEMBER_BYTES_MAX.saturating_sub(others)
    }
}

impl Drop for MemberBytes {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// If the holder of a shard's lock panics, the machine may be half changed: it is thrown away, and loaded again.
struct PanicGuard<'a>(&'a Arc<Shard>);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.state.lock() = State::Ended;
            self.0.load_again_later();
        }
    }
}
