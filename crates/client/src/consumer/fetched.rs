//! The answer for one partition, decoded a batch at a time: skips what is below the position, control batches, and for
//! read_committed what was aborted.

use std::collections::BTreeSet;

use bytes::Bytes;
use dohle_protocol::batch::{BatchError, BatchHeader, RecordBatch, TimestampType, batches};
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::messages::fetch::{AbortedTransaction, PartitionData};
use dohle_protocol::record::{DecodeLimits, Records};

use super::{ConsumeError, ConsumerRecord};
use crate::cluster_metadata::TopicPartition;
use crate::config::{ConsumerConfig, IsolationLevel};
use crate::limits::BATCH_BYTES_UNPACKED_MAX;

pub(super) struct Fetched {
    tp: TopicPartition,
    /// From the batch that is being taken on; the last one may be cut.
    rest: Bytes,
    current: Option<OpenBatch>,
    /// Offset from which on records are wanted.
    from: i64,
    /// Leader epoch of the batch before `from`.
    from_epoch: i32,
    check_crcs: bool,
    read_committed: bool,
    /// Aborted transactions that begin later, by their first offset, the last one first.
    aborted_later: Vec<AbortedTransaction>,
    aborted_now: BTreeSet<i64>,
}

struct OpenBatch {
    records: Records,
    bytes: usize,
    next_offset: i64,
    leader_epoch: i32,
    timestamp_type: TimestampType,
}

impl Fetched {
    pub(super) fn new(tp: TopicPartition, from: i64, data: PartitionData, config: &ConsumerConfig) -> Fetched {
        let mut aborted_later = data.aborted_transactions.unwrap_or_default();
        aborted_later.sort_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        Fetched {
            tp,
            rest: data.records.unwrap_or_default(),
            current: None,
            from,
            from_epoch: -1,
            check_crcs: config.check_crcs,
            read_committed: config.isolation == IsolationLevel::ReadCommitted,
            aborted_later,
            aborted_now: BTreeSet::new(),
        }
    }

    pub(super) fn partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// The offset after what has been taken.
    pub(super) fn position(&self) -> i64 {
        self.from
    }

    pub(super) fn position_epoch(&self) -> i32 {
        self.from_epoch
    }

    /// The offset after the last whole batch; where it began if there is none.
    pub(super) fn next_fetch(&self) -> Result<i64, BatchError> {
        let mut next = self.from;
        for batch in batches(self.rest.clone()) {
            match batch {
                Ok(batch) => next = next.max(batch.header.next_offset().0),
                Err(BatchError::Cut { .. }) => break,
                // Told when the batches before it have been read; if it is the first, now.
                Err(reason) if next == self.from => return Err(reason),
                Err(_) => break,
            }
        }
        Ok(next)
    }

    /// Appends up to `count` records; whether this was all. What cannot be read is an error each time: nothing is skipped without a word.
    pub(super) fn take(&mut self, count: usize, out: &mut Vec<ConsumerRecord>) -> Result<bool, ConsumeError> {
        let full = out.len() + count;
        while out.len() < full {
            let Some(open) = &mut self.current else {
                if !self.open_next()? {
                    return Ok(true);
                }
                continue;
            };
            match open.records.next() {
                None => {
                    // Compaction may have removed the last records of the batch.
                    self.from = self.from.max(open.next_offset);
                    self.from_epoch = open.leader_epoch;
                    self.rest = self.rest.slice(open.bytes..);
                    self.current = None;
                }
                Some(Ok(record)) if record.offset.0 < self.from => {}
                Some(Ok(record)) => {
                    self.from = record.offset.0 + 1;
                    self.from_epoch = open.leader_epoch;
                    out.push(ConsumerRecord {
                        topic: self.tp.topic.clone(),
                        partition: self.tp.partition,
                        offset: record.offset.0,
                        leader_epoch: open.leader_epoch,
                        timestamp_ms: record.timestamp,
                        timestamp_type: open.timestamp_type,
                        key: record.key,
                        value: record.value,
                        headers: record.headers,
                    });
                }
                Some(Err(reason)) => {
                    // It is opened again by the next call.
                    self.current = None;
                    return Err(ConsumeError::BadRecord {
                        partition: self.tp.clone(),
                        offset: self.from,
                        reason,
                    });
                }
            }
        }
        Ok(false)
    }

    /// Opens the next batch that holds records for the application; false at the end.
    fn open_next(&mut self) -> Result<bool, ConsumeError> {
        loop {
            if self.rest.is_empty() {
                return Ok(false);
            }
            let batch = match RecordBatch::parse(&self.rest) {
                Ok(batch) => batch,
                Err(BatchError::Cut { .. }) => return Ok(false),
                Err(reason) => return Err(self.bad_batch(reason)),
            };
            let header = batch.header;
            let bytes = batch.bytes.len();
            if header.last_offset().0 < self.from {
                self.rest = self.rest.slice(bytes..);
                continue;
            }
            if self.check_crcs {
                batch.verify_crc().map_err(|reason| self.bad_batch(reason))?;
            }
            if header.is_control() {
                self.note_marker(&batch);
            } else if !self.is_aborted(&header) {
                let limits = DecodeLimits {
                    decompressed_bytes_max: BATCH_BYTES_UNPACKED_MAX,
                };
                let records = batch.records(limits);
                let records = records.map_err(|reason| ConsumeError::BadRecord {
                    partition: self.tp.clone(),
                    offset: header.base_offset.0,
                    reason,
                })?;
                let leader_epoch = header.partition_leader_epoch.0;
                self.current = Some(OpenBatch {
                    records,
                    bytes,
                    next_offset: header.next_offset().0,
                    leader_epoch,
                    timestamp_type: header.timestamp_type(),
                });
                return Ok(true);
            }
            self.from = header.next_offset().0;
            self.rest = self.rest.slice(bytes..);
        }
    }

    fn bad_batch(&self, reason: BatchError) -> ConsumeError {
        ConsumeError::BadBatch {
            partition: self.tp.clone(),
            offset: self.from,
            reason,
        }
    }

    fn note_marker(&mut self, batch: &RecordBatch) {
        if let Ok(Some(EndTxnMarker { committed: false, .. })) = EndTxnMarker::from_batch(batch) {
            self.begin_aborted_up_to(batch.header.last_offset().0);
            self.aborted_now.remove(&batch.header.producer_id.0);
        }
    }

    fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        if !self.read_committed || !header.is_transactional() {
            return false;
        }
        self.begin_aborted_up_to(header.last_offset().0);
        self.aborted_now.contains(&header.producer_id.0)
    }

    fn begin_aborted_up_to(&mut self, offset: i64) {
        while let Some(aborted) = self.aborted_later.pop_if(|aborted| aborted.first_offset <= offset) {
            self.aborted_now.insert(aborted.producer_id);
        }
    }
}

#[cfg(test)]
mod tests;
