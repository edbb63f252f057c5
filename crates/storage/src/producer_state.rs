//! What the producers of one log have written: enough to recognise a batch that is sent again, to refuse one out of order, and to know
//! which transactions are open.
//!
//! An append asks [`ProducerState::check`] before it writes, and calls [`ProducerState::apply`] with the batch as written; a follower, and
//! recovery, only apply.

use std::collections::BTreeMap;

use dohle_protocol::batch::{BatchHeader, NO_SEQUENCE, NO_TIMESTAMP, decrement_sequence, increment_sequence, sequence_is_before};
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::id::{Offset, ProducerEpoch, ProducerId};

use crate::AppendOrigin;
use crate::limits;
use crate::producer_snapshot::ProducerSnapshotEntry;

/// Batches that are remembered of each producer; clients have at most as many in flight.
const BATCHES_RETAINED: usize = 5;

/// A batch is refused because of what its producer has written before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    #[error("producer {producer_id} has epoch {current} here, the batch has {received}")]
    StaleEpoch {
        producer_id: ProducerId,
        current: ProducerEpoch,
        received: ProducerEpoch,
    },
    #[error("producer {producer_id} sent sequence {received}, expected is {expected}")]
    OutOfOrder {
        producer_id: ProducerId,
        expected: i32,
        received: i32,
    },
    #[error("producer {producer_id} sent sequence {received} again, and the offset of that batch is forgotten")]
    OldDuplicate { producer_id: ProducerId, received: i32 },
    #[error("producer {0} has a transaction open, the batch belongs to none")]
    OutsideTransaction(ProducerId),
    #[error("the log has too many open transactions to begin another one")]
    TooManyTransactions,
    #[error("transaction coordinator epoch {received} of producer {producer_id} is older than {current}")]
    StaleCoordinator {
        producer_id: ProducerId,
        current: i32,
        received: i32,
    },
}

impl ProducerError {
    pub fn error_code(&self) -> ErrorCode {
        match self {
            ProducerError::StaleEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            ProducerError::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
            ProducerError::OldDuplicate { .. } => ErrorCode::DuplicateSequenceNumber,
            ProducerError::OutsideTransaction(_) => ErrorCode::InvalidTxnState,
            ProducerError::TooManyTransactions => ErrorCode::PolicyViolation,
            ProducerError::StaleCoordinator { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

/// What is to be done with a batch that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Append,
    /// It is in the log already: success, with the offsets and the timestamp of then.
    Duplicate(BatchMetadata),
}

/// A batch that a producer has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMetadata {
    pub last_sequence: i32,
    pub last_offset: Offset,
    pub offset_delta: i32,
    pub timestamp: i64,
}

impl BatchMetadata {
    pub fn first_sequence(&self) -> i32 {
        decrement_sequence(self.last_sequence, self.offset_delta)
    }

    pub fn first_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// A transaction that its marker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedTxn {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// Of the marker.
    pub last_offset: Offset,
    pub aborted: bool,
}

/// One producer, as this log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerEntry {
    pub epoch: ProducerEpoch,
    /// Of the coordinator that sent the last marker; -1 = none did.
    pub coordinator_epoch: i32,
    /// Of its last batch, as stamped.
    pub last_timestamp: i64,
    /// Where its open transaction began.
    pub txn_first_offset: Option<Offset>,
    /// Oldest first, all of the current epoch.
    batches: Vec<BatchMetadata>,
    /// When it was last heard of, by the broker's clock: a producer of old data must not be forgotten early.
    last_seen_ms: i64,
}

impl ProducerEntry {
    fn new(epoch: ProducerEpoch) -> ProducerEntry {
        ProducerEntry {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: NO_TIMESTAMP,
            txn_first_offset: None,
            batches: Vec::new(),
            last_seen_ms: 0,
        }
    }

    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches.last()
    }

    pub fn last_sequence(&self) -> i32 {
        self.last_batch().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }

    fn remember(&mut self, batch: BatchMetadata) {
        if self.batches.len() == BATCHES_RETAINED {
            self.batches.remove(0);
        }
        self.batches.push(batch);
    }

    fn duplicate_of(&self, batch: &BatchHeader) -> Option<BatchMetadata> {
        let same = |known: &&BatchMetadata| known.last_sequence == batch.last_sequence() && known.first_sequence() == batch.base_sequence;
        self.batches
            .iter()
            .find(same)
            .copied()
            .filter(|_| batch.producer_epoch == self.epoch)
    }

