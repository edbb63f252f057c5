//! Decides whether a batch may enter the log, and makes it what the log wants: offsets, leader epoch, timestamps, codec.
//!
//! Two depths. The header is always checked: one batch, format 2, size, checksum, and numbers that are plausible for its bytes; that costs
//! one pass of CRC-32C and no work per record. With [`LogConfig::strict_validation`], which is the default, each record that a client
//! sends is decoded as well, because otherwise a forged count, a record that ends in the middle, or a megabyte that decompresses to a
//! gigabyte is acknowledged here and found by every consumer. The walk takes 15 to 20 ns per record, against 6 ns per 100 bytes for the
//! checksum; on compressed batches it also takes the decompression, some 0.2 s of CPU per uncompressed gigabyte with lz4, 0.4 with zstd, as
//! much as in Kafka. Where the producers are trusted, switching it off is worth that.
//! Compacted topics, timestamps out of range and a change of codec need the records in any case.

use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};
use dohle_protocol::batch::{
    self, BatchError, BatchHeader, HEADER_BYTES, NO_TIMESTAMP, RecordBatch, TimestampType, patch_base_offset, patch_leader_epoch,
    patch_timestamps,
};
use dohle_protocol::builder::recompress;
use dohle_protocol::compression::{self, Compression, DecompressError, decompress_for_now};
use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_protocol::record::{RECORD_BYTES_MIN, RecordError, RecordView};
use dohle_protocol::record_walk::RecordWalk;

use crate::log_config::{CompressionSetting, LogConfig};
use crate::{AppendOrigin, limits};

/// Who appends, when, and what it can express.
#[derive(Debug, Clone, Copy)]
pub struct ValidationContext {
    pub origin: AppendOrigin,
    pub now_ms: i64,
    /// False for Produce before version 7.
    pub zstd_allowed: bool,
}

/// A batch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    #[error("records of a partition must be exactly one batch: {0}")]
    NotOneBatch(&'static str),
    #[error(transparent)]
    Format(BatchError),
    #[error("batch of {size} bytes is larger than the {max} that are allowed")]
    TooLarge { size: usize, max: usize },
    #[error("zstd needs Produce version 7")]
    ZstdTooEarly,
    #[error("{0}")]
    Header(&'static str),
    #[error("batch declares {count} records and {last_offset_delta} as its last offset delta, and has {bytes} bytes of them")]
    Count { count: i32, last_offset_delta: i32, bytes: usize },
    #[error(transparent)]
    Records(#[from] RecordError),
    #[error("record {index} has offset delta {found}")]
    OffsetDelta { index: usize, found: i32 },
    #[error("{} of the records are refused, the first because {}", .0.len(), .0[0].reason)]
    Rejected(Vec<RecordRejection>),
}

/// Why one record of a batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRejection {
    /// Position in the batch.
    pub batch_index: i32,
    pub reason: RejectionReason,
}

/// See [`RecordRejection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RejectionReason {
    #[error("a compacted topic takes no record without a key")]
    NoKey,
    #[error("timestamp {timestamp} is not between {min} and {max}")]
    Timestamp { timestamp: i64, min: i64, max: i64 },
}

impl ValidationError {
    pub fn error_code(&self) -> ErrorCode {
        match self {
            ValidationError::Format(BatchError::Checksum { .. }) => ErrorCode::CorruptMessage,
            ValidationError::Format(BatchError::Codec(_)) | ValidationError::ZstdTooEarly => ErrorCode::UnsupportedCompressionType,
            ValidationError::TooLarge { .. } | ValidationError::Records(RecordError::Decompress(DecompressError::TooLarge { .. })) => {
                ErrorCode::MessageTooLarge
            }
            ValidationError::Rejected(records) if records.iter().any(|record| record.reason != RejectionReason::NoKey) => {
                ErrorCode::InvalidTimestamp
            }
            _ => ErrorCode::InvalidRecord,
        }
    }

    /// The records at fault, where single ones are.
    pub fn rejections(&self) -> &[RecordRejection] {
        match self {
            ValidationError::Rejected(records) => records,
            _ => &[],
        }
    }
}

/// A batch that may enter the log, complete but for its place there.
#[derive(Debug)]
pub struct ValidBatch {
    bytes: BytesMut,
    header: BatchHeader,
}

