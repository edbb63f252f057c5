//! One partition on this broker: its log and its role, under one lock.
//!
//! The lock is held for computations and for writes to the page cache, never across an `await` or a sync. What a change means for others
//! (a sync to ask for, replies to send) comes out as effects, and is carried out after the lock has been released.

mod cleaning;
mod following;
mod leading;

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};
use dohle_replication::{Acks, Assignment, LogEnd, Partition, Reader, WaitKey};
use dohle_storage::epoch_cache::{EpochCache, EpochEnd};
use dohle_storage::{
    AppendContext, AppendError, AppendInfo, AppendOrigin, LogError, LogPositions, PartitionLog, SyncState, SyncTarget, Syncable,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::clock;
use crate::limits;
use crate::metrics::Metrics;
use crate::replica::ack_ticket::AckTicket;
use crate::replica::cleaner_queue::CleanerQueue;
use crate::replica::fetch_wait::FetchTicket;
use crate::replica::followed::Followed;
use crate::replica::isr_proposals::IsrProposals;
use crate::replica::log_directory::LogDirectory;
use crate::replica::partition_view::{Isolation, PartitionView};
use crate::replica::schedule::{Schedule, Task};
use crate::replica::tail_cache::{TailBudget, TailCache, TailRead};
use crate::replica::topic_settings::{FlushPolicy, ReplicationSettings, TopicSettings};

use cleaning::CleaningNotes;
pub(crate) use following::{FollowStep, NextFetch};

type Effect = dohle_replication::Effect<AckTicket, FetchTicket>;

/// What all cells of a broker use.
#[derive(Debug)]
pub(crate) struct CellServices {
    pub(crate) me: BrokerId,
    pub(crate) schedule: Schedule,
    pub(crate) cleaner: CleanerQueue,
    pub(crate) followed: Followed,
    pub(crate) isr_proposals: IsrProposals,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tail_budget: Arc<TailBudget>,
    pub(crate) checkpoint_interval: std::time::Duration,
}

#[derive(Debug)]
pub(crate) struct Cell {
    /// Itself, for what happens without a caller that holds it.
    this: Weak<Cell>,
    pub(crate) topic: Arc<str>,
    pub(crate) topic_id: TopicId,
    pub(crate) partition: PartitionIndex,
    pub(crate) directory: Arc<LogDirectory>,
    services: Arc<CellServices>,
    sync_state: SyncState,
    cleaning: CleaningNotes,
    replica: Mutex<Replica>,
}

#[derive(Debug)]
struct Replica {
    log: PartitionLog,
    role: Partition<AckTicket, FetchTicket>,
    /// How many there are of the partition.
    replicas: usize,
    /// How many of them are in sync, as the metadata say.
    in_sync: usize,
    settings: ReplicationSettings,
    /// The one of the settings that counts for so many in sync.
    flush: FlushPolicy,
    flush_scheduled: bool,
    tail: TailCache,
    last_append: Option<Instant>,
    /// The last leader has made it cut off what the checkpoints may vouch for still.
    was_cut: bool,
    /// What its leader has sent could not be appended, and that has been said.
    refuses_records: bool,
    /// Nothing can be appended any more, and this is what producers are told. Reads go on as far as they can.
    write_failure: Option<ErrorCode>,
}

/// The circumstances of an append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProduceContext {
    pub(crate) origin: AppendOrigin,
    /// The epoch in which the records were decided on; [`LeaderEpoch::NONE`] if any will do.
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) acks: Acks,
    pub(crate) zstd_allowed: bool,
    /// See [`AppendContext::turned_away`].
    pub(crate) turned_away: Option<ErrorCode>,
    pub(crate) now_ms: i64,
    pub(crate) now: Instant,
    pub(crate) request_bytes: usize,
}

/// Why nothing was appended.
#[derive(Debug)]
pub(crate) enum ProduceError {
    Refused(ErrorCode),
    Log(AppendError),
}

