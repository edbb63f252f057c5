//! The batches of one partition: their order, their numbering, and when the next may leave. No I/O, no clock of its own.
//!
//! A number (`position`) is given when a batch is first sent, and it keeps it over retries, so that the server can tell a repetition
//! from a new batch. A numbered batch that is given up leaves a gap that the server would never let pass: then all in flight is
//! awaited and the rest is numbered from zero under the next epoch.

use std::collections::VecDeque;
use std::time::Duration;

use dohle_protocol::compression::Compression;
use dohle_protocol::id::ProducerEpoch;
use tokio::time::Instant;

use super::ProducerRecord;
use super::batch::{Batch, Identity, Stamp};

#[derive(Default)]
pub(super) struct PartitionQueue {
    /// In order; only the last one may still take records.
    waiting: VecDeque<Batch>,
    in_flight: usize,
    /// One that is in flight was sent before; nothing else is sent meanwhile.
    retry_in_flight: bool,
    identity: Option<Identity>,
    next_position: u64,
    has_gap: bool,
    not_before: Option<Instant>,
}

impl PartitionQueue {
    /// Queues a record; the batch it is in, its index in it, and whether the sender has something new to consider.
    pub(super) fn append(
        &mut self,
        record: &ProducerRecord,
        timestamp_ms: i64,
        bytes_max: usize,
        compression: Compression,
    ) -> (&Batch, u32, bool) {
        let appended = self
            .waiting
            .back_mut()
            .and_then(|open| open.append(record, timestamp_ms, bytes_max));
        match appended {
            Some(index) => {
                let batch = self.waiting.back().expect("it took the record");
                (batch, index, batch.bytes >= bytes_max)
            }
            None => {
                let mut batch = Batch::new(compression);
                let index = batch
                    .append(record, timestamp_ms, bytes_max)
                    .expect("an empty batch takes any record");
                self.waiting.push_back(batch);
                (self.waiting.back().expect("just pushed"), index, true)
            }
        }
    }

    /// From when on the first waiting batch may be sent; `None` if that depends on an answer.
    pub(super) fn due_at(&self, linger: Duration, bytes_max: usize, at_once: bool) -> Option<Instant> {
        let first = self.waiting.front()?;
        if self.in_flight > 0 && (first.attempts > 0 || self.has_gap || self.retry_in_flight) {
            return None;
        }
        let complete = at_once || self.waiting.len() > 1 || first.attempts > 0 || first.bytes >= bytes_max;
        let due = if complete { first.created } else { first.created + linger };
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// Whether the next batch needs an identity that this queue does not have.
    pub(super) fn needs_identity(&self) -> bool {
        match self.identity {
            None => true,
            Some(identity) => self.has_gap && identity.epoch.0 == i16::MAX,
        }
    }

    /// Whether `offered` is the identity that this queue has used up.
    pub(super) fn has_spent_identity(&self, offered: Option<Identity>) -> bool {
        self.identity.map(|identity| identity.id) == offered.map(|identity| identity.id)
    }

    /// Whether an answer is awaited for more than one batch.
    pub(super) fn has_other_in_flight(&self) -> bool {
        self.in_flight > 1
    }

    /// Bytes of the batch that takes records now.
    pub(super) fn back_bytes(&self) -> usize {
        self.waiting.back().map_or(0, |batch| batch.bytes)
    }

    pub(super) fn first_bytes(&self) -> usize {
        self.waiting.front().map_or(0, |batch| batch.bytes)
    }

    /// Takes the first batch to send it. `identity` is used if this queue has none; `None` for a producer that is not idempotent.
    pub(super) fn take(&mut self, identity: Option<Identity>) -> (Batch, Stamp) {
        if identity.is_some() && (self.has_gap || self.needs_identity()) {
            self.number_anew(identity);
        }
        let mut batch = self.waiting.pop_front().expect("the caller knows that a batch is due");
        let position = *batch.position.get_or_insert_with(|| {
            let position = self.next_position;
            self.next_position += u64::from(batch.record_count);
            position
        });
        self.retry_in_flight = batch.attempts > 0;
        batch.attempts += 1;
        self.in_flight += 1;
        (batch, self.identity.map(|identity| (identity, position)))
    }

    fn number_anew(&mut self, fresh: Option<Identity>) {
        assert!(self.in_flight == 0, "what is in flight has its number");
        self.identity = match self.identity {
            Some(old) if old.epoch.0 < i16::MAX => Some(Identity {
                epoch: ProducerEpoch(old.epoch.0 + 1),
                ..old
            }),
            _ => fresh,
        };
        self.next_position = 0;
        self.has_gap = false;
        self.waiting.iter_mut().for_each(|batch| batch.position = None);
    }

    /// The batch is done with, well or not.
    pub(super) fn settle(&mut self, leaves_gap: bool) {
        self.in_flight -= 1;
        self.retry_in_flight &= self.in_flight > 0;
        self.has_gap |= leaves_gap;
    }

    /// The batch (or what it was split into) will be sent again, before all that came after it.
    pub(super) fn put_back(&mut self, batches: impl IntoIterator<Item = Batch>, not_before: Option<Instant>, number_anew: bool) {
        self.settle(number_anew);
        self.not_before = not_before;
        for batch in batches {
            let behind = |other: &Batch| other.position.is_none_or(|position| Some(position) > batch.position);
            let index = self.waiting.iter().position(behind).unwrap_or(self.waiting.len());
            self.waiting.insert(index, batch);
        }
    }

    /// Removes the waiting batches created before `cutoff`.
    pub(super) fn take_expired(&mut self, cutoff: Instant) -> Vec<Batch> {
        let mut expired = Vec::new();
        while self.waiting.front().is_some_and(|batch| batch.created <= cutoff) {
            let batch = self.waiting.pop_front().expect("just seen");
            self.has_gap |= batch.position.is_some();
            expired.push(batch);
        }
        expired
    }

    pub(super) fn take_all_waiting(&mut self) -> Vec<Batch> {
        self.has_gap |= self.waiting.iter().any(|batch| batch.position.is_some());
        self.waiting.drain(..).collect()
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.front().map(|batch| batch.created)
    }
}

#[cfg(test)]
mod tests;
