//! The record batch, version 2: its 61-byte header, its checksum, and the fields that a log changes in place.
//!
//! Bytes 0 to 20 (base offset, length, leader epoch, magic, checksum) are outside the checksum, so a log stamps offset and epoch without
//! computing it again.

use bytes::Bytes;

use crate::compression::Compression;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::record::{DecodeLimits, RecordError, Records};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes of a batch that its length field does not count: base offset and the length itself.
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// The only batch format that is spoken.
pub const MAGIC: i8 = 2;
/// What stands for "no timestamp".
pub const NO_TIMESTAMP: i64 = -1;
/// What stands for "no sequence number".
pub const NO_SEQUENCE: i32 = -1;

pub(crate) const LENGTH_AT: usize = 8;
pub(crate) const LEADER_EPOCH_AT: usize = 12;
pub(crate) const MAGIC_AT: usize = 16;
pub(crate) const CRC_AT: usize = 17;
pub(crate) const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

const COMPRESSION_BITS: i16 = 0x07;
const LOG_APPEND_TIME_BIT: i16 = 0x08;
const TRANSACTIONAL_BIT: i16 = 0x10;
const CONTROL_BIT: i16 = 0x20;
const DELETE_HORIZON_BIT: i16 = 0x40;

/// Who stamped the records of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer, each record on its own.
    #[default]
    CreateTime,
    /// The log: all records of the batch read back its max timestamp.
    LogAppendTime,
}

/// Bytes are not a batch, or not an intact one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Also how a batch looks that was cut at the end of a fetch response.
    #[error("a batch of {needed} bytes is cut after {have}")]
    Cut { needed: usize, have: usize },
    #[error("batch length {0} is less than a header")]
    Length(i32),
    #[error("batch format {0} is not supported, only 2 is")]
    Magic(i8),
    #[error("batch checksum is {stored:#010x}, but its bytes have {computed:#010x}")]
    Checksum { stored: u32, computed: u32 },
    #[error("unknown compression codec {0}")]
    Codec(u8),
}

/// The header of a batch, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes after this field; not negative, and no less than the rest of a header.
    pub batch_length: i32,
    pub partition_leader_epoch: LeaderEpoch,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which may be cut after the header. Only magic and length are checked.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        // Magic first: a message of format 0 or 1 may be shorter than this header.
        if let Some(&magic) = bytes.get(MAGIC_AT).filter(|&&magic| magic as i8 != MAGIC) {
            return Err(BatchError::Magic(magic as i8));
        }
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(BatchError::Cut {
            needed: HEADER_BYTES,
            have: bytes.len(),
        })?;
        let batch_length = i32_at(header, LENGTH_AT);
        if batch_length < (HEADER_BYTES - LOG_OVERHEAD_BYTES) as i32 {
            return Err(BatchError::Length(batch_length));
        }
        Ok(BatchHeader {
            base_offset: Offset(i64_at(header, 0)),
            batch_length,
            partition_leader_epoch: LeaderEpoch(i32_at(header, LEADER_EPOCH_AT)),
            magic: header[MAGIC_AT] as i8,
            crc: i32_at(header, CRC_AT) as u32,
            attributes: i16_at(header, ATTRIBUTES_AT),
            last_offset_delta: i32_at(header, 23),
            base_timestamp: i64_at(header, 27),
            max_timestamp: i64_at(header, MAX_TIMESTAMP_AT),
            producer_id: ProducerId(i64_at(header, 43)),
            producer_epoch: ProducerEpoch(i16_at(header, 51)),
            base_sequence: i32_at(header, 53),
            record_count: i32_at(header, 57),
        })
    }

    /// The header as it is written, with the checksum that it holds.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        out[12..16].copy_from_slice(&self.partition_leader_epoch.0.to_be_bytes());
        out[16] = self.magic as u8;
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.0.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        out
    }

    /// Bytes of the whole batch.
    pub fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD_BYTES + self.batch_length as usize
    }

    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.wrapping_add(i64::from(self.last_offset_delta)))
    }

    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.wrapping_add(1))
    }

    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            NO_SEQUENCE
        } else {
            increment_sequence(self.base_sequence, self.last_offset_delta)
        }
    }

    pub fn compression(&self) -> Result<Compression, BatchError> {
        let id = (self.attributes & COMPRESSION_BITS) as u8;
        Compression::from_id(id).ok_or(BatchError::Codec(id))
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    pub fn has_producer_id(&self) -> bool {
        self.producer_id.0 > ProducerId::NONE.0
    }

    /// From when on compaction may drop the tombstones or the marker of this batch, if it has been decided; kept in the base timestamp.
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp)
    }
}

