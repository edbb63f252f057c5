//! Writes record batches.

use bytes::{BufMut, Bytes};

use crate::batch::{self, BatchHeader, HEADER_BYTES, LOG_OVERHEAD_BYTES, MAGIC, NO_SEQUENCE, NO_TIMESTAMP, TimestampType};
use crate::compression::{Compression, compress};
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::record::{Header, Record};
use crate::zigzag;

/// Collects records, and writes them as one batch.
///
/// Records are encoded as they come, straight behind the place of the header, so an uncompressed batch is never copied.
#[derive(Debug, Clone)]
pub struct RecordBatchBuilder {
    /// Room for the header, then the records.
    buffer: Vec<u8>,
    compression: Compression,
    level: Option<i32>,
    timestamp_type: TimestampType,
    /// Of all records, if the log stamps them.
    log_append_time: i64,
    transactional: bool,
    control: bool,
    delete_horizon: Option<i64>,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: i32,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    last_offset_delta: i32,
    record_count: i32,
}

impl Default for RecordBatchBuilder {
    fn default() -> RecordBatchBuilder {
        RecordBatchBuilder::new()
    }
}

impl RecordBatchBuilder {
    /// A batch as a plain producer writes it: base offset 0, uncompressed, timestamps from the records, no producer id, no epoch.
    pub fn new() -> RecordBatchBuilder {
        RecordBatchBuilder {
            buffer: vec![0; HEADER_BYTES],
            compression: Compression::None,
            level: None,
            timestamp_type: TimestampType::CreateTime,
            log_append_time: NO_TIMESTAMP,
            transactional: false,
            control: false,
            delete_horizon: None,
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: NO_SEQUENCE,
            base_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            last_offset_delta: -1,
            record_count: 0,
        }
    }

    /// `level` on the codec's own scale; `None` = its default.
    pub fn compression(mut self, compression: Compression, level: Option<i32>) -> Self {
        self.compression = compression;
        self.level = level;
        self
    }

    /// All records read back `timestamp_ms`, whatever they were appended with.
    pub fn log_append_time(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_type = TimestampType::LogAppendTime;
        self.log_append_time = timestamp_ms;
        self
    }

    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    pub fn transactional(mut self) -> Self {
        self.transactional = true;
        self
    }

    /// The records are control records (see [`crate::control_record`]).
    pub fn control(mut self) -> Self {
        self.control = true;
        self
    }

    pub fn base_offset(mut self, offset: Offset) -> Self {
        self.base_offset = offset;
        self
    }

    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// From when on compaction may drop tombstones and markers; it takes the place of the base timestamp, so it is set before the first record.
    pub fn delete_horizon(mut self, horizon_ms: i64) -> Self {
        assert!(self.record_count == 0, "timestamps of the records before would be wrong");
        self.delete_horizon = Some(horizon_ms);
        self.base_timestamp = Some(horizon_ms);
        self
    }

