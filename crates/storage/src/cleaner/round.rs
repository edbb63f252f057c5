//! One round: the keys of the dirty part, then group by group the segments without what these keys have replaced.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dohle_protocol::batch::{BatchHeader, RecordBatch};
use dohle_protocol::id::{Offset, ProducerId};
use dohle_protocol::record::{DecodeLimits, RecordView};

use super::batch_filter::{BatchFilter, Kept, LastBatch, last_batches};
use super::cleaned_txns::CleanedTxns;
use super::keys::Keys;
use super::record_offsets::RecordOffsets;
use super::{CleanError, CleanerControl, CleanerLimits, Dirtiness, SharedLog, swap};
use crate::disk::Disk;
use crate::file_name;
use crate::limits;
use crate::log_config::LogConfig;
use crate::partition_log::PartitionLog;
use crate::scan::{Scan, ScanError};
use crate::segment::{AppendFailure, Segment};
use crate::txn_index::AbortedTxn;

/// A round that has begun: what it needs of the log, as it was then.
#[derive(Debug)]
pub struct Cleaning {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) stop: Arc<AtomicBool>,
    config: Arc<LogConfig>,
    /// From the log start to the end of the round, each with the offset at which it ends.
    segments: Vec<(Arc<Segment>, Offset)>,
    aborted: Vec<AbortedTxn>,
    last_batches: BTreeMap<ProducerId, LastBatch>,
    first_dirty: Offset,
    now_ms: i64,
}

/// What a round has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanerStats {
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub keys: u64,
    pub records_removed: u64,
    /// Segments before and after.
    pub segments_read: u64,
    pub segments_left: u64,
    /// The next round begins here.
    pub cleaned_to: Offset,
}

/// Tells the control what was spent, in portions, and adds it up.
struct Meter<'a, C> {
    control: &'a C,
    stop: &'a AtomicBool,
    read: Cell<u64>,
    written: Cell<u64>,
    unreported: Cell<(u64, u64)>,
}

/// So much is done between two looks at whether the round should go on.
const PORTION_BYTES: u64 = 256 << 10;

impl<C: CleanerControl> Meter<'_, C> {
    fn spend(&self, read: u64, written: u64) -> Result<(), CleanError> {
        self.read.update(|bytes| bytes + read);
        self.written.update(|bytes| bytes + written);
        let (unreported_read, unreported_written) = self.unreported.get();
        let unreported = (unreported_read + read, unreported_written + written);
        self.unreported.set(unreported);
        if unreported.0 + unreported.1 >= PORTION_BYTES {
            self.report()?;
        }
        Ok(())
    }

    fn report(&self) -> Result<(), CleanError> {
        let (read, written) = self.unreported.replace((0, 0));
        if self.stop.load(Ordering::Acquire) || !self.control.spent(read, written) {
            return Err(CleanError::Stopped);
        }
        Ok(())
    }
}

impl Cleaning {
    pub(super) fn new(log: &PartitionLog, dirtiness: &Dirtiness, stop: Arc<AtomicBool>, now_ms: i64) -> Cleaning {
        let first = log
            .segments
            .partition_point(|segment| segment.base_offset() <= log.log_start)
            .saturating_sub(1);
        let ends = log.segments.iter().skip(1).map(|next| next.base_offset());
        let segments: Vec<(Arc<Segment>, Offset)> = log
            .segments
            .iter()
            .cloned()
            .zip(ends)
            .skip(first)
            .take_while(|(_, end)| *end <= dirtiness.end)
            .collect();
        let begin = segments.first().map_or(dirtiness.end, |(segment, _)| segment.base_offset());
        Cleaning {
            disk: Arc::clone(&log.disk),
            dir: log.dir.clone(),
            stop,
            config: Arc::clone(&log.config),
            aborted: log.read_view().aborted_transactions(begin, dirtiness.end),
            segments,
            last_batches: last_batches(&log.producers),
            first_dirty: dirtiness.first_dirty,
            now_ms,
        }
    }

