//! Reading: a frozen view of a log, so that reads need not hold the lock of the partition.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::batch::{BatchError, BatchHeader, HEADER_BYTES, verify_crc};
use dohle_protocol::id::Offset;

use crate::limits;
use crate::read_ends::ReadEnd;
use crate::scan::{InvalidBatch, ScanError};
use crate::segment::Segment;
use crate::txn_index::{self, AbortedTxn};

/// The segments and bounds of a log at one moment. Cheap to make; what is appended later may or may not be seen through it, and is kept
/// out by the bound that a read gives.
#[derive(Debug, Clone)]
pub struct ReadView {
    pub(crate) segments: Arc<Vec<Arc<Segment>>>,
    pub(crate) log_start: Offset,
    pub(crate) log_end: Offset,
}

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest {
    /// The batch that contains this offset comes first, whole.
    pub offset: Offset,
    /// No batch that reaches this offset is returned: high watermark, last stable offset or log end offset.
    pub upper_bound: Offset,
    pub max_bytes: usize,
    /// Return the first batch even if it is larger than `max_bytes`.
    pub min_one_batch: bool,
}

/// Whole, intact batches; none if there is nothing below the bound, or the first batch does not fit.
#[derive(Debug, Clone, Default)]
pub struct ReadResult {
    pub records: Bytes,
    /// Base offset of the first batch; the requested offset if there is none.
    pub first_offset: Offset,
    /// Where to go on reading: the offset after the last batch returned; the requested offset if there is none.
    pub next_offset: Offset,
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("offset {offset} is out of range: the log holds {log_start} to {log_end}")]
    OffsetOutOfRange {
        offset: Offset,
        log_start: Offset,
        log_end: Offset,
    },
    #[error("the log is damaged near offset {offset}: {reason}")]
    Corrupt { offset: Offset, reason: String },
    #[error("reading the log: {0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    pub fn error_code(&self) -> ErrorCode {
        match self {
            ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
            ReadError::Io(_) => ErrorCode::KafkaStorageError,
        }
    }

    pub(crate) fn from_scan(error: ScanError, offset: Offset) -> ReadError {
        match error {
            ScanError::Io(error) => ReadError::Io(error),
            ScanError::Invalid { .. } => ReadError::Corrupt {
                offset,
                reason: error.to_string(),
            },
        }
    }
}

impl ReadView {
    pub fn log_start_offset(&self) -> Offset {
        self.log_start
    }

    pub fn log_end_offset(&self) -> Offset {
        self.log_end
    }

    /// Reads from one segment at most. What was in the files when they were opened is checked against its checksums: a batch that the disk has
    /// changed is an error, never data; what lies behind it can still be read. What this process has written itself was checked then.
    pub fn read(&self, request: ReadRequest) -> Result<ReadResult, ReadError> {
        let offset = request.offset;
        let request = self.bounded(request);
        if offset < self.log_start || offset > self.log_end {
            return Err(self.out_of_range(offset));
        }
        let nothing = ReadResult {
            records: Bytes::new(),
            first_offset: offset,
            next_offset: offset,
        };
        if offset >= request.upper_bound {
            return Ok(nothing);
        }
        for segment in &self.segments[self.segment_of(offset)..] {
            match read_segment(segment, request) {
                Ok(Piece::Batches(result)) => return Ok(result),
                Ok(Piece::Refused) => return Ok(nothing),
                // The segment ends below the offset: its last batches have been compacted away.
                Ok(Piece::End) => {}
                // The segment was removed while this view was held, longer than deleted files are kept.
                Err(ScanError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Err(self.out_of_range(offset)),
                Err(error) => return Err(ReadError::from_scan(error, offset)),
            }
        }
        Ok(nothing)
    }

    /// Reads on where an earlier read of the same segment ended, if that needs no waiting for the disk. `None` says nothing but that
    /// [`ReadView::read`] has to be asked.
    pub fn read_on(&self, request: ReadRequest) -> Option<ReadResult> {
        let request = self.bounded(request);
        if request.offset < self.log_start || request.offset >= request.upper_bound {
            return None;
        }
        let segment = &self.segments[self.segment_of(request.offset)];
        let window = resume(segment, request, |position, length| segment.log().read_at_once(position, length)).ok()??;
        if window.bytes.len() < window.first?.size_in_bytes() {
            return None;
        }
        match window.collect(request) {
            Ok(Piece::Batches(result)) => Some(result),
            _ => None,
        }
    }

    fn bounded(&self, request: ReadRequest) -> ReadRequest {
        ReadRequest {
            upper_bound: request.upper_bound.min(self.log_end),
            ..request
        }
    }

    /// Index of the segment that holds `offset`, if any does.
    fn segment_of(&self, offset: Offset) -> usize {
        let above = self.segments.partition_point(|segment| segment.base_offset() <= offset);
        above.saturating_sub(1)
    }

    /// The aborted transactions that touch the offsets from `from` up to, not including, `to`: what a reader of committed records has to
    /// skip in that range.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Vec<AbortedTxn> {
        let mut found = Vec::new();
        for segment in &self.segments[self.segment_of(from)..] {
            if txn_index::collect_overlapping(segment.aborted().entries(), from, to, &mut found) {
                break;
            }
        }
        found
    }