    fn check_sequence(&self, batch: &BatchHeader) -> Result<(), ProducerError> {
        let (producer_id, received) = (batch.producer_id, batch.base_sequence);
        let expected = match self.last_batch() {
            Some(last) if batch.producer_epoch == self.epoch => increment_sequence(last.last_sequence, 1),
            // A new epoch starts over. So does one of which only a marker has been seen.
            _ => 0,
        };
        if received == expected {
            return Ok(());
        }
        let forgotten = |oldest: &BatchMetadata| sequence_is_before(batch.last_sequence(), oldest.first_sequence());
        if batch.producer_epoch == self.epoch && self.batches.first().is_some_and(forgotten) {
            return Err(ProducerError::OldDuplicate { producer_id, received });
        }
        Err(ProducerError::OutOfOrder {
            producer_id,
            expected,
            received,
        })
    }
}

/// The producers of one log. Costs nothing while there are none.
#[derive(Debug, Clone, Default)]
pub struct ProducerState {
    producers: BTreeMap<ProducerId, ProducerEntry>,
    /// Open transactions by the offset at which they began.
    ongoing: BTreeMap<Offset, ProducerId>,
    /// Ended transactions whose marker (the value) is not known to be replicated: readers must not see their end yet.
    unreplicated: BTreeMap<Offset, Offset>,
}

impl ProducerState {
    /// May `batch` be appended? `marker` is that of a control batch. Changes nothing.
    pub fn check(&self, batch: &BatchHeader, marker: Option<&EndTxnMarker>, origin: AppendOrigin) -> Result<Admission, ProducerError> {
        let producer_id = batch.producer_id;
        let Some(entry) = self.producers.get(&producer_id).filter(|_| batch.has_producer_id()) else {
            if batch.is_transactional() && !batch.is_control() && self.ongoing.len() >= limits::PRODUCERS_MAX {
                return Err(ProducerError::TooManyTransactions);
            }
            // Of a producer that is not known any more, any sequence is taken (KIP-360).
            return Ok(Admission::Append);
        };
        if origin == AppendOrigin::Client
            && let Some(known) = entry.duplicate_of(batch)
        {
            return Ok(Admission::Duplicate(known));
        }
        if batch.producer_epoch < entry.epoch {
            return Err(ProducerError::StaleEpoch {
                producer_id,
                current: entry.epoch,
                received: batch.producer_epoch,
            });
        }
        if batch.is_control() {
            let (current, received) = (entry.coordinator_epoch, marker.map_or(i32::MAX, |marker| marker.coordinator_epoch));
            if received < current {
                return Err(ProducerError::StaleCoordinator {
                    producer_id,
                    current,
                    received,
                });
            }
            return Ok(Admission::Append);
        }
        if origin == AppendOrigin::Client {
            entry.check_sequence(batch)?;
        }
        if entry.txn_first_offset.is_some() && !batch.is_transactional() {
            return Err(ProducerError::OutsideTransaction(producer_id));
        }
        Ok(Admission::Append)
    }

    /// Takes note of a batch that is in the log, with its final offsets. What it returns has to go to the transaction index if it was
    /// aborted, with [`ProducerState::last_stable_offset_after`] asked before.
    pub fn apply(&mut self, batch: &BatchHeader, marker: Option<&EndTxnMarker>, now_ms: i64) -> Option<CompletedTxn> {
        if !batch.has_producer_id() || batch.is_control() && marker.is_none() {
            return None;
        }
        let producer_id = batch.producer_id;
        if !self.producers.contains_key(&producer_id) {
            self.make_room();
        }
        let entry = self
            .producers
            .entry(producer_id)
            .or_insert_with(|| ProducerEntry::new(batch.producer_epoch));
        entry.set_epoch(batch.producer_epoch);
        entry.last_timestamp = batch.max_timestamp;
        entry.last_seen_ms = now_ms;
        let Some(marker) = marker else {
            if batch.base_sequence != NO_SEQUENCE {
                entry.remember(BatchMetadata {
                    last_sequence: batch.last_sequence(),
                    last_offset: batch.last_offset(),
                    offset_delta: batch.last_offset_delta,
                    timestamp: batch.max_timestamp,
                });
            }
            if batch.is_transactional() && entry.txn_first_offset.is_none() {
                entry.txn_first_offset = Some(batch.base_offset);
                self.ongoing.insert(batch.base_offset, producer_id);
            }
            return None;
        };
        entry.coordinator_epoch = marker.coordinator_epoch;
        let first_offset = entry.txn_first_offset.take()?;
        self.ongoing.remove(&first_offset);
        self.unreplicated.insert(first_offset, batch.base_offset);
        Some(CompletedTxn {
            producer_id,
            first_offset,
            last_offset: batch.base_offset,
            aborted: !marker.committed,
        })
    }