    /// Does the work. Blocks. The log is locked only for moments, and goes on as usual meanwhile.
    pub fn run(self, log: &impl SharedLog, limits: CleanerLimits, control: &impl CleanerControl) -> Result<CleanerStats, CleanError> {
        let meter = Meter {
            control,
            stop: &self.stop,
            read: Cell::default(),
            written: Cell::default(),
            unreported: Cell::default(),
        };
        let stats = self.clean(log, limits, &meter)?;
        log.with_log(|log| {
            // Cut and written anew meanwhile, the log is not clean up to there.
            if self.stop.load(Ordering::Acquire) {
                return Err(CleanError::Stopped);
            }
            log.cleaning.cleaned_to = Some(stats.cleaned_to);
            Ok(stats)
        })
    }

    fn clean<C: CleanerControl>(
        &self,
        log: &impl SharedLog,
        limits: CleanerLimits,
        meter: &Meter<'_, C>,
    ) -> Result<CleanerStats, CleanError> {
        let keys = self.gather_keys(limits, meter)?;
        let mut filter = BatchFilter {
            keys: &keys,
            txns: CleanedTxns::new(self.aborted.clone()),
            last_batches: &self.last_batches,
            config: &self.config,
            now_ms: self.now_ms,
        };
        let mut stats = CleanerStats {
            keys: keys.len() as u64,
            cleaned_to: keys.end(),
            ..CleanerStats::default()
        };
        let touched = self.segments.partition_point(|(segment, _)| segment.base_offset() < keys.end());
        let mut rest = &self.segments[..touched];
        while !rest.is_empty() {
            let (group, others) = rest.split_at(self.group_len(rest)?);
            stats.segments_read += group.len() as u64;
            stats.segments_left += 1;
            stats.records_removed += self.clean_group(log, group, &mut filter, meter)?;
            rest = others;
        }
        meter.report()?;
        stats.bytes_read = meter.read.get();
        stats.bytes_written = meter.written.get();
        Ok(stats)
    }

    /// Reads the dirty part until its end, or until the memory for keys is full.
    fn gather_keys<C: CleanerControl>(&self, limits: CleanerLimits, meter: &Meter<'_, C>) -> Result<Keys, CleanError> {
        let end = self.segments.last().map_or(self.first_dirty, |(_, end)| *end);
        let mut keys = Keys::new(limits, self.first_dirty, (end - self.first_dirty).max(0) as u64);
        // The markers of earlier ones are not met here, so nothing would tell that the next transaction of their producer is another one.
        let ahead = self.aborted.iter().filter(|txn| txn.last_offset >= self.first_dirty);
        let mut txns = CleanedTxns::new(ahead.copied().collect());
        for (segment, segment_end) in self.segments.iter().filter(|(_, end)| *end > self.first_dirty) {
            let position = if segment.base_offset() < self.first_dirty {
                segment
                    .lookup(self.first_dirty)
                    .map_err(|source| self.io("reading", source))?
                    .position
            } else {
                0
            };
            let mut scan = Scan::new(&**segment.log(), position, segment.size(), segment.base_offset());
            while let Some((_, batch)) = self.next_batch(&mut scan, segment, meter)? {
                if batch.header.is_control() {
                    txns.on_control(&batch).map_err(|source| undecodable(&batch, source))?;
                } else if !txns.on_data(&batch.header)
                    && batch.header.last_offset() >= self.first_dirty
                    && !self.put_keys(&mut keys, &batch)?
                {
                    if keys.end() == self.first_dirty {
                        return Err(CleanError::TooManyKeys {
                            offset: batch.header.base_offset,
                            keys_max: keys.keys_max(),
                        });
                    }
                    return Ok(keys);
                }
                keys.advance(batch.header.next_offset());
            }
            keys.advance(*segment_end);
        }
        Ok(keys)
    }