impl ProduceError {
    pub(crate) fn error_code(&self) -> ErrorCode {
        match self {
            ProduceError::Refused(error) => *error,
            ProduceError::Log(error) => error.error_code(),
        }
    }
}

impl From<ErrorCode> for ProduceError {
    fn from(code: ErrorCode) -> ProduceError {
        ProduceError::Refused(code)
    }
}

impl Cell {
    /// Without a role, until it is assigned one. The high watermark is the last one that is known.
    pub(crate) fn new(
        log: PartitionLog,
        directory: Arc<LogDirectory>,
        services: Arc<CellServices>,
        settings: ReplicationSettings,
        high_watermark: Offset,
    ) -> Arc<Cell> {
        let identity = log.identity().clone();
        let tail = TailCache::new(Arc::clone(&services.tail_budget));
        let replica = Replica {
            role: Partition::new(services.me, settings.rules(), high_watermark.min(log.log_end_offset())),
            log,
            replicas: 1,
            in_sync: 1,
            settings,
            flush: settings.flush(1),
            flush_scheduled: false,
            tail,
            last_append: None,
            was_cut: false,
            refuses_records: false,
            write_failure: None,
        };
        directory.partition_added();
        Arc::new_cyclic(|this| Cell {
            this: Weak::clone(this),
            topic: identity.topic,
            topic_id: identity.topic_id,
            partition: identity.partition,
            directory,
            services,
            sync_state: SyncState::default(),
            cleaning: CleaningNotes::default(),
            replica: Mutex::new(replica),
        })
    }

    /// The metadata say who leads. False if the checkpoints have to be put right first: then this is to be called again.
    pub(crate) fn assign(self: &Arc<Cell>, assignment: &Assignment) -> bool {
        let effects = {
            let mut replica = self.lock();
            if std::mem::take(&mut replica.was_cut) {
                return false;
            }
            let mut effects = Vec::new();
            replica.replicas = assignment.replicas.len();
            if replica.in_sync != assignment.isr.len() {
                replica.in_sync = assignment.isr.len();
                effects = replica.put_settings_into_effect();
            }
            let log = replica.log_end();
            effects.extend(replica.role.on_assignment(assignment, log, clock::steady_ms()));
            if replica.role.leader(LeaderEpoch::NONE).is_err() {
                // It may come to hold what nobody else has.
                replica.tail.clear();
            }
            effects
        };
        if assignment.replicas.len() > 1 {
            self.services.isr_proposals.partition_is_replicated();
        }
        self.carry_out(effects);
        true
    }

    pub(crate) fn configure(self: &Arc<Cell>, settings: &TopicSettings) {
        let effects = {
            let mut replica = self.lock();
            replica.log.update_config(Arc::clone(&settings.log));
            replica.settings = settings.replication;
            replica.put_settings_into_effect()
        };
        self.carry_out(effects);
        if settings.log.compact {
            self.services.cleaner.add(Arc::downgrade(self));
        }
    }

