//! What a partition does while another broker leads it: what it asks for, and what it does with the answers.

use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};
use dohle_replication::{EpochEnd, FetchAnswer, FetchPosition, FetchToken, FollowerStep};
use dohle_storage::AppendError;
use tokio::time::Instant;

use super::{Cell, Effect, Replica};
use crate::clock;

/// What a fetcher of one leader asks for.
#[derive(Debug)]
pub(crate) enum NextFetch {
    Ask {
        position: FetchPosition,
        log_start: Offset,
    },
    /// What is there has to be synced first; the queue of the fetcher says when it is.
    NotYet,
    /// That leader leads the partition no more, or it cannot be written.
    Nothing,
}

/// What the fetcher does about a partition after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowStep {
    /// Asks for more.
    GoOn,
    /// What has come has to be synced first; the queue of the fetcher says when it is.
    Wait,
    /// Asks again after a moment.
    Pause,
    /// The log takes nothing at present: asks again when there may be room.
    Rest,
    /// The log was cut. Before anything takes the place of what is gone, the checkpoints are put right; then [`Cell::end_cut`].
    Cut,
    /// Nothing: the answer is to a question that does not count any more.
    Leave,
}

impl Cell {
    pub(super) fn ask_leader(&self, is_urgent: bool) {
        let Some(this) = self.this.upgrade() else { return };
        let leader = self.lock().role.leader_id();
        self.services.followed.add(leader, &this, is_urgent);
    }

    /// The fetcher of this leader has ended, and another one is to be told.
    pub(crate) fn follow_again(&self, leader: BrokerId) {
        if leader != self.services.me && self.lock().role.leader_id() == leader {
            self.ask_leader(true);
        }
    }