/// The attributes word of a batch.
pub(crate) fn attributes(
    compression: Compression,
    timestamp_type: TimestampType,
    transactional: bool,
    control: bool,
    delete_horizon: bool,
) -> i16 {
    let bit = |set: bool, bit: i16| if set { bit } else { 0 };
    i16::from(compression.id())
        | bit(timestamp_type == TimestampType::LogAppendTime, LOG_APPEND_TIME_BIT)
        | bit(transactional, TRANSACTIONAL_BIT)
        | bit(control, CONTROL_BIT)
        | bit(delete_horizon, DELETE_HORIZON_BIT)
}

/// The same attributes with another codec.
pub(crate) fn with_compression(attributes: i16, compression: Compression) -> i16 {
    attributes & !COMPRESSION_BITS | i16::from(compression.id())
}

/// The same attributes for a batch that has no record to compress, or to delete.
pub(crate) fn without_records(attributes: i16) -> i16 {
    attributes & !(COMPRESSION_BITS | DELETE_HORIZON_BIT)
}

/// The sequence number `records` after `sequence`; after the largest comes zero.
pub fn increment_sequence(sequence: i32, records: i32) -> i32 {
    // Sequence numbers count modulo 2^31.
    sequence.wrapping_add(records) & i32::MAX
}

/// The sequence number `records` before `sequence`.
pub fn decrement_sequence(sequence: i32, records: i32) -> i32 {
    sequence.wrapping_sub(records) & i32::MAX
}

/// Sequence numbers go round, so "before" is the shorter way.
pub fn sequence_is_before(sequence: i32, other: i32) -> bool {
    let distance = decrement_sequence(other, sequence);
    distance != 0 && distance < 1 << 30
}

/// CRC-32C, the checksum of batches and of the files beside them.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Compares the checksum of the batch that `batch` consists of with its bytes.
pub fn verify_crc(batch: &[u8]) -> Result<(), BatchError> {
    assert!(batch.len() >= HEADER_BYTES, "only what has a header has a checksum");
    let stored = i32_at(batch, CRC_AT) as u32;
    let computed = crc32c(&batch[ATTRIBUTES_AT..]);
    if stored == computed {
        Ok(())
    } else {
        Err(BatchError::Checksum { stored, computed })
    }
}

pub fn patch_base_offset(batch: &mut [u8], base_offset: Offset) {
    batch[..LENGTH_AT].copy_from_slice(&base_offset.0.to_be_bytes());
}

pub fn patch_leader_epoch(batch: &mut [u8], epoch: LeaderEpoch) {
    batch[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&epoch.0.to_be_bytes());
}

/// Changes who stamped the batch and its latest timestamp, and with them the checksum. `batch` is exactly one batch.
pub fn patch_timestamps(batch: &mut [u8], timestamp_type: TimestampType, max_timestamp: i64) {
    let cleared = i16_at(batch, ATTRIBUTES_AT) & !LOG_APPEND_TIME_BIT;
    let attributes = if timestamp_type == TimestampType::LogAppendTime {
        cleared | LOG_APPEND_TIME_BIT
    } else {
        cleared
    };
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max_timestamp.to_be_bytes());
    patch_crc(batch);
}

/// Writes the checksum of what `batch` now holds.
pub(crate) fn patch_crc(batch: &mut [u8]) {
    let crc = crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}

/// One batch: its header, and all its bytes, shared with what it was cut from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBatch {
    pub header: BatchHeader,
    pub bytes: Bytes,
}

impl RecordBatch {
    /// The batch at the start of `bytes`; what follows it is left out.
    pub fn parse(bytes: &Bytes) -> Result<RecordBatch, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let needed = header.size_in_bytes();
        if bytes.len() < needed {
            return Err(BatchError::Cut { needed, have: bytes.len() });
        }
        Ok(RecordBatch {
            header,
            bytes: bytes.slice(..needed),
        })
    }

    pub fn verify_crc(&self) -> Result<(), BatchError> {
        verify_crc(&self.bytes)
    }

    /// The records as they are stored, perhaps compressed.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES..)
    }

    /// Iterates over the records, after decompressing them if they are compressed. The checksum is not verified.
    pub fn records(&self, limits: DecodeLimits) -> Result<Records, RecordError> {
        Records::open(self, limits)
    }
}

/// The batches of a log segment, a produce request or a fetch response, one after the other and without a copy. Ends at the first error;
/// [`BatchError::Cut`] for the last batch is normal in a fetch response.
pub fn batches(bytes: Bytes) -> Batches {
    Batches { rest: bytes }
}

/// See [`batches`].
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = RecordBatch::parse(&self.rest);
        self.rest = match &batch {
            Ok(batch) => self.rest.slice(batch.bytes.len()..),
            Err(_) => Bytes::new(),
        };
        Some(batch)
    }
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests;