impl ValidBatch {
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    pub fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The batch as it is written, its first record at `base_offset`.
    pub fn place(mut self, base_offset: Offset, leader_epoch: LeaderEpoch) -> RecordBatch {
        patch_base_offset(&mut self.bytes, base_offset);
        patch_leader_epoch(&mut self.bytes, leader_epoch);
        let header = BatchHeader {
            base_offset,
            partition_leader_epoch: leader_epoch,
            ..self.header
        };
        RecordBatch {
            header,
            bytes: self.bytes.freeze(),
        }
    }
}

/// Checks `records`, the bytes of one partition in a produce request or of an append by the broker itself. They are changed in place if
/// nobody else holds them, else copied once.
pub fn validate(records: Bytes, config: &LogConfig, context: ValidationContext) -> Result<ValidBatch, ValidationError> {
    let header = only_batch(&records)?;
    let codec = header.compression().map_err(ValidationError::Format)?;
    if codec == Compression::Zstd && !context.zstd_allowed {
        return Err(ValidationError::ZstdTooEarly);
    }
    check_size(records.len(), config)?;
    batch::verify_crc(&records).map_err(ValidationError::Format)?;
    check_header(&header, codec, config)?;
    if context.origin == AppendOrigin::Client {
        check_client_header(&header)?;
    };

    let target = target_codec(&header, codec, config);
    let walk = context.origin == AppendOrigin::Client && (target.is_some() || needs_walk(&header, config, context.now_ms));
    let mut records = records;
    let mut max_timestamp = header.max_timestamp;
    if walk || target.is_some() {
        let stored = records.slice(HEADER_BYTES..);
        let payload = decompress_for_now(codec, &stored, decompressed_bytes_max(config)).map_err(RecordError::from)?;
        if walk {
            max_timestamp = match quick_check(&payload, &header, config, context.now_ms) {
                Some(max_timestamp) => max_timestamp,
                None => check_records(&payload, &header, config, context.now_ms)?,
            };
        }
        if let Some((codec, level)) = target {
            records = recompress(&header, &payload, codec, level);
            check_size(records.len(), config)?;
        }
        compression::recycle(payload);
    }
    let mut bytes = records.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    if config.timestamp_type == TimestampType::LogAppendTime {
        max_timestamp = context.now_ms;
    }
    if header.timestamp_type() != config.timestamp_type || header.max_timestamp != max_timestamp {
        patch_timestamps(&mut bytes, config.timestamp_type, max_timestamp);
    }
    let header = BatchHeader::parse(&bytes).map_err(ValidationError::Format)?;
    Ok(ValidBatch { bytes, header })
}

fn only_batch(records: &[u8]) -> Result<BatchHeader, ValidationError> {
    if records.is_empty() {
        return Err(ValidationError::NotOneBatch("there is none"));
    }
    let header = BatchHeader::parse(records).map_err(ValidationError::Format)?;
    match header.size_in_bytes().cmp(&records.len()) {
        std::cmp::Ordering::Less => Err(ValidationError::NotOneBatch("more bytes follow it")),
        std::cmp::Ordering::Equal => Ok(header),
        std::cmp::Ordering::Greater => Err(ValidationError::NotOneBatch("it is cut")),
    }
}

fn check_size(size: usize, config: &LogConfig) -> Result<(), ValidationError> {
    let max = config.max_message_bytes as usize;
    if size > max {
        Err(ValidationError::TooLarge { size, max })
    } else {
        Ok(())
    }
}

/// A batch as large as the topic takes must always be readable, however the topic is configured.
fn decompressed_bytes_max(config: &LogConfig) -> usize {
    limits::PRODUCED_BYTES_DECOMPRESSED_MAX.max(config.max_message_bytes as usize)
}

/// Numbers that must fit each other and the bytes, whoever wrote them.
fn check_header(header: &BatchHeader, codec: Compression, config: &LogConfig) -> Result<(), ValidationError> {
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    let bytes = header.size_in_bytes() - HEADER_BYTES;
    let bytes_max = if codec == Compression::None {
        bytes
    } else {
        decompressed_bytes_max(config)
    };
    let plausible = count > 0 && i64::from(last_offset_delta) + 1 == i64::from(count) && count as usize <= bytes_max / RECORD_BYTES_MIN;
    if !plausible || bytes == 0 {
        return Err(ValidationError::Count {
            count,
            last_offset_delta,
            bytes,
        });
    }
    Ok(())
}