    /// Adds a record behind the last one.
    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) {
        self.append_at(self.last_offset_delta + 1, timestamp, key, value, headers);
    }

    /// Adds a record that keeps its offset; offsets only rise, gaps are left by compaction.
    pub fn append_record(&mut self, record: &Record) {
        let delta = i32::try_from(record.offset - self.base_offset).expect("a batch spans less than 2^31 offsets");
        self.append_at(
            delta,
            record.timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        );
    }

    fn append_at(&mut self, offset_delta: i32, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) {
        assert!(offset_delta > self.last_offset_delta, "offsets rise within a batch");
        let base_timestamp = *self.base_timestamp.get_or_insert(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let body_len = body_len(timestamp_delta, offset_delta, key, value, headers);
        self.buffer.reserve(zigzag::len(body_len as i64) + body_len);
        let out = &mut self.buffer;
        zigzag::put(out, body_len as i64);
        out.put_u8(0);
        zigzag::put(out, timestamp_delta);
        zigzag::put(out, i64::from(offset_delta));
        put_bytes(out, key);
        put_bytes(out, value);
        zigzag::put(out, headers.len() as i64);
        for header in headers {
            put_bytes(out, Some(&header.key));
            put_bytes(out, header.value.as_deref());
        }
        self.last_offset_delta = offset_delta;
        self.record_count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }

    /// Makes the batch end at this offset, though compaction has removed the record there.
    pub fn last_offset(mut self, offset: Offset) -> Self {
        let delta = i32::try_from(offset - self.base_offset).expect("a batch spans less than 2^31 offsets");
        assert!(delta >= self.last_offset_delta, "the batch already goes beyond");
        self.last_offset_delta = delta;
        self
    }

    pub fn record_count(&self) -> usize {
        self.record_count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Bytes of the batch if it were written now and uncompressed.
    pub fn size_in_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes by which [`append`](Self::append) would at most grow the batch.
    pub fn record_size_bound(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) -> usize {
        5 + body_len(i64::MIN, i32::MAX, key, value, headers)
    }

    /// Writes the batch. An empty one is what compaction leaves of a producer's last batch.
    pub fn build(self) -> Bytes {
        // An empty batch has nothing to compress, and readers do not expect a codec's frame in it.
        let compression = if self.is_empty() { Compression::None } else { self.compression };
        let bytes = if compression == Compression::None {
            self.buffer
        } else {
            let mut compressed = Vec::with_capacity(HEADER_BYTES + self.buffer.len() / 2);
            compressed.resize(HEADER_BYTES, 0);
            compress(compression, self.level, &self.buffer[HEADER_BYTES..], &mut compressed);
            compressed
        };
        let stamped = self.timestamp_type == TimestampType::LogAppendTime;
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: 0,
            partition_leader_epoch: self.leader_epoch,
            magic: MAGIC,
            crc: 0,
            attributes: batch::attributes(
                compression,
                self.timestamp_type,
                self.transactional,
                self.control,
                self.delete_horizon.is_some(),
            ),
            last_offset_delta: self.last_offset_delta.max(0),
            base_timestamp: self.base_timestamp.unwrap_or(NO_TIMESTAMP),
            max_timestamp: if stamped { self.log_append_time } else { self.max_timestamp },
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.record_count,
        };
        finish(bytes, header)
    }
}

/// The batch of `header` with another codec; `records` are its records, uncompressed.
pub fn recompress(header: &BatchHeader, records: &[u8], codec: Compression, level: Option<i32>) -> Bytes {
    let mut bytes = vec![0; HEADER_BYTES];
    compress(codec, level, records, &mut bytes);
    let attributes = batch::with_compression(header.attributes, codec);
    finish(bytes, BatchHeader { attributes, ..*header })
}

/// What compaction leaves of a batch without its records: offsets, sequence numbers, epochs, times.
pub fn emptied(header: &BatchHeader) -> Bytes {
    let attributes = batch::without_records(header.attributes);
    let header = BatchHeader {
        attributes,
        base_timestamp: NO_TIMESTAMP,
        record_count: 0,
        ..*header
    };
    finish(vec![0; HEADER_BYTES], header)
}

/// Puts the header, with length and checksum, before the records in `bytes`.
fn finish(mut bytes: Vec<u8>, header: BatchHeader) -> Bytes {
    let batch_length = i32::try_from(bytes.len() - LOG_OVERHEAD_BYTES).expect("a batch is smaller than 2 GiB");
    bytes[..HEADER_BYTES].copy_from_slice(&BatchHeader { batch_length, ..header }.to_bytes());
    batch::patch_crc(&mut bytes);
    Bytes::from(bytes)
}

fn body_len(timestamp_delta: i64, offset_delta: i32, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) -> usize {
    let headers_len: usize = headers
        .iter()
        .map(|header| bytes_len(Some(&header.key)) + bytes_len(header.value.as_deref()))
        .sum();
    1 + zigzag::len(timestamp_delta)
        + zigzag::len(i64::from(offset_delta))
        + bytes_len(key)
        + bytes_len(value)
        + zigzag::len(headers.len() as i64)
        + headers_len
}

fn bytes_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| zigzag::len(bytes.len() as i64) + bytes.len())
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => zigzag::put(out, -1),
        Some(bytes) => {
            zigzag::put(out, bytes.len() as i64);
            out.put_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