    /// Where to go on reading behind a damaged batch at `offset`: behind it if its header still says where it ends, else where the index
    /// next leads to, or in the next segment.
    pub fn offset_behind_damage(&self, offset: Offset) -> Offset {
        let at = self.segment_of(offset);
        let next_segment = self.segments.get(at + 1).map_or(self.log_end, |next| next.base_offset());
        let request = ReadRequest {
            offset,
            upper_bound: self.log_end,
            max_bytes: HEADER_BYTES,
            min_one_batch: true,
        };
        let segment = &self.segments[at];
        let behind = match find(segment, request) {
            Ok(Window { first: Some(header), .. }) if header.base_offset <= offset => Some(header.next_offset()),
            _ => segment.lookup(offset).ok().and_then(|lookup| lookup.next_offset),
        };
        behind
            .filter(|behind| *behind > offset && *behind <= next_segment)
            .unwrap_or(next_segment)
            .max(offset + 1)
    }

    fn out_of_range(&self, offset: Offset) -> ReadError {
        ReadError::OffsetOutOfRange {
            offset,
            log_start: self.log_start,
            log_end: self.log_end,
        }
    }
}

enum Piece {
    Batches(ReadResult),
    /// The next batch is beyond the bound or too large.
    Refused,
    /// No batch of this segment reaches the offset.
    End,
}

/// An index that leads astray is rebuilt, and the read tried once more.
fn read_segment(segment: &Segment, request: ReadRequest) -> Result<Piece, ScanError> {
    let found = find(segment, request);
    match found {
        Err(ScanError::Invalid { .. }) if segment.distrust_indexes()? => find(segment, request)?,
        found => found?,
    }
    .collect(request)
}

/// The bytes of a segment from some batch on that may hold the wanted offset.
struct Window<'a> {
    segment: &'a Segment,
    size: u64,
    bytes: Bytes,
    /// Position in the file of the first byte.
    position: u64,
    /// The first batch that reaches the wanted offset; `None` if none does.
    first: Option<BatchHeader>,
    /// Of the segment, before it was looked at.
    truncations: u64,
}

impl<'a> Window<'a> {
    fn at_start_of(segment: &'a Segment) -> Window<'a> {
        // Noted first: a size from before a truncation must not be taken for one from after it.
        let truncations = segment.read_ends().truncations();
        Window {
            segment,
            size: segment.size(),
            bytes: Bytes::new(),
            position: 0,
            first: None,
            truncations,
        }
    }
}

/// The window of a reader that reads on. `None` if nobody has ended there, or `read` has nothing.
fn resume(
    segment: &Segment,
    request: ReadRequest,
    read: impl FnOnce(u64, usize) -> io::Result<Option<Bytes>>,
) -> io::Result<Option<Window<'_>>> {
    let mut window = Window::at_start_of(segment);
    let Some(end) = segment.read_ends().find(request.offset).filter(|end| end.position < window.size) else {
        return Ok(None);
    };
    let length = read_length(end.batch_bytes.unwrap_or(1), request).min((window.size - end.position) as usize);
    let Some(bytes) = read(end.position, length)? else {
        return Ok(None);
    };
    (window.bytes, window.position) = (bytes, end.position);
    window.first = window.header().ok().filter(|header| header.base_offset == request.offset);
    Ok(window.first.is_some().then_some(window))
}