fn check_client_header(header: &BatchHeader) -> Result<(), ValidationError> {
    let fault = if header.base_offset != Offset::ZERO {
        "a client's batch must begin at offset 0"
    } else if header.is_control() {
        "clients must not write control records"
    } else if header.has_producer_id() && header.base_sequence < 0 {
        "a batch with a producer id needs a sequence number"
    } else if header.has_producer_id() && header.producer_epoch.0 < 0 {
        "a batch with a producer id needs a producer epoch"
    } else if header.is_transactional() && !header.has_producer_id() {
        "a transactional batch needs a producer id"
    } else {
        return Ok(());
    };
    Err(ValidationError::Header(fault))
}

/// The codec and level to change to, if the topic wants another one than the batch has.
fn target_codec(header: &BatchHeader, codec: Compression, config: &LogConfig) -> Option<(Compression, Option<i32>)> {
    match config.compression {
        // Control records stay as the coordinator writes them.
        CompressionSetting::Codec(target, level) if target != codec && !header.is_control() => Some((target, level)),
        _ => None,
    }
}

fn needs_walk(header: &BatchHeader, config: &LogConfig, now_ms: i64) -> bool {
    let in_range = |timestamp| check_timestamp(timestamp, config, now_ms).is_none();
    config.strict_validation || config.compact || !in_range(header.base_timestamp) || !in_range(header.max_timestamp)
}

/// The latest timestamp of the records, if nothing about them needs a closer look.
fn quick_check(payload: &[u8], header: &BatchHeader, config: &LogConfig, now_ms: i64) -> Option<i64> {
    if header.timestamp_type() == TimestampType::LogAppendTime {
        return None;
    }
    let walk = RecordWalk::over(payload, header.record_count)?;
    let oldest = header.base_timestamp.checked_add(walk.timestamp_delta_min)?;
    let latest = header.base_timestamp.checked_add(walk.timestamp_delta_max)?;
    let range = timestamp_range(config, now_ms);
    let is_good = range.contains(&oldest) && range.contains(&latest) && (walk.all_have_keys || !config.compact);
    is_good.then_some(latest.max(NO_TIMESTAMP))
}

/// Decodes all records, and returns the latest timestamp of them.
fn check_records(payload: &[u8], header: &BatchHeader, config: &LogConfig, now_ms: i64) -> Result<i64, ValidationError> {
    let stamped = (header.timestamp_type() == TimestampType::LogAppendTime).then_some(header.max_timestamp);
    let mut max_timestamp = NO_TIMESTAMP;
    let mut rejected = Vec::new();
    let mut rest = payload;
    let mut found = 0;
    while found < header.record_count {
        if rest.is_empty() {
            return Err(RecordError::Count {
                declared: header.record_count,
                found,
            }
            .into());
        }
        let record = RecordView::take(&mut rest)?;
        if record.offset_delta != found {
            return Err(ValidationError::OffsetDelta {
                index: found as usize,
                found: record.offset_delta,
            });
        }
        let timestamp = stamped.unwrap_or(header.base_timestamp.wrapping_add(record.timestamp_delta));
        let reason = if config.compact && record.key.is_none() {
            Some(RejectionReason::NoKey)
        } else {
            check_timestamp(timestamp, config, now_ms)
        };
        if let Some(reason) = reason.filter(|_| rejected.len() < limits::RECORD_ERRORS_MAX) {
            rejected.push(RecordRejection {
                batch_index: found,
                reason,
            });
        }
        max_timestamp = max_timestamp.max(timestamp);
        found += 1;
    }
    if !rest.is_empty() {
        return Err(RecordError::TrailingBytes(rest.len()).into());
    }
    if rejected.is_empty() {
        Ok(max_timestamp)
    } else {
        Err(ValidationError::Rejected(rejected))
    }
}

fn check_timestamp(timestamp: i64, config: &LogConfig, now_ms: i64) -> Option<RejectionReason> {
    let range = timestamp_range(config, now_ms);
    (timestamp != NO_TIMESTAMP && !range.contains(&timestamp)).then_some(RejectionReason::Timestamp {
        timestamp,
        min: *range.start(),
        max: *range.end(),
    })
}

/// Where the timestamps of records have to be that have one.
fn timestamp_range(config: &LogConfig, now_ms: i64) -> RangeInclusive<i64> {
    if config.timestamp_type == TimestampType::LogAppendTime {
        return i64::MIN..=i64::MAX;
    }
    now_ms.saturating_sub(config.timestamp_before_max_ms)..=now_ms.saturating_add(config.timestamp_after_max_ms)
}

#[cfg(test)]
mod tests;
