//! What stays of one batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::batch::{BatchHeader, RecordBatch, TimestampType};
use dohle_protocol::builder::{self, RecordBatchBuilder};
use dohle_protocol::id::{Offset, ProducerEpoch, ProducerId};
use dohle_protocol::record::{DecodeLimits, Record, RecordError, RecordView};

use super::cleaned_txns::{CleanedTxns, Marker};
use super::keys::Keys;
use super::record_offsets::RecordOffsets;
use crate::limits;
use crate::log_config::{CompressionSetting, LogConfig};
use crate::producer_state::ProducerState;
use crate::txn_index::AbortedTxn;

/// Where the log knows a producer from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastBatch {
    /// The last offset of its last batch with a sequence number.
    data: Option<Offset>,
    epoch: ProducerEpoch,
}

/// The last batch of every producer that the log remembers.
pub(crate) fn last_batches(producers: &ProducerState) -> BTreeMap<ProducerId, LastBatch> {
    let last = |(id, entry): (ProducerId, &crate::producer_state::ProducerEntry)| {
        let data = entry.last_batch().map(|batch| batch.last_offset);
        (id, LastBatch { data, epoch: entry.epoch })
    };
    producers.iter().map(last).collect()
}

/// A batch after cleaning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    /// Byte for byte.
    Whole,
    Changed(Bytes),
}

/// What has been decided about a batch.
#[derive(Debug)]
pub(crate) struct Filtered {
    pub(crate) kept: Kept,
    pub(crate) records_removed: u64,
    /// To be in the transaction index, as its marker is in this batch.
    pub(crate) aborted: Option<AbortedTxn>,
}

/// Fed with all batches of a round, in order.
#[derive(Debug)]
pub(crate) struct BatchFilter<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) txns: CleanedTxns,
    pub(crate) last_batches: &'a BTreeMap<ProducerId, LastBatch>,
    pub(crate) config: &'a Arc<LogConfig>,
    pub(crate) now_ms: i64,
}

impl BatchFilter<'_> {
    /// `ends_segment`: it stays as an empty batch at least, so that the segment ends where it did.
    pub(crate) fn filter(&mut self, batch: &RecordBatch, ends_segment: bool) -> Result<Filtered, RecordError> {
        let header = &batch.header;
        let mut aborted = None;
        let (is_void, needs_horizon) = if header.is_control() {
            match self.txns.on_control(batch)? {
                Marker::Needed(txn) => {
                    aborted = txn;
                    (false, false)
                }
                Marker::Unneeded => (self.is_past_horizon(header), header.delete_horizon().is_none()),
            }
        } else {
            (self.txns.on_data(header), false)
        };
        let keep_empty = ends_segment || self.is_last_of_producer(header);
        let found = if is_void { Stays::default() } else { self.look_through(batch)? };
        let kept = match found.records {
            0 if !keep_empty => Kept::Nothing,
            0 if header.record_count == 0 => Kept::Whole,
            0 => Kept::Changed(builder::emptied(header)),
            _ if header.delete_horizon().is_none() && (needs_horizon || found.has_tombstones) => {
                let horizon_ms = self.now_ms.saturating_add(self.config.delete_retention_ms);
                Kept::Changed(with_horizon(header, &found, horizon_ms, self.level(header)))
            }
            kept if kept == header.record_count => Kept::Whole,
            _ => Kept::Changed(self.shortened(header, &found)?),
        };
        Ok(Filtered {
            kept,
            records_removed: (header.record_count - found.records) as u64,
            aborted,
        })
    }

    fn is_past_horizon(&self, header: &BatchHeader) -> bool {
        header.delete_horizon().is_some_and(|horizon_ms| horizon_ms <= self.now_ms)
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.last_batches.get(&header.producer_id).filter(|_| header.has_producer_id());
        last.is_some_and(|last| match last.data {
            Some(offset) => header.last_offset() == offset,
            // Only a marker told of it, and of the epoch below which it is fenced.
            None => header.is_control() && header.producer_epoch == last.epoch,
        })
    }

    fn look_through(&self, batch: &RecordBatch) -> Result<Stays, RecordError> {
        let header = &batch.header;
        let drops_tombstones = self.is_past_horizon(header);
        let bytes = batch
            .records(DecodeLimits {
                decompressed_bytes_max: limits::DECOMPRESSED_BYTES_MAX,
            })?
            .bytes()
            .clone();
        let mut stays = Stays::default();
        let mut offsets = RecordOffsets::of(header);
        let mut rest = &bytes[..];
        for found in 0..header.record_count {
            if rest.is_empty() {
                let declared = header.record_count;
                return Err(RecordError::Count { declared, found });
            }
            let before = rest;
            let view = RecordView::take(&mut rest)?;
            let offset = offsets.next(&view)?;
            let is_examined = offset < self.keys.end();
            let is_kept = header.is_control() || !is_examined || {
                let is_last = |key: &[u8]| self.keys.last(key).is_none_or(|last| offset >= last);
                view.key.is_some_and(is_last) && !(view.value.is_none() && drops_tombstones)
            };
            if is_kept {
                let start = bytes.len() - before.len();
                let end = bytes.len() - rest.len();
                // The time of a tombstone that is not examined yet has not begun.
                stays.add(bytes.slice(start..end), &view, is_examined && !header.is_control());
            }
        }
        if !rest.is_empty() {
            return Err(RecordError::TrailingBytes(rest.len()));
        }
        Ok(stays)
    }

    /// The records that stay, as they were, in a batch of the same codec.
    fn shortened(&self, header: &BatchHeader, stays: &Stays) -> Result<Bytes, RecordError> {
        let max_timestamp = match header.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp,
            TimestampType::CreateTime => header.base_timestamp.wrapping_add(stays.timestamp_delta_max),
        };
        let shortened = BatchHeader {
            max_timestamp,
            record_count: stays.records,
            ..*header
        };
        let bytes = stays.slices.concat();
        Ok(builder::recompress(&shortened, &bytes, header.compression()?, self.level(header)))
    }

    /// The level at which the topic compresses, if it is in this codec.
    fn level(&self, header: &BatchHeader) -> Option<i32> {
        match self.config.compression {
            CompressionSetting::Codec(codec, level) if header.compression() == Ok(codec) => level,
            _ => None,
        }
    }
}