    /// For the fetcher that asks `leader`.
    pub(crate) fn next_fetch(&self, leader: BrokerId) -> NextFetch {
        let mut replica = self.lock();
        // The fetcher of another leader has asked, perhaps, and its question counts.
        if replica.role.leader_id() != leader || leader == self.services.me || self.check_writable(&replica).is_err() {
            return NextFetch::Nothing;
        }
        let last_epoch = replica.log.epochs().latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch);
        let log_start = replica.log.log_start_offset();
        match replica.role.next_fetch(last_epoch) {
            Some(position) => NextFetch::Ask { position, log_start },
            None => NextFetch::NotYet,
        }
    }

    /// The leader has answered.
    pub(crate) fn on_fetch_answer(self: &Arc<Cell>, token: FetchToken, answer: FetchAnswer, records: Bytes, now: Instant) -> FollowStep {
        let mut locked = self.lock();
        let replica = &mut *locked;
        let log = &replica.log;
        let step = replica.role.on_fetch_answer(token, answer, |epoch| {
            let end = log.end_offset_for_epoch(epoch);
            (!end.epoch.is_none()).then_some(EpochEnd {
                epoch: end.epoch,
                end_offset: end.end_offset,
            })
        });
        if !matches!(step, FollowerStep::Ignore) && self.check_writable(replica).is_err() {
            return FollowStep::Leave;
        }
        let before = replica.checkpointed();
        let mut effects = Vec::new();
        let followed = match step {
            FollowerStep::Ignore => return FollowStep::Leave,
            FollowerStep::BackOff => return FollowStep::Pause,
            FollowerStep::TruncateTo(offset) => return self.cut(replica, offset, false),
            FollowerStep::ResetTo(offset) => return self.cut(replica, offset, true),
            FollowerStep::Append { log_start } => self.append_as_follower(replica, records, log_start, now, &mut effects),
        };
        let asks_again = replica.end_step(&mut effects);
        if replica.checkpointed() != before {
            self.plan_checkpoint();
        }
        drop(locked);
        self.carry_out(effects);
        match followed {
            Err(()) => FollowStep::Rest,
            Ok(()) if asks_again => FollowStep::GoOn,
            Ok(()) => FollowStep::Wait,
        }
    }

    /// The checkpoints say nothing any more about what was cut off; for the fetcher that asks `leader`.
    pub(crate) fn end_cut(self: &Arc<Cell>, leader: BrokerId) -> FollowStep {
        let mut effects = Vec::new();
        let asks_again = {
            let mut replica = self.lock();
            replica.was_cut = false;
            self.plan_checkpoint();
            if replica.role.leader_id() != leader {
                // Whoever leads now is asked by another fetcher, which knows.
                return FollowStep::Leave;
            }
            replica.end_step(&mut effects)
        };
        self.carry_out(effects);
        if asks_again { FollowStep::GoOn } else { FollowStep::Wait }
    }

    fn append_as_follower(
        self: &Arc<Cell>,
        replica: &mut Replica,
        records: Bytes,
        log_start: Offset,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ()> {
        if !records.is_empty() {
            let leader_epoch = replica.role.leader_epoch();
            let info = match replica.log.append_as_follower(records, leader_epoch, clock::now_ms()) {
                Ok(info) => info,
                Err(error) => {
                    self.on_replication_error(replica, &error);
                    return Err(());
                }
            };
            replica.refuses_records = false;
            self.plan_flush(replica, now);
            if replica.has_records_to_flush() || info.rolled {
                effects.push(Effect::Sync);
            }
            if info.rolled {
                self.directory.plan_checkpoint_soon(&self.services);
                if replica.log.config().compact {
                    self.services.cleaner.add(Arc::downgrade(self));
                }
            }
        }
        let log_start = log_start.min(replica.log.log_end_offset());
        if log_start > replica.log.log_start_offset() {
            replica.log.delete_records_before(log_start);
        }
        Ok(())
    }

    fn cut(&self, replica: &mut Replica, offset: Offset, is_reset: bool) -> FollowStep {
        replica.tail.clear();
        let (topic, partition, end) = (&self.topic, self.partition.0, replica.log.log_end_offset());
        let cut = if is_reset {
            tracing::warn!(
                "{topic}-{partition}: the leader's log begins at {offset}, beyond the end of this one at {end}: begun anew there"
            );
            replica.log.truncate_fully_and_start_at(offset)
        } else if offset < replica.role.high_watermark() {
            tracing::warn!(
                "{topic}-{partition}: the leader has not what is here from {offset} to {end}, of which this broker knows that it was committed \
                 up to {}: cut off",
                replica.role.high_watermark()
            );
            replica.log.truncate_to(offset).map(|_| ())
        } else {
            tracing::info!("{topic}-{partition}: the leader has not what is here from {offset} to {end}: cut off");
            replica.log.truncate_to(offset).map(|_| ())
        };
        match cut {
            Ok(()) => {
                replica.was_cut = true;
                self.directory.checkpoint_is_wrong();
                FollowStep::Cut
            }
            Err(error) => {
                self.on_replication_error(replica, &AppendError::Storage(error));
                FollowStep::Rest
            }
        }
    }

    fn on_replication_error(&self, replica: &mut Replica, error: &AppendError) {
        let (topic, partition) = (&self.topic, self.partition.0);
        if !std::mem::replace(&mut replica.refuses_records, true) {
            tracing::error!(
                "{topic}-{partition}: what the leader says cannot be done to the log; this is tried again until it can: {error}"
            );
        }
        if error.is_disk_failure() {
            self.directory.fail(error);
            replica.write_failure = Some(ErrorCode::KafkaStorageError);
        } else if let AppendError::Storage(reason) = error {
            self.directory.note_full(reason, true);
        }
    }
}

impl Replica {
    /// What the checkpoints hold, as far as an answer of the leader may change it.
    fn checkpointed(&self) -> [Offset; 3] {
        [self.role.high_watermark(), self.log.log_end_offset(), self.log.log_start_offset()]
    }

    /// Tells the role how far the log goes. Returns whether it asks for more at once; the fetcher knows by that, and needs no effect.
    fn end_step(&mut self, effects: &mut Vec<Effect>) -> bool {
        let log = self.log_end();
        effects.extend(self.role.on_followed(log));
        let before = effects.len();
        effects.retain(|effect| !matches!(effect, Effect::Fetch));
        effects.len() < before
    }
}