/// How much to read for a request if the first batch has `first_bytes`, and those behind it probably about as many: the whole batches that fit, so
/// that little is read for nothing, and the header of the next, so that the next read knows its size.
fn read_length(first_bytes: usize, request: ReadRequest) -> usize {
    let bytes_max = request.max_bytes.clamp(HEADER_BYTES, limits::READ_BYTES_MAX);
    let fitting = match bytes_max / first_bytes {
        0 | 1 => first_bytes,
        count => {
            let bytes = count * first_bytes;
            bytes_max.min(bytes + bytes / 16)
        }
    };
    fitting + HEADER_BYTES
}

/// Finds the first batch that reaches the wanted offset.
fn find(segment: &Segment, request: ReadRequest) -> Result<Window<'_>, ScanError> {
    if let Some(window) = resume(segment, request, |position, length| {
        segment.log().read_at(position, length).map(Some)
    })? {
        return Ok(window);
    }
    let mut window = Window::at_start_of(segment);
    let lookup = segment.lookup(request.offset)?;
    window.position = lookup.position;
    while window.position < window.size {
        if window.bytes.len() < HEADER_BYTES {
            window.fill(limits::APPROACH_BYTES)?;
        }
        let header = window.header()?;
        let misled = window.position == lookup.position && header.base_offset > lookup.offset_max;
        if misled || header.base_offset < segment.base_offset() {
            let reason = InvalidBatch::Offsets {
                base: header.base_offset,
                last: header.last_offset(),
                expected: segment.base_offset(),
            };
            return Err(ScanError::Invalid {
                position: window.position,
                reason,
            });
        }
        if header.last_offset() >= request.offset {
            window.first = Some(header);
            break;
        }
        window.skip(header.size_in_bytes());
    }
    Ok(window)
}

impl Window<'_> {
    /// Reads anew from the current position on.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        let remaining = (self.size.saturating_sub(self.position)) as usize;
        self.bytes = self.segment.log().read_at(self.position, length.min(remaining))?;
        Ok(())
    }

    fn header(&self) -> Result<BatchHeader, ScanError> {
        let header = BatchHeader::parse(&self.bytes).map_err(|reason| self.invalid(reason))?;
        let remaining = (self.size - self.position) as usize;
        if header.size_in_bytes() > remaining {
            return Err(self.invalid(BatchError::Cut {
                needed: header.size_in_bytes(),
                have: remaining,
            }));
        }
        Ok(header)
    }

    fn invalid(&self, reason: BatchError) -> ScanError {
        ScanError::Invalid {
            position: self.position,
            reason: reason.into(),
        }
    }

    fn skip(&mut self, length: usize) {
        self.position += length as u64;
        self.bytes = self.bytes.slice(length.min(self.bytes.len())..);
    }

    /// Takes as many whole batches as the request allows.
    fn collect(mut self, request: ReadRequest) -> Result<Piece, ScanError> {
        let Some(first) = self.first else { return Ok(Piece::End) };
        let first_size = first.size_in_bytes();
        if first.last_offset() >= request.upper_bound || (first_size > request.max_bytes && !request.min_one_batch) {
            return Ok(Piece::Refused);
        }
        let length = read_length(first_size, request);
        if self.bytes.len() < length.min((self.size - self.position) as usize) {
            self.fill(length)?;
        }
        let records = self.bytes.clone();
        let bytes_max = records.len().min(request.max_bytes.max(first_size));
        let mut taken = 0;
        let mut next_offset = request.offset;
        while taken < bytes_max {
            let header = match BatchHeader::parse(&records[taken..bytes_max]) {
                Ok(header) if taken + header.size_in_bytes() <= bytes_max && header.last_offset() < request.upper_bound => header,
                _ if taken > 0 => break,
                // The first batch has been seen before: someone has cut the file in between.
                _ => return Ok(Piece::Refused),
            };
            let end = taken + header.size_in_bytes();
            if self.position + (taken as u64) < self.segment.found_size() {
                match verify_crc(&records[taken..end]) {
                    Ok(()) => {}
                    Err(_) if taken > 0 => break,
                    Err(reason) => return Err(self.invalid(reason)),
                }
            }
            taken = end;
            next_offset = header.next_offset();
        }
        let end = ReadEnd {
            offset: next_offset,
            position: self.position + taken as u64,
            batch_bytes: BatchHeader::parse(&records[taken..]).ok().map(|next| next.size_in_bytes()),
        };
        self.segment.read_ends().note(request.offset, end, self.truncations);
        Ok(Piece::Batches(ReadResult {
            records: records.slice(..taken),
            first_offset: first.base_offset,
            next_offset,
        }))
    }
}
