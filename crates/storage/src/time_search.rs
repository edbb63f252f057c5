//! From a time to an offset.

use std::cmp::Reverse;

use dohle_protocol::batch::{RecordBatch, TimestampType};
use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_protocol::record::{DecodeLimits, Record};

use crate::limits;
use crate::read_view::{ReadError, ReadView};
use crate::scan::{Scan, ScanError};
use crate::segment::Segment;

/// A record by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp: i64,
    pub offset: Offset,
    /// Under which the record was appended; -1 if it is not known.
    pub leader_epoch: LeaderEpoch,
}

impl ReadView {
    /// The first record at or after the log start whose timestamp is at least `timestamp`, below `bound`.
    pub fn offset_for_timestamp(&self, timestamp: i64, bound: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        for segment in self.segments.iter().filter(|segment| segment.size() > 0) {
            if segment.newest()?.is_none_or(|(newest, _)| newest < timestamp) {
                continue;
            }
            let found = self
                .search_segment(segment, timestamp)
                .map_err(|error| ReadError::from_scan(error, segment.base_offset()))?;
            if let Some(found) = found {
                return Ok(Some(found).filter(|found| found.offset < bound));
            }
        }
        Ok(None)
    }

    /// The first of the records with the latest timestamp below `bound`.
    pub fn max_timestamp_offset(&self, bound: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        let mut candidates: Vec<(i64, Offset, &Segment)> = Vec::new();
        for segment in self.segments.iter() {
            if let Some((timestamp, offset)) = segment.newest()? {
                candidates.push((timestamp, offset, segment));
            }
        }
        candidates.sort_by_key(|(timestamp, ..)| Reverse(*timestamp));
        let mut best: Option<TimestampOffset> = None;
        for (timestamp, offset, segment) in candidates {
            if best.is_some_and(|best| best.timestamp >= timestamp) {
                break;
            }
            let found = self
                .newest_in(segment, timestamp, offset)
                .map_err(|error| ReadError::from_scan(error, offset))?;
            best = best
                .into_iter()
                .chain(found)
                .reduce(|best, found| if found.timestamp > best.timestamp { found } else { best });
        }
        Ok(best.filter(|found| found.offset < bound))
    }

    /// `timestamp` is the newest of the segment, in the batch with `offset`. That batch may have been emptied by compaction, or be below the log
    /// start: then the others have to be looked through.
    fn newest_in(&self, segment: &Segment, timestamp: i64, offset: Offset) -> Result<Option<TimestampOffset>, ScanError> {
        if let Some(found) = first_in_batch(segment, offset, timestamp, self.log_start)? {
            return Ok(Some(found));
        }
        let mut newest: Option<(i64, Offset)> = None;
        // The batch that the log start is in.
        let mut first = None;
        let mut scan = segment.scan();
        while let Some((_, header)) = scan.next_header()? {
            if header.record_count == 0 || header.last_offset() < self.log_start {
                continue;
            }
            if header.base_offset < self.log_start {
                first = batch_with(segment, self.log_start)?.and_then(|batch| newest_record(&batch, self.log_start));
            } else if newest.is_none_or(|(newest, _)| header.max_timestamp > newest) {
                newest = Some((header.max_timestamp, header.last_offset()));
            }
        }
        let other = match newest {
            Some((timestamp, offset)) => first_in_batch(segment, offset, timestamp, self.log_start)?,
            None => None,
        };
        Ok(first
            .into_iter()
            .chain(other)
            .reduce(|best, found| if found.timestamp > best.timestamp { found } else { best }))
    }

    fn search_segment(&self, segment: &Segment, timestamp: i64) -> Result<Option<TimestampOffset>, ScanError> {
        let from = segment.lookup_time(timestamp)?.max(self.log_start);
        let lookup = segment.lookup(from)?;
        let mut scan = Scan::new(&**segment.log(), lookup.position, segment.size(), segment.base_offset());
        while let Some((_, batch)) = scan.next_batch()? {
            if batch.header.max_timestamp >= timestamp
                && batch.header.last_offset() >= self.log_start
                && let Some(found) = first_at_or_after(&batch, timestamp, self.log_start)
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn first_in_batch(segment: &Segment, offset: Offset, timestamp: i64, log_start: Offset) -> Result<Option<TimestampOffset>, ScanError> {
    Ok(batch_with(segment, offset)?.and_then(|batch| first_at_or_after(&batch, timestamp, log_start)))
}

/// The batch that `offset` is in.
fn batch_with(segment: &Segment, offset: Offset) -> Result<Option<RecordBatch>, ScanError> {
    let lookup = segment.lookup(offset)?;
    let mut scan = Scan::new(&**segment.log(), lookup.position, segment.size(), segment.base_offset());
    while let Some((_, batch)) = scan.next_batch()? {
        if batch.header.last_offset() >= offset {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

fn first_at_or_after(batch: &RecordBatch, timestamp: i64, log_start: Offset) -> Option<TimestampOffset> {
    let header = &batch.header;
    let leader_epoch = header.partition_leader_epoch;
    let is_whole = i64::from(header.record_count) == i64::from(header.last_offset_delta) + 1;
    if header.timestamp_type() == TimestampType::LogAppendTime && is_whole {
        // All records of the batch have its time.
        let offset = header.base_offset.max(log_start);
        return Some(TimestampOffset {
            timestamp: header.max_timestamp,
            offset,
            leader_epoch,
        });
    }
    records_from(batch, log_start).find(|record| record.timestamp >= timestamp)
}

/// The first of those with the latest time.
fn newest_record(batch: &RecordBatch, log_start: Offset) -> Option<TimestampOffset> {
    records_from(batch, log_start).reduce(|newest, record| if record.timestamp > newest.timestamp { record } else { newest })
}

/// The records of a batch from the log start on. A damaged batch has none.
fn records_from(batch: &RecordBatch, log_start: Offset) -> impl Iterator<Item = TimestampOffset> {
    let limits = DecodeLimits {
        decompressed_bytes_max: limits::DECOMPRESSED_BYTES_MAX,
    };
    let header = batch.header;
    let records = batch.records(limits).into_iter().flatten().map_while(Result::ok);
    // Nobody may have looked at offsets within a batch before.
    let is_there = move |record: &Record| record.offset >= log_start.max(header.base_offset) && record.offset <= header.last_offset();
    records.filter(is_there).map(move |record| TimestampOffset {
        timestamp: record.timestamp,
        offset: record.offset,
        leader_epoch: header.partition_leader_epoch,
    })
}
