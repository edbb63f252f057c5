//! Batches of idempotent producers that were turned away for a reason that passes, so that what was sent behind them is turned away too.
//!
//! A client has up to five batches of a partition on the way. If the first one came before this broker knew that it leads and the second one
//! comes after, then the second one is ahead of its turn, and both usual answers are harmful. "Out of order" makes librdkafka begin a new
//! epoch, in which it sends again what other partitions may have taken already. And where nothing is known of the producer, the batch would be
//! appended, and the first one, when it comes again, be taken for a duplicate and never be written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use dohle_protocol::ErrorCode;
use dohle_protocol::batch::{BatchHeader, sequence_is_before};
use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_replication::TopicRef;
use dohle_storage::AppendError;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits;
use crate::replica::cell::ProduceError;

/// One producer in one partition, as its requests name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sender {
    producer_id: ProducerId,
    topic: TopicRef,
    partition: i32,
}

impl Sender {
    /// `None` if the batch has no number to be out of order with.
    pub(crate) fn of(batch: &BatchHeader, topic: TopicRef, partition: i32) -> Option<Sender> {
        (batch.has_producer_id() && batch.base_sequence >= 0).then_some(Sender {
            producer_id: batch.producer_id,
            topic,
            partition,
        })
    }
}

/// What was turned away and has not come again.
#[derive(Debug, Clone, Copy)]
struct Note {
    epoch: ProducerEpoch,
    first_sequence: i32,
    reason: ErrorCode,
    at: Instant,
}

impl Note {
    fn holds(&self, batch: &BatchHeader, now: Instant) -> bool {
        self.epoch == batch.producer_epoch && is_recent(self.at, now)
    }
}

#[derive(Debug, Default)]
pub(crate) struct TurnedAway {
    /// Not so on most brokers at most times.
    is_used: AtomicBool,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    by_sender: BTreeMap<Sender, Note>,
    newest: Option<Instant>,
}

impl TurnedAway {
    /// Whether errors like this pass, and come before anything is appended. What was only behind another batch is not noted: should that
    /// one never come again, because another broker had taken it, the wait for it has to end.
    pub(crate) fn is_noted(error: &ProduceError) -> bool {
        use ErrorCode::{KafkaStorageError, NotEnoughReplicas, NotLeaderOrFollower, UnknownTopicId, UnknownTopicOrPartition};
        let is_behind = matches!(error, ProduceError::Log(AppendError::BehindTurnedAway { .. }));
        !is_behind
            && matches!(
                error.error_code(),
                NotLeaderOrFollower | UnknownTopicOrPartition | UnknownTopicId | NotEnoughReplicas | KafkaStorageError
            )
    }

    /// Whether there is anything to look up.
    pub(crate) fn is_empty(&self, now: Instant) -> bool {
        if !self.is_used.load(Ordering::Relaxed) {
            return true;
        }
        let mut notes = self.notes.lock();
        if notes.newest.is_some_and(|newest| is_recent(newest, now)) {
            return false;
        }
        *notes = Notes::default();
        self.is_used.store(false, Ordering::Relaxed);
        true
    }

    pub(crate) fn note(&self, sender: Sender, batch: &BatchHeader, reason: ErrorCode, now: Instant) {
        let mut notes = self.notes.lock();
        let known = notes.by_sender.get(&sender).copied();
        if known.is_none() && notes.by_sender.len() >= limits::TURNED_AWAY_MAX {
            notes.by_sender.retain(|_, note| is_recent(note.at, now));
            if notes.by_sender.len() >= limits::TURNED_AWAY_MAX {
                return;
            }
        }
        let first_sequence = match known.filter(|note| note.holds(batch, now)) {
            Some(note) if sequence_is_before(note.first_sequence, batch.base_sequence) => note.first_sequence,
            _ => batch.base_sequence,
        };
        let note = Note {
            epoch: batch.producer_epoch,
            first_sequence,
            reason,
            at: now,
        };
        notes.by_sender.insert(sender, note);
        notes.newest = Some(now);
        self.is_used.store(true, Ordering::Relaxed);
    }

    /// Why a batch before this one was turned away, if one was.
    pub(crate) fn reason_before(&self, sender: &Sender, batch: &BatchHeader, now: Instant) -> Option<ErrorCode> {
        let notes = self.notes.lock();
        let note = notes.by_sender.get(sender).filter(|note| note.holds(batch, now))?;
        sequence_is_before(note.first_sequence, batch.base_sequence).then_some(note.reason)
    }

    /// The batch is in the log, and by that whatever was before it.
    pub(crate) fn forget(&self, sender: &Sender, batch: &BatchHeader) {
        let mut notes = self.notes.lock();
        // It may be one that came again and was there before.
        let comes_first = |note: &Note| note.epoch == batch.producer_epoch && sequence_is_before(batch.base_sequence, note.first_sequence);
        if !notes.by_sender.get(sender).is_some_and(comes_first) {
            notes.by_sender.remove(sender);
        }
    }
}

fn is_recent(moment: Instant, now: Instant) -> bool {
    now.saturating_duration_since(moment) < limits::TURNED_AWAY_REMEMBERED
}

#[cfg(test)]
mod tests;