    /// Appends one batch. If its acknowledgement has to wait, a ticket is taken and parked; the second value says so.
    pub(crate) fn append(
        self: &Arc<Cell>,
        records: Bytes,
        context: ProduceContext,
        ticket: impl FnOnce() -> AckTicket,
    ) -> Result<(AppendInfo, bool), ProduceError> {
        let mut replica = self.lock();
        replica.role.leader(context.leader_epoch)?.check_acks(context.acks)?;
        self.check_writable(&replica)?;
        let append = AppendContext {
            leader_epoch: replica.role.leader_epoch(),
            now_ms: context.now_ms,
            origin: context.origin,
            zstd_allowed: context.zstd_allowed,
            turned_away: context.turned_away,
        };
        let mut info = match replica.log.append_as_leader(records, append) {
            Ok(info) => info,
            Err(error) => {
                let effects = self.on_append_error(&mut replica, &error);
                drop(replica);
                self.carry_out(effects);
                return Err(ProduceError::Log(error));
            }
        };
        let end = info.last_offset + 1;
        let mut effects = Vec::new();
        if !info.duplicate {
            let bytes = std::mem::take(&mut info.bytes);
            if context.origin == AppendOrigin::Client {
                self.services.metrics.appended(1, bytes.len());
            }
            effects = replica.role.on_append(end, bytes.len() as u64);
            replica.tail.push(info.base_offset, end, bytes, context.request_bytes);
            self.plan_after_append(&mut replica, context.now);
            if replica.has_records_to_flush() {
                effects.push(Effect::Sync);
            }
        }
        let is_parked = !replica.role.is_acknowledged(context.acks, end);
        if is_parked {
            replica.role.park_produce(context.acks, end, ticket());
        }
        let is_compacted = replica.log.config().compact;
        drop(replica);
        if info.rolled && is_compacted {
            self.services.cleaner.add(Arc::downgrade(self));
        }
        if info.rolled {
            effects.push(Effect::Sync);
            // Damage below the recovery point is damage, not the torn end of a log, and cuts nothing off.
            self.directory.plan_checkpoint_soon(&self.services);
        }
        self.carry_out(effects);
        Ok((info, is_parked))
    }

    /// Parks a ticket until everything below `end` is acknowledged. False if it is, in which case no ticket is taken.
    pub(crate) fn park_until_acknowledged(
        &self,
        leader_epoch: LeaderEpoch,
        end: Offset,
        ticket: impl FnOnce() -> AckTicket,
    ) -> Result<bool, ErrorCode> {
        let mut replica = self.lock();
        let leader = replica.role.leader(leader_epoch)?;
        if leader.high_watermark() >= end {
            return Ok(false);
        }
        let is_hopeless = leader.check_acks(Acks::All).is_err();
        // What is not acknowledged by now never will be.
        self.check_writable(&replica)?;
        if is_hopeless {
            // As those who waited when there came to be too few replicas in sync.
            drop(replica);
            ticket().answer(Err(ErrorCode::NotEnoughReplicasAfterAppend));
            return Ok(true);
        }
        replica.role.park_produce(Acks::All, end, ticket());
        Ok(true)
    }

    /// The epoch in which this broker leads the partition, if it does and can append.
    pub(crate) fn writable_epoch(&self) -> Result<LeaderEpoch, ErrorCode> {
        let replica = self.lock();
        replica.role.leader(LeaderEpoch::NONE)?;
        self.check_writable(&replica)?;
        Ok(replica.role.leader_epoch())
    }

    fn check_writable(&self, replica: &Replica) -> Result<(), ErrorCode> {
        match replica.write_failure {
            Some(error) => Err(error),
            None if self.directory.is_offline() => Err(ErrorCode::KafkaStorageError),
            None => Ok(()),
        }
    }

    /// The bounds of the partition and a view of its log, for a client of the leader that believes in `current_leader_epoch`.
    pub(crate) fn view(&self, current_leader_epoch: LeaderEpoch) -> Result<PartitionView, ErrorCode> {
        self.lock().view(current_leader_epoch, true)
    }

    /// The same, and recent batches from `offset` on if they are in memory. Unless `from_leader`, a follower will do (KIP-392).
    pub(crate) fn view_at(
        &self,
        (current_leader_epoch, from_leader): (LeaderEpoch, bool),
        offset: Offset,
        isolation: Isolation,
        bytes_max: usize,
        min_one_batch: bool,
    ) -> Result<(PartitionView, Option<TailRead>), ErrorCode> {
        let mut replica = self.lock();
        let view = replica.view(current_leader_epoch, from_leader)?;
        let bound = view.upper_bound(isolation);
        let is_readable = offset >= view.log_start_offset && offset < bound;
        let tail = if is_readable {
            replica.tail.read(offset, bound, bytes_max, min_one_batch)
        } else {
            None
        };
        Ok((view, tail))
    }

