//! The records inside a batch. Nothing is reserved by a declared count, and a record is decoded when it is asked for.

use bytes::Bytes;

use crate::batch::{BatchError, RecordBatch, TimestampType};
use crate::compression::{DecompressError, decompress_with_cap};
use crate::id::Offset;
use crate::zigzag;

/// The shortest record: length, attributes, timestamp, offset, key, value and header count, one byte each.
pub const RECORD_BYTES_MIN: usize = 7;

/// Records of a batch cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("{0}")]
    Batch(#[from] BatchError),
    #[error("{0}")]
    Decompress(#[from] DecompressError),
    #[error("batch declares {declared} records, but has {found}")]
    Count { declared: i32, found: i32 },
    #[error("{0} bytes follow the last record of the batch")]
    TrailingBytes(usize),
    #[error("record has an invalid {0}")]
    Field(&'static str),
    #[error("record declares {declared} bytes, but its fields take {taken}")]
    Length { declared: usize, taken: usize },
}

/// What decoding may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Decompression stops here.
    pub decompressed_bytes_max: usize,
}

/// One record, sharing the bytes of its batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    pub offset: Offset,
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// One header of a record. The key is text by convention, but nobody on the way checks it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

impl Header {
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Header {
        Header {
            key: key.into(),
            value: Some(value.into()),
        }
    }
}

/// One record as it lies in the (decompressed) bytes of a batch: checked to its last byte, nothing copied or allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub header_count: u32,
    header_bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Takes one record off the front of `input`.
    #[inline]
    pub fn take(input: &mut &'a [u8]) -> Result<RecordView<'a>, RecordError> {
        let declared = zigzag::take_i32(input).ok_or(RecordError::Field("length"))?;
        let declared = usize::try_from(declared).map_err(|_| RecordError::Field("length"))?;
        let (mut body, rest) = input.split_at_checked(declared).ok_or(RecordError::Field("length"))?;
        *input = rest;
        // Attributes: no bit of them has a meaning yet.
        body = body.get(1..).ok_or(RecordError::Field("length"))?;
        let timestamp_delta = zigzag::take_i64(&mut body).ok_or(RecordError::Field("timestamp"))?;
        let offset_delta = zigzag::take_i32(&mut body).ok_or(RecordError::Field("offset"))?;
        let key = take_bytes(&mut body, "key")?;
        let value = take_bytes(&mut body, "value")?;
        let header_count = zigzag::take_i32(&mut body).ok_or(RecordError::Field("header count"))?;
        let header_count = u32::try_from(header_count).map_err(|_| RecordError::Field("header count"))?;
        let header_bytes = body;
        for _ in 0..header_count {
            take_header(&mut body)?;
        }
        if !body.is_empty() {
            return Err(RecordError::Length {
                declared,
                taken: declared - body.len(),
            });
        }
        Ok(RecordView {
            timestamp_delta,
            offset_delta,
            key,
            value,
            header_count,
            header_bytes,
        })
    }

    /// The headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.header_bytes;
        (0..self.header_count).map(move |_| take_header(&mut rest).expect("checked when the record was taken"))
    }
}

fn take_bytes<'a>(input: &mut &'a [u8], field: &'static str) -> Result<Option<&'a [u8]>, RecordError> {
    let length = zigzag::take_i32(input).ok_or(RecordError::Field(field))?;
    if length < 0 {
        // Kafka reads every negative length as null.
        return Ok(None);
    }
    let (bytes, rest) = input.split_at_checked(length as usize).ok_or(RecordError::Field(field))?;
    *input = rest;
    Ok(Some(bytes))
}

fn take_header<'a>(input: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), RecordError> {
    let key = take_bytes(input, "header key")?.ok_or(RecordError::Field("header key"))?;
    Ok((key, take_bytes(input, "header value")?))
}

/// The records of one batch, decoded one at a time. After the last one, or the first error, it is at its end; a count that does not fit the
/// bytes is an error.
#[derive(Debug, Clone)]
pub struct Records {
    bytes: Bytes,
    position: usize,
    base_offset: Offset,
    base_timestamp: i64,
    log_append_time: Option<i64>,
    declared: i32,
    found: i32,
    failed: bool,
}

impl Records {
    pub(crate) fn open(batch: &RecordBatch, limits: DecodeLimits) -> Result<Records, RecordError> {
        let header = &batch.header;
        let bytes = decompress_with_cap(header.compression()?, &batch.payload(), limits.decompressed_bytes_max)?;
        Ok(Records {
            bytes,
            position: 0,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            log_append_time: (header.timestamp_type() == TimestampType::LogAppendTime).then_some(header.max_timestamp),
            declared: header.record_count,
            found: 0,
            failed: false,
        })
    }

    /// The records as they lie in the batch, decompressed.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn decode(&mut self) -> Result<Record, RecordError> {
        let mut rest = &self.bytes[self.position..];
        if rest.is_empty() {
            return Err(RecordError::Count {
                declared: self.declared,
                found: self.found,
            });
        }
        let view = RecordView::take(&mut rest)?;
        self.position = self.bytes.len() - rest.len();
        self.found += 1;
        let shared = |slice: &[u8]| self.bytes.slice_ref(slice);
        Ok(Record {
            offset: Offset(self.base_offset.0.wrapping_add(i64::from(view.offset_delta))),
            timestamp: self
                .log_append_time
                .unwrap_or(self.base_timestamp.wrapping_add(view.timestamp_delta)),
            key: view.key.map(shared),
            value: view.value.map(shared),
            headers: view
                .headers()
                .map(|(key, value)| Header {
                    key: shared(key),
                    value: value.map(shared),
                })
                .collect(),
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let result = if self.found < self.declared {
            self.decode()
        } else if self.found != self.declared {
            Err(RecordError::Count {
                declared: self.declared,
                found: self.found,
            })
        } else if self.position < self.bytes.len() {
            Err(RecordError::TrailingBytes(self.bytes.len() - self.position))
        } else {
            return None;
        };
        self.failed = result.is_err();
        Some(result)
    }
}

#[cfg(test)]
mod tests;