    /// The last stable offset right after `completed`: where the first open transaction begins, else behind the marker.
    pub fn last_stable_offset_after(&self, completed: &CompletedTxn) -> Offset {
        self.ongoing
            .first_key_value()
            .map_or(completed.last_offset + 1, |(first, _)| *first)
    }

    /// Where the first transaction begins that is open, or whose end is not replicated; readers of committed records stop here.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        self.ongoing
            .keys()
            .next()
            .into_iter()
            .chain(self.unreplicated.keys().next())
            .min()
            .copied()
    }

    /// Transactions whose marker lies below the high watermark are over for readers.
    pub fn on_high_watermark(&mut self, high_watermark: Offset) {
        self.unreplicated.retain(|_, marker| *marker >= high_watermark);
    }

    /// Forgets the producers that have been silent for `expiration_ms` and have no transaction open.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers
            .retain(|_, entry| entry.txn_first_offset.is_some() || now_ms.saturating_sub(entry.last_seen_ms) < expiration_ms);
    }

    /// Anybody may make up producer ids, so their number is limited: the quarter that has been silent for longest goes.
    fn make_room(&mut self) {
        if self.producers.len() < limits::PRODUCERS_MAX {
            return;
        }
        let mut idle: Vec<(i64, ProducerId)> = self
            .producers
            .iter()
            .filter(|(_, entry)| entry.txn_first_offset.is_none())
            .map(|(id, entry)| (entry.last_seen_ms, *id))
            .collect();
        idle.sort_unstable();
        for (_, id) in idle.iter().take(limits::PRODUCERS_MAX / 4) {
            self.producers.remove(id);
        }
    }

    pub fn get(&self, producer_id: ProducerId) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    /// All producers, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &ProducerEntry)> {
        self.producers.iter().map(|(id, entry)| (*id, entry))
    }

    pub fn len(&self) -> usize {
        self.producers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    pub fn clear(&mut self) {
        *self = ProducerState::default();
    }

    /// What goes to the `.snapshot` file.
    pub fn to_snapshot(&self) -> Vec<ProducerSnapshotEntry> {
        let entry = |(id, entry): (ProducerId, &ProducerEntry)| {
            let last = entry.last_batch();
            ProducerSnapshotEntry {
                producer_id: id,
                epoch: entry.epoch,
                last_sequence: entry.last_sequence(),
                last_offset: last.map_or(Offset::NONE, |batch| batch.last_offset),
                offset_delta: last.map_or(0, |batch| batch.offset_delta),
                last_timestamp: entry.last_timestamp,
                coordinator_epoch: entry.coordinator_epoch,
                txn_first_offset: entry.txn_first_offset,
            }
        };
        self.iter().map(entry).collect()
    }

    /// The state in a `.snapshot` file. Silence is counted from now on.
    pub fn from_snapshot(entries: &[ProducerSnapshotEntry], now_ms: i64) -> ProducerState {
        let mut state = ProducerState::default();
        for entry in entries {
            let batch = BatchMetadata {
                last_sequence: entry.last_sequence,
                last_offset: entry.last_offset,
                offset_delta: entry.offset_delta,
                timestamp: entry.last_timestamp,
            };
            if let Some(first_offset) = entry.txn_first_offset {
                state.ongoing.insert(first_offset, entry.producer_id);
            }
            let known = ProducerEntry {
                epoch: entry.epoch,
                coordinator_epoch: entry.coordinator_epoch,
                last_timestamp: entry.last_timestamp,
                txn_first_offset: entry.txn_first_offset,
                batches: if entry.last_offset.0 >= 0 { vec![batch] } else { Vec::new() },
                last_seen_ms: now_ms,
            };
            state.producers.insert(entry.producer_id, known);
        }
        state
    }
}

#[cfg(test)]
mod tests;