    /// The largest epoch that is no larger than `epoch`, and where it ended.
    pub(crate) fn end_offset_for_epoch(&self, current_leader_epoch: LeaderEpoch, epoch: LeaderEpoch) -> Result<EpochEnd, ErrorCode> {
        let replica = self.lock();
        replica.role.leader(current_leader_epoch)?;
        Ok(replica.end_of_epoch(epoch))
    }

    /// The epoch in which the record at `offset` was written.
    pub(crate) fn epoch_at(&self, offset: Offset) -> LeaderEpoch {
        self.lock().epochs().epoch_at(offset).unwrap_or(LeaderEpoch::NONE)
    }

    /// Whether this broker leads in that epoch still, so that nothing of what was read in it has been cut off meanwhile.
    pub(crate) fn check_leads_in(&self, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        self.lock().role.leader(epoch).map(|_| ())
    }

    pub(crate) fn check_leader(&self) -> Result<(), ErrorCode> {
        self.lock().role.leader(LeaderEpoch::NONE).map(|_| ())
    }

    /// Parks a fetch that has seen everything below `seen`: the high watermark, or the end of the log if a follower reads. `None` if it
    /// has to look again.
    pub(crate) fn park_fetch(&self, reader: Reader, seen: Offset, ticket: FetchTicket) -> Option<WaitKey> {
        self.lock().role.park_fetch(reader, seen, ticket)
    }

    pub(crate) fn cancel_fetch(&self, key: WaitKey) {
        self.lock().role.cancel_fetch(key);
    }

    /// Moves the log start to `offset`, or to the high watermark if there is none. Returns the new log start.
    pub(crate) fn delete_records(&self, offset: Option<Offset>) -> Result<Offset, ErrorCode> {
        let mut replica = self.lock();
        let high_watermark = replica.role.leader(LeaderEpoch::NONE)?.high_watermark();
        if replica.write_failure.is_some() || self.directory.is_offline() {
            return Err(ErrorCode::KafkaStorageError);
        }
        if !replica.log.config().delete {
            return Err(ErrorCode::PolicyViolation);
        }
        let offset = offset.unwrap_or(high_watermark);
        if offset < Offset::ZERO || offset > high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        Ok(replica.log.delete_records_before(offset))
    }

    /// Lets `look` read the log under the lock; for what is asked rarely.
    pub(crate) fn inspect<T>(&self, look: impl FnOnce(&PartitionLog) -> T) -> T {
        look(&self.lock().log)
    }

    pub(crate) fn positions(&self) -> LogPositions {
        let replica = self.lock();
        LogPositions {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            recovery_point: replica.log.recovery_point(),
            log_start: replica.log.log_start_offset(),
            // Of a log that is being cut it may be beyond the end.
            high_watermark: replica.role.high_watermark().min(replica.log.log_end_offset()),
            cleaned_to: replica.log.cleaned_to(),
        }
    }

    pub(crate) fn apply_retention(&self, now_ms: i64) {
        let mut replica = self.lock();
        // A follower, too: what it has of the log is as old as what its leader has.
        let high_watermark = replica.role.high_watermark();
        if replica.write_failure.is_some() || self.directory.is_offline() {
            return;
        }
        match replica.log.apply_retention(now_ms, high_watermark) {
            Ok(0) => {}
            Ok(_) => self.plan_checkpoint(),
            Err(error) => tracing::warn!(topic = %self.topic, partition = self.partition.0, "retention: {error}"),
        }
        let removable = replica.log.take_removable_files(now_ms);
        drop(replica);
        removable.remove();
    }

    /// The interval of the flush policy is over.
    pub(crate) fn flush(self: &Arc<Cell>) {
        self.lock().flush_scheduled = false;
        self.carry_out(vec![Effect::Sync]);
    }

    /// Empties the tail cache if it was idle. Returns when to try again, if it was not.
    pub(crate) fn drop_idle_tail(&self, now: Instant) -> Option<Instant> {
        let mut replica = self.lock();
        let idle_from = replica.last_append? + limits::TAIL_CACHE_IDLE_MAX;
        if now < idle_from {
            return Some(idle_from);
        }
        replica.tail.clear();
        // The next append plans the next look.
        replica.last_append = None;
        None
    }