/// The records of a batch that stay.
#[derive(Debug, Default)]
struct Stays {
    records: i32,
    has_tombstones: bool,
    timestamp_delta_max: i64,
    slices: Vec<Bytes>,
}

impl Stays {
    fn add(&mut self, slice: Bytes, view: &RecordView<'_>, is_data: bool) {
        self.timestamp_delta_max = if self.records == 0 {
            view.timestamp_delta
        } else {
            self.timestamp_delta_max.max(view.timestamp_delta)
        };
        self.records += 1;
        self.has_tombstones |= is_data && view.value.is_none();
        self.slices.push(slice);
    }
}

/// The batch with the records that stay, and a delete horizon. It takes the place of the base timestamp, so every record is written anew.
fn with_horizon(header: &BatchHeader, stays: &Stays, horizon_ms: i64, level: Option<i32>) -> Bytes {
    let codec = header.compression().expect("the records have been decompressed");
    let mut builder = RecordBatchBuilder::new()
        .compression(codec, level)
        .producer(header.producer_id, header.producer_epoch, header.base_sequence)
        .base_offset(header.base_offset)
        .leader_epoch(header.partition_leader_epoch)
        .delete_horizon(horizon_ms);
    let stamped = header.timestamp_type() == TimestampType::LogAppendTime;
    if stamped {
        builder = builder.log_append_time(header.max_timestamp);
    }
    if header.is_transactional() {
        builder = builder.transactional();
    }
    if header.is_control() {
        builder = builder.control();
    }
    for slice in &stays.slices {
        let view = RecordView::take(&mut &slice[..]).expect("it has been decoded before");
        let shared = |bytes: &[u8]| slice.slice_ref(bytes);
        let timestamp = if stamped {
            header.max_timestamp
        } else {
            header.base_timestamp.wrapping_add(view.timestamp_delta)
        };
        builder.append_record(&Record {
            offset: header.base_offset + i64::from(view.offset_delta),
            timestamp,
            key: view.key.map(shared),
            value: view.value.map(shared),
            headers: view
                .headers()
                .map(|(key, value)| dohle_protocol::record::Header {
                    key: shared(key),
                    value: value.map(shared),
                })
                .collect(),
        });
    }
    builder.last_offset(header.last_offset()).build()
}
