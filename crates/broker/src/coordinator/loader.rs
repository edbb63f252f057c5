//! Reads a shard's log from its start to its end, and replays it.
//!
//! What cannot be read or understood is skipped, said in the log of this process with shard and offset, and counted: one damaged record
//! does not cost anybody else's offsets.

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_coordinator::GroupShard;
use dohle_protocol::ErrorCode;
use dohle_protocol::batch::{self, RecordBatch};
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::coordinator_records::GroupRecord;
use dohle_protocol::id::{LeaderEpoch, Offset, ProducerId};
use dohle_protocol::record::{DecodeLimits, Record};
use dohle_storage::{ReadError, ReadRequest, ReadView};
use tokio_util::sync::CancellationToken;

use crate::limits;
use crate::metrics::groups::GroupMetrics;
use crate::replica::cell::Cell;

/// A shard's log could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("the partition cannot be used: {0}")]
    Partition(ErrorCode),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the broker ends")]
    Stopped,
}

impl From<ErrorCode> for LoadError {
    fn from(code: ErrorCode) -> LoadError {
        LoadError::Partition(code)
    }
}

pub(super) struct Loader<'a> {
    pub(super) cell: &'a Cell,
    pub(super) leader_epoch: LeaderEpoch,
    /// Bytes read at a time.
    pub(super) chunk_bytes: usize,
    pub(super) metrics: &'a GroupMetrics,
    pub(super) stop: &'a CancellationToken,
    pub(super) machine: GroupShard,
    /// Records of transactions (another coordinator's, from before) of which it is not known yet how they end.
    pub(super) open: BTreeMap<ProducerId, Vec<GroupRecord>>,
}

impl Loader<'_> {
    /// Returns the machine as the log makes it, and where the log ends. Blocks.
    pub(super) fn load(mut self) -> Result<(GroupShard, Offset), LoadError> {
        let view = self.cell.view(self.leader_epoch)?;
        let end = view.log_end_offset;
        let mut offset = view.log_start_offset;
        while offset < end {
            if self.stop.is_cancelled() {
                return Err(LoadError::Stopped);
            }
            // Anew each time: the cleaner may have replaced segments.
            let view = self.cell.view(self.leader_epoch)?;
            offset = match self.read(&view.log, offset.max(view.log_start_offset), end)? {
                Some(next) => next,
                None => break,
            };
        }
        Ok((self.machine, end))
    }

    /// Replays the next batches from `offset` on. Returns where to go on; `None` if nothing follows.
    fn read(&mut self, log: &ReadView, offset: Offset, end: Offset) -> Result<Option<Offset>, LoadError> {
        let request = ReadRequest {
            offset,
            upper_bound: end,
            max_bytes: self.chunk_bytes,
            min_one_batch: true,
        };
        match log.read(request) {
            Ok(read) if read.records.is_empty() => Ok(None),
            Ok(read) => {
                // Every batch has been checked when it was read.
                for batch in batch::batches(read.records).flatten() {
                    self.replay_batch(&batch);
                }
                Ok(Some(read.next_offset))
            }
            Err(ReadError::Corrupt { offset, reason }) => {
                let next = log.offset_behind_damage(offset);
                self.skip(offset, &format!("{reason}; going on at offset {next}"));
                Ok(Some(next))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn replay_batch(&mut self, batch: &RecordBatch) {
        let limits = DecodeLimits {
            decompressed_bytes_max: limits::GROUP_BATCH_BYTES_DECOMPRESSED_MAX,
        };
        if batch.header.is_control() {
            return self.end_transaction(batch);
        }
        let records = match batch.records(limits) {
            Ok(records) => records,
            Err(error) => return self.skip(batch.header.base_offset, &error),
        };
        let mut next_offset = batch.header.base_offset;
        for record in records {
            match record {
                Ok(record) => {
                    next_offset = record.offset + 1;
                    self.replay_record(record, batch);
                }
                Err(error) => return self.skip(next_offset, &error),
            }
        }
    }

    fn replay_record(&mut self, record: Record, batch: &RecordBatch) {
        let offset = record.offset;
        let Some(key) = record.key else {
            return self.skip(offset, &"a record without a key");
        };
        // What is kept of a record must not keep the whole chunk in memory.
        let value = record.value.map(|value| Bytes::copy_from_slice(&value));
        match GroupRecord::decode(key, value) {
            Ok(Some(record)) if batch.header.is_transactional() => self.open.entry(batch.header.producer_id).or_default().push(record),
            Ok(Some(record)) => self.machine.replay(&record),
            Ok(None) => tracing::debug!(partition = self.cell.partition.0, %offset, "passed over a record of another kind of group"),
            Err(error) => self.skip(offset, &error),
        }
    }

    fn end_transaction(&mut self, batch: &RecordBatch) {
        match EndTxnMarker::from_batch(batch) {
            Ok(Some(marker)) => {
                let records = self.open.remove(&batch.header.producer_id).unwrap_or_default();
                if marker.committed {
                    records.iter().for_each(|record| self.machine.replay(record));
                }
            }
            Ok(None) => {}
            Err(error) => self.skip(batch.header.base_offset, &error),
        }
    }

    fn skip(&self, offset: Offset, reason: &dyn std::fmt::Display) {
        let partition = self.cell.partition.0;
        tracing::warn!(
            shard = partition,
            offset = offset.0,
            "skipped a record of __consumer_offsets: {reason}"
        );
        self.metrics.skipped(partition, offset);
    }
}