    /// The partition is gone from here: renames the log, and tells everybody who waits. Returns the directory that is left to be removed.
    pub(crate) fn delete(&self, reason: ErrorCode) -> Result<PathBuf, LogError> {
        let (result, effects) = {
            let mut replica = self.lock();
            replica.write_failure = Some(reason);
            replica.tail.clear();
            let effects = replica.role.give_up(reason);
            (replica.log.mark_deleted(), effects)
        };
        self.directory.partition_removed();
        for effect in effects {
            answer(effect);
        }
        result
    }

    /// Writes what is only in memory; nothing is appended any more. Whoever still waits is told that this broker does not lead.
    pub(crate) fn close(&self) -> Result<(), LogError> {
        let (result, effects) = {
            let mut replica = self.lock();
            let is_usable = replica.write_failure.replace(ErrorCode::NotLeaderOrFollower).is_none();
            let effects = replica.role.give_up(ErrorCode::NotLeaderOrFollower);
            let result = if is_usable {
                replica.log.close_clean()
            } else {
                // What is in memory need not be what is in the files: the next start has to look.
                Err(LogError {
                    action: "closing",
                    path: replica.log.dir().to_owned(),
                    source: io::Error::other("it has failed before"),
                })
            };
            (result, effects)
        };
        for effect in effects {
            answer(effect);
        }
        result
    }

    fn on_append_error(&self, replica: &mut Replica, error: &AppendError) -> Vec<Effect> {
        if let AppendError::Storage(reason) = error {
            if error.is_disk_failure() {
                tracing::error!(topic = %self.topic, partition = self.partition.0, "{reason}");
                self.directory.fail(reason);
            } else {
                self.directory.note_full(reason, replica.replicas > 1);
            }
        }
        if !error.is_disk_failure() {
            return Vec::new();
        }
        replica.write_failure = Some(ErrorCode::KafkaStorageError);
        replica.role.dismiss_produces(ErrorCode::KafkaStorageError)
    }

    fn plan_after_append(self: &Arc<Cell>, replica: &mut Replica, now: Instant) {
        self.plan_flush(replica, now);
        if replica.last_append.is_none() {
            self.services
                .schedule
                .add(now + limits::TAIL_CACHE_IDLE_MAX, Task::DropTail(Arc::downgrade(self)));
        }
        replica.last_append = Some(now);
        self.plan_checkpoint();
    }

    fn plan_flush(self: &Arc<Cell>, replica: &mut Replica, now: Instant) {
        if let (FlushPolicy::Interval { after, .. }, false) = (replica.flush, replica.flush_scheduled) {
            replica.flush_scheduled = true;
            self.services.schedule.add(now + after, Task::Flush(Arc::downgrade(self)));
        }
    }

    fn plan_checkpoint(&self) {
        self.directory.plan_checkpoint(&self.services);
    }

    fn carry_out(self: &Arc<Cell>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Sync => self.directory.committer().enqueue(Arc::clone(self) as Arc<dyn Syncable>),
                Effect::ProposeIsr(proposal) => self.services.isr_proposals.add(self, proposal),
                Effect::Fetch => self.ask_leader(true),
                effect => answer(effect),
            }
        }
    }

    fn lock(&self) -> Locked<'_> {
        Locked(self.replica.lock())
    }
}

impl Replica {
    /// Whether as many records are written and not synced as the flush policy allows.
    fn has_records_to_flush(&self) -> bool {
        let unsynced = self.log.log_end_offset() - self.log.recovery_point();
        matches!(self.flush, FlushPolicy::Interval { records_max, .. } if unsynced >= records_max)
    }

    fn put_settings_into_effect(&mut self) -> Vec<Effect> {
        let mut effects = self.role.set_rules(self.settings.rules());
        let flush = self.settings.flush(self.in_sync);
        if self.flush != flush {
            self.flush = flush;
            // What was written under the old policy must not wait longer than the new one allows.
            self.flush_scheduled = false;
            effects.push(Effect::Sync);
        }
        effects
    }

