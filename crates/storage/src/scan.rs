//! Reads a stretch of a log file batch by batch, in large pieces.

use std::io;

use bytes::Bytes;
use dohle_protocol::batch::{BatchError, BatchHeader, HEADER_BYTES, RecordBatch};
use dohle_protocol::id::Offset;

use crate::disk::DiskFile;
use crate::limits;

/// Why a scan could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    #[error("invalid batch at byte {position}: {reason}")]
    Invalid { position: u64, reason: InvalidBatch },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is wrong with a batch in a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidBatch {
    #[error(transparent)]
    Format(#[from] BatchError),
    #[error("offsets {base} to {last} do not follow {expected}")]
    Offsets { base: Offset, last: Offset, expected: Offset },
}

/// Iterates over the batches between two positions of a file.
pub(crate) struct Scan<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    end: u64,
    next_offset_min: Offset,
    /// What has been read ahead, from `position` on.
    ahead: Bytes,
    /// How much to read next. Grows, as most scans are over after a few batches and the others are long.
    chunk_bytes: usize,
}

impl<'a> Scan<'a> {
    /// Batches from `position` to `end`; the first must not begin below `next_offset_min`.
    pub(crate) fn new(file: &'a dyn DiskFile, position: u64, end: u64, next_offset_min: Offset) -> Scan<'a> {
        Scan {
            file,
            position,
            end,
            next_offset_min,
            ahead: Bytes::new(),
            chunk_bytes: limits::SCAN_CHUNK_BYTES_MIN,
        }
    }

    /// The header of the next batch and its position. The batch itself is skipped; its bytes need not even be in the file's range.
    pub(crate) fn next_header(&mut self) -> Result<Option<(u64, BatchHeader)>, ScanError> {
        let Some(header) = self.peek()? else { return Ok(None) };
        let position = self.position;
        self.skip(&header);
        Ok(Some((position, header)))
    }

    /// The next batch, whole, and its position. Its checksum has not been verified.
    pub(crate) fn next_batch(&mut self) -> Result<Option<(u64, RecordBatch)>, ScanError> {
        let Some(header) = self.peek()? else { return Ok(None) };
        let position = self.position;
        let size = header.size_in_bytes();
        self.read_ahead(size)?;
        if self.ahead.len() < size {
            return Err(self.invalid(BatchError::Cut {
                needed: size,
                have: self.ahead.len(),
            }));
        }
        let bytes = self.ahead.slice(..size);
        self.skip(&header);
        Ok(Some((position, RecordBatch { header, bytes })))
    }

    fn peek(&mut self) -> Result<Option<BatchHeader>, ScanError> {
        if self.position >= self.end {
            return Ok(None);
        }
        self.read_ahead(HEADER_BYTES)?;
        let header = BatchHeader::parse(&self.ahead).map_err(|reason| self.invalid(reason))?;
        let remaining = (self.end - self.position) as usize;
        if header.size_in_bytes() > remaining {
            return Err(self.invalid(BatchError::Cut {
                needed: header.size_in_bytes(),
                have: remaining,
            }));
        }
        let (base, last) = (header.base_offset, header.last_offset());
        if base < self.next_offset_min || last < base || last.0 == i64::MAX {
            let reason = InvalidBatch::Offsets {
                base,
                last,
                expected: self.next_offset_min,
            };
            return Err(ScanError::Invalid {
                position: self.position,
                reason,
            });
        }
        Ok(Some(header))
    }

    /// Has at least `length` bytes ahead, if the range has as many.
    fn read_ahead(&mut self, length: usize) -> io::Result<()> {
        let remaining = (self.end - self.position) as usize;
        if self.ahead.len() < length.min(remaining) {
            self.ahead = self.file.read_at(self.position, length.max(self.chunk_bytes).min(remaining))?;
            self.chunk_bytes = (self.chunk_bytes * 2).min(limits::SCAN_CHUNK_BYTES_MAX);
        }
        Ok(())
    }

    fn skip(&mut self, header: &BatchHeader) {
        let size = header.size_in_bytes();
        self.position += size as u64;
        self.next_offset_min = header.next_offset();
        self.ahead = self.ahead.slice(size.min(self.ahead.len())..);
    }

    fn invalid(&self, reason: BatchError) -> ScanError {
        ScanError::Invalid {
            position: self.position,
            reason: reason.into(),
        }
    }
}