    /// False if not all of them fit.
    fn put_keys(&self, keys: &mut Keys, batch: &RecordBatch) -> Result<bool, CleanError> {
        let limits = DecodeLimits {
            decompressed_bytes_max: limits::DECOMPRESSED_BYTES_MAX,
        };
        let records = batch.records(limits).map_err(|source| undecodable(batch, source))?;
        let mut offsets = RecordOffsets::of(&batch.header);
        let mut rest = &records.bytes()[..];
        for _ in 0..batch.header.record_count {
            let record = RecordView::take(&mut rest).map_err(|source| undecodable(batch, source))?;
            let offset = offsets.next(&record).map_err(|source| undecodable(batch, source))?;
            let key = record.key.filter(|_| offset >= self.first_dirty);
            if key.is_some_and(|key| !keys.put(key, offset)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many of the segments become one.
    fn group_len(&self, segments: &[(Arc<Segment>, Offset)]) -> Result<usize, CleanError> {
        let base_offset = segments[0].0.base_offset();
        let (mut bytes, mut index_bytes) = (0, 0);
        for (at, (segment, end)) in segments.iter().enumerate() {
            bytes += segment.size();
            index_bytes += segment
                .offset_index_bytes()
                .map_err(|source| self.io("reading the indexes of", source))?;
            let fits = bytes <= u64::from(self.config.segment_bytes)
                && index_bytes <= self.config.segment_index_bytes as usize
                && *end - base_offset <= i64::from(i32::MAX);
            if at > 0 && !fits {
                return Ok(at);
            }
        }
        Ok(segments.len())
    }

    /// Writes what stays of the segments into a new one, which takes their place. Returns how many records are gone.
    fn clean_group<C: CleanerControl>(
        &self,
        log: &impl SharedLog,
        group: &[(Arc<Segment>, Offset)],
        filter: &mut BatchFilter<'_>,
        meter: &Meter<'_, C>,
    ) -> Result<u64, CleanError> {
        let base_offset = group[0].0.base_offset();
        swap::discard(&*self.disk, &self.dir, base_offset);
        let cleaned = self.rewrite(group, filter, meter).and_then(|rewritten| {
            let old: Vec<Arc<Segment>> = group.iter().map(|(segment, _)| Arc::clone(segment)).collect();
            if rewritten.is_changed || group.len() > 1 {
                swap::swap(self, log, &old, &rewritten.segment)?;
                rewritten.segment.close_files();
            } else {
                swap::discard(&*self.disk, &self.dir, base_offset);
            }
            Ok(rewritten.records_removed)
        });
        if cleaned.is_err() {
            log.with_log(|log| log.discard_cleaned(self, base_offset));
        }
        cleaned
    }

    fn rewrite<C: CleanerControl>(
        &self,
        group: &[(Arc<Segment>, Offset)],
        filter: &mut BatchFilter<'_>,
        meter: &Meter<'_, C>,
    ) -> Result<Rewritten, CleanError> {
        let base_offset = group[0].0.base_offset();
        let interval = self.config.index_interval_bytes;
        let segment = Segment::create_as(&*self.disk, &self.dir, base_offset, file_name::CLEANED, interval)
            .map_err(|source| self.io("creating a cleaned segment in", source))?;
        let mut output = Output::new(segment);
        for (at, (segment, _)) in group.iter().enumerate() {
            let mut scan = segment.scan();
            while let Some((position, batch)) = self.next_batch(&mut scan, segment, meter)? {
                let is_last = at + 1 == group.len() && position + batch.bytes.len() as u64 == segment.size();
                let filtered = filter.filter(&batch, is_last).map_err(|source| undecodable(&batch, source))?;
                output.records_removed += filtered.records_removed;
                output.is_changed |= filtered.kept != Kept::Whole;
                match filtered.kept {
                    Kept::Nothing => {}
                    Kept::Whole => output.add(&batch.bytes),
                    Kept::Changed(bytes) => output.add(&bytes),
                }
                if let Some(aborted) = filtered.aborted {
                    let appended = output.segment.aborted().append(aborted);
                    appended.map_err(|source| self.io("writing the transaction index of a cleaned segment in", source))?;
                }
                if output.buffer.len() >= limits::CLEANER_WRITE_BYTES {
                    self.flush(&mut output, meter)?;
                }
            }
        }
        self.flush(&mut output, meter)?;
        output
            .segment
            .write_indexes()
            .map_err(|source| self.io("writing the indexes in", source))?;
        let mut files = Vec::new();
        output.segment.files_to_sync(true, &mut files);
        for file in files {
            file.sync_data().map_err(|source| self.io("syncing a cleaned segment in", source))?;
        }
        Ok(Rewritten {
            segment: Arc::new(output.segment),
            is_changed: output.is_changed,
            records_removed: output.records_removed,
        })
    }

    fn flush<C: CleanerControl>(&self, output: &mut Output, meter: &Meter<'_, C>) -> Result<(), CleanError> {
        let bytes = output.buffer.len() as u64;
        if output.segment.size() + bytes > i32::MAX as u64 {
            let segment = output.segment.base_offset();
            return Err(CleanError::TooLarge { segment });
        }
        output
            .segment
            .append(&output.buffer, &output.headers)
            .map_err(|failure| match failure {
                AppendFailure::Refused(source) | AppendFailure::Torn(source) => self.io("writing a cleaned segment in", source),
            })?;
        output.buffer.clear();
        output.headers.clear();
        meter.spend(0, bytes)
    }

    fn next_batch<C: CleanerControl>(
        &self,
        scan: &mut Scan<'_>,
        segment: &Segment,
        meter: &Meter<'_, C>,
    ) -> Result<Option<(u64, RecordBatch)>, CleanError> {
        let damaged = |reason: String| CleanError::Damaged {
            segment: segment.base_offset(),
            reason,
        };
        let found = scan.next_batch().map_err(|error| match error {
            ScanError::Io(source) => self.io("reading", source),
            invalid => damaged(invalid.to_string()),
        })?;
        if let Some((_, batch)) = &found {
            batch.verify_crc().map_err(|reason| damaged(reason.to_string()))?;
            meter.spend(batch.bytes.len() as u64, 0)?;
        }
        Ok(found)
    }

    pub(super) fn io(&self, action: &'static str, source: io::Error) -> CleanError {
        // A partition that is deleted meanwhile takes its files along.
        if self.stop.load(Ordering::Acquire) {
            return CleanError::Stopped;
        }
        CleanError::Io {
            action,
            path: self.dir.clone(),
            source,
        }
    }
}

impl PartitionLog {
    fn discard_cleaned(&mut self, round: &Cleaning, base_offset: Offset) {
        // Once the `.swap` of the log is there, only the log itself may take it back.
        if self.dir == round.dir && self.cleaning.swapping.is_none() && !self.torn {
            swap::discard(&*self.disk, &self.dir, base_offset);
        }
    }
}

struct Rewritten {
    segment: Arc<Segment>,
    is_changed: bool,
    records_removed: u64,
}

/// A segment that is being written, and what is not in it yet.
struct Output {
    segment: Segment,
    buffer: Vec<u8>,
    headers: Vec<BatchHeader>,
    is_changed: bool,
    records_removed: u64,
}

impl Output {
    fn new(segment: Segment) -> Output {
        Output {
            segment,
            buffer: Vec::new(),
            headers: Vec::new(),
            is_changed: false,
            records_removed: 0,
        }
    }

    fn add(&mut self, batch: &[u8]) {
        self.headers
            .push(BatchHeader::parse(batch).expect("a batch that was read or built"));
        self.buffer.extend_from_slice(batch);
    }
}

fn undecodable(batch: &RecordBatch, source: dohle_protocol::record::RecordError) -> CleanError {
    CleanError::Records {
        offset: batch.header.base_offset,
        source,
    }
}