    fn log_end(&self) -> LogEnd {
        LogEnd {
            written: self.log.log_end_offset(),
            synced: self.log.recovery_point(),
        }
    }

    /// The largest epoch of the leader that is no larger than `epoch`, and where it ended.
    fn end_of_epoch(&self, epoch: LeaderEpoch) -> EpochEnd {
        let log_end = self.log.log_end_offset();
        match self.log.epochs().latest() {
            // Whether the present epoch has begun at the end of the log makes no difference to those before.
            Some(latest) if latest.epoch >= epoch => self.log.epochs().end_offset_for(epoch, log_end),
            _ => self.epochs().end_offset_for(epoch, log_end),
        }
    }

    /// The epochs of the log, and the present one, which begins when its leader does: the log notes it only with the first batch.
    fn epochs(&self) -> EpochCache {
        let mut epochs = self.log.epochs().clone();
        epochs.assign(self.role.leader_epoch(), self.log.log_end_offset());
        epochs
    }

    fn view(&mut self, current_leader_epoch: LeaderEpoch, from_leader: bool) -> Result<PartitionView, ErrorCode> {
        let (high_watermark, is_settled) = match self.role.leader(current_leader_epoch) {
            Ok(leader) => (leader.high_watermark(), leader.is_settled()),
            Err(ErrorCode::NotLeaderOrFollower) if !from_leader => (self.role.readable_end(current_leader_epoch)?, true),
            Err(error) => return Err(error),
        };
        Ok(PartitionView {
            log: self.log.read_view(),
            leader_epoch: self.role.leader_epoch(),
            log_start_offset: self.log.log_start_offset(),
            last_stable_offset: self.log.last_stable_offset(high_watermark),
            high_watermark,
            log_end_offset: self.log.log_end_offset(),
            is_settled,
        })
    }
}

/// The effects that concern those who wait.
fn answer(effect: Effect) {
    match effect {
        // They are not among the effects of what this is called for.
        Effect::Sync | Effect::ProposeIsr(_) | Effect::Fetch => {}
        Effect::AnswerProduce { parked, outcome } => parked.answer(outcome),
        Effect::WakeFetch { parked } => parked.wake(),
    }
}

impl Syncable for Cell {
    fn sync_state(&self) -> &SyncState {
        &self.sync_state
    }

    fn take_sync_target(&self) -> Option<SyncTarget> {
        self.lock().log.take_sync_target()
    }

    fn on_synced(&self, target: &SyncTarget) {
        let (effects, records, is_new) = {
            let mut replica = self.lock();
            let before = replica.log.recovery_point();
            let synced = replica.log.on_synced(target);
            (replica.role.on_synced(synced), synced - before, !replica.role.has_asked())
        };
        self.services.metrics.synced(records);
        for effect in effects {
            match effect {
                // What this follower keeps is synced, and it can say so. A new leader waits for that, and its fetcher for nothing else.
                Effect::Fetch => self.ask_leader(is_new),
                effect => answer(effect),
            }
        }
    }

    fn on_sync_failed(&self, _: &io::Error) {
        let effects = {
            let mut replica = self.lock();
            replica.write_failure = Some(ErrorCode::KafkaStorageError);
            replica.role.dismiss_produces(ErrorCode::KafkaStorageError)
        };
        effects.into_iter().for_each(answer);
    }
}

/// A locked replica. If the holder panics, the replica may be half changed, and nothing is appended to it any more.
struct Locked<'a>(MutexGuard<'a, Replica>);

impl Deref for Locked<'_> {
    type Target = Replica;

    fn deref(&self) -> &Replica {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Replica {
        &mut self.0
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.write_failure.get_or_insert(ErrorCode::KafkaStorageError);
        }
    }
}

#[cfg(test)]
mod tests;
