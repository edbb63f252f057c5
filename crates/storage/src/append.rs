//! Appending: validate, recognise duplicates, give offsets, write once.

use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::batch::{self, BatchError, BatchHeader, NO_TIMESTAMP, RecordBatch, TimestampType};
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::id::{LeaderEpoch, Offset, ProducerId};
use dohle_protocol::record::RecordError;

use crate::batch_validator::{self, RecordRejection, ValidationContext, ValidationError};
use crate::partition_log::{LogError, PartitionLog};
use crate::producer_state::{Admission, ProducerError};
use crate::segment::{AppendFailure, Segment};
use crate::txn_index::AbortedTxn;

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer: nothing is believed.
    Client,
    /// A coordinator in this process, which may write control records.
    Coordinator,
    /// The metadata quorum.
    Quorum,
}

/// The circumstances of an append by the leader.
#[derive(Debug, Clone, Copy)]
pub struct AppendContext {
    pub leader_epoch: LeaderEpoch,
    pub now_ms: i64,
    pub origin: AppendOrigin,
    /// False for Produce before version 7.
    pub zstd_allowed: bool,
    /// Why an earlier batch of the same producer was turned away lately, if one was. A batch that has to come after that one, or may have
    /// to, is turned away for the same reason.
    pub turned_away: Option<ErrorCode>,
}

/// What has been appended.
#[derive(Debug, Clone)]
pub struct AppendInfo {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// -1 unless the log stamps the records.
    pub log_append_time_ms: i64,
    pub log_start_offset: Offset,
    /// The batch was in the log already: the offsets are those of then, and nothing has been written.
    pub duplicate: bool,
    /// A segment has been closed: worth a sync even if nobody waits for one.
    pub rolled: bool,
    /// The batches as written; empty for a duplicate.
    pub bytes: Bytes,
}

/// Nothing has been appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    #[error(transparent)]
    Producer(#[from] ProducerError),
    #[error("the transaction marker is malformed: {0}")]
    Marker(RecordError),
    #[error("batch of {size} bytes is larger than a segment of {max}")]
    LargerThanSegment { size: usize, max: usize },
    #[error("batch from the leader: {0}")]
    Replicated(BatchError),
    #[error("offsets {first} to {last} do not follow the end of the log at {log_end}")]
    Offsets { first: Offset, last: Offset, log_end: Offset },
    #[error("a batch of epoch {epoch} from a leader of epoch {leader_epoch}, after one of epoch {latest}")]
    Epochs {
        epoch: LeaderEpoch,
        latest: LeaderEpoch,
        leader_epoch: LeaderEpoch,
    },
    #[error(transparent)]
    Storage(#[from] LogError),
    #[error("a batch of producer {producer_id} before this one was turned away: {reason}")]
    BehindTurnedAway { producer_id: ProducerId, reason: ErrorCode },
    #[error("an earlier write has failed; the log must be opened anew")]
    Torn,
}

impl AppendError {
    pub fn error_code(&self) -> ErrorCode {
        match self {
            AppendError::Invalid(error) => error.error_code(),
            AppendError::Producer(error) => error.error_code(),
            AppendError::Marker(_) => ErrorCode::InvalidRecord,
            AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            AppendError::Replicated(_) => ErrorCode::CorruptMessage,
            AppendError::Epochs { .. } => ErrorCode::FencedLeaderEpoch,
            AppendError::Offsets { .. } => ErrorCode::OffsetOutOfRange,
            AppendError::BehindTurnedAway { reason, .. } => *reason,
            AppendError::Storage(_) | AppendError::Torn => ErrorCode::KafkaStorageError,
        }
    }

    /// The records at fault, where single ones are.
    pub fn rejections(&self) -> &[RecordRejection] {
        match self {
            AppendError::Invalid(error) => error.rejections(),
            _ => &[],
        }
    }

    /// The disk is broken, not just full: the directory should not be used any more.
    pub fn is_disk_failure(&self) -> bool {
        match self {
            AppendError::Storage(error) => !error.is_disk_full(),
            AppendError::Torn => true,
            _ => false,
        }
    }
}

impl PartitionLog {
    /// Appends one batch, which gets the next offsets and the leader's epoch. Its bytes are changed in place if nobody else holds them.
    pub fn append_as_leader(&mut self, records: Bytes, context: AppendContext) -> Result<AppendInfo, AppendError> {
        let AppendContext {
            leader_epoch,
            now_ms,
            origin,
            zstd_allowed,
            turned_away,
        } = context;
        self.begin_append(now_ms)?;
        let valid = batch_validator::validate(
            records,
            &self.config,
            ValidationContext {
                origin,
                now_ms,
                zstd_allowed,
            },
        )?;
        let batch = valid.place(self.log_end, leader_epoch);
        let marker = EndTxnMarker::from_batch(&batch).map_err(AppendError::Marker)?;
        let stamps = self.config.timestamp_type == TimestampType::LogAppendTime;
        let info = AppendInfo {
            base_offset: batch.header.base_offset,
            last_offset: batch.header.last_offset(),
            log_append_time_ms: if stamps { now_ms } else { NO_TIMESTAMP },
            log_start_offset: self.log_start,
            duplicate: false,
            rolled: false,
            bytes: batch.bytes.clone(),
        };
        let producer_id = batch.header.producer_id;
        let admission = self.producers.check(&batch.header, marker.as_ref(), origin);
        let is_ahead = match admission {
            Err(ProducerError::OutOfOrder { .. }) => true,
            // Of a producer of which nothing is known any sequence would be taken.
            Ok(Admission::Append) => self.producers.get(producer_id).is_none(),
            _ => false,
        };
        if let (Some(reason), true) = (turned_away, is_ahead) {
            return Err(AppendError::BehindTurnedAway { producer_id, reason });
        }
        match admission? {
            Admission::Append => {
                let rolled = self.write(&[(batch, marker)], &info.bytes, now_ms)?;
                Ok(AppendInfo { rolled, ..info })
            }
            Admission::Duplicate(known) => Ok(AppendInfo {
                base_offset: known.first_offset(),
                last_offset: known.last_offset,
                log_append_time_ms: if stamps { known.timestamp } else { NO_TIMESTAMP },
                duplicate: true,
                bytes: Bytes::new(),
                ..info
            }),
        }
    }

    /// Appends batches that have their offsets and epochs, and that a leader in `leader_epoch` has sent. There may be gaps between them. A
    /// last batch that is cut is left out.
    pub fn append_as_follower(&mut self, mut records: Bytes, leader_epoch: LeaderEpoch, now_ms: i64) -> Result<AppendInfo, AppendError> {
        self.begin_append(now_ms)?;
        let (batches, size) = self.check_replicated(&records, leader_epoch)?;
        records.truncate(size);
        let mut info = AppendInfo {
            base_offset: batches.first().map_or(self.log_end, |(batch, _)| batch.header.base_offset),
            last_offset: batches.last().map_or(self.log_end - 1, |(batch, _)| batch.header.last_offset()),
            log_append_time_ms: NO_TIMESTAMP,
            log_start_offset: self.log_start,
            duplicate: false,
            rolled: false,
            bytes: records,
        };
        if size <= self.config.segment_bytes as usize && !batches.is_empty() {
            info.rolled = self.write(&batches, &info.bytes, now_ms)?;
        } else {
            for batch in batches {
                let bytes = batch.0.bytes.clone();
                info.rolled |= self.write(&[batch], &bytes, now_ms)?;
            }
        }
        Ok(info)
    }

    fn begin_append(&mut self, now_ms: i64) -> Result<(), AppendError> {
        self.seen_ms = now_ms;
        if self.torn { Err(AppendError::Torn) } else { Ok(()) }
    }

    /// The whole batches of `records`, checked, and how many bytes they are.
    ///
    /// A batch of a later epoch than its sender's (KAFKA-18723), or of an earlier one than the batch before it, comes from a log that was
    /// cut and written anew while it was read: it need not belong behind what is here.
    fn check_replicated(&self, records: &Bytes, leader_epoch: LeaderEpoch) -> Result<(Vec<PlacedBatch>, usize), AppendError> {
        let mut batches = Vec::new();
        let mut size = 0;
        let mut log_end = self.log_end;
        let mut latest = self.epochs.latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch);
        for batch in batch::batches(records.clone()) {
            let batch = match batch {
                Ok(batch) => batch,
                Err(BatchError::Cut { .. }) if size > 0 => break,
                Err(error) => return Err(AppendError::Replicated(error)),
            };
            batch.verify_crc().map_err(AppendError::Replicated)?;
            let (first, last) = (batch.header.base_offset, batch.header.last_offset());
            if first < log_end || last < first || last.0 == i64::MAX {
                return Err(AppendError::Offsets { first, last, log_end });
            }
            let epoch = batch.header.partition_leader_epoch;
            if epoch > leader_epoch || !epoch.is_none() && epoch < latest {
                return Err(AppendError::Epochs {
                    epoch,
                    latest,
                    leader_epoch,
                });
            }
            latest = latest.max(epoch);
            let marker = EndTxnMarker::from_batch(&batch).map_err(AppendError::Marker)?;
            log_end = last + 1;
            size += batch.bytes.len();
            batches.push((batch, marker));
        }
        Ok((batches, size))
    }

    /// Writes batches of which `bytes` consists. Returns whether a segment has been closed for that.
    fn write(&mut self, batches: &[PlacedBatch], bytes: &[u8], now_ms: i64) -> Result<bool, AppendError> {
        let headers: Vec<BatchHeader> = batches.iter().map(|(batch, _)| batch.header).collect();
        let rolled = self.roll_for(&headers, bytes.len(), now_ms)?;
        let segment = Arc::clone(self.active());
        segment.append(bytes, &headers).map_err(|failure| match failure {
            AppendFailure::Refused(source) => self.error("appending to", source),
            AppendFailure::Torn(source) => {
                self.torn = true;
                self.error("appending to", source)
            }
        })?;
        for (batch, marker) in batches {
            self.log_end = batch.header.next_offset();
            if self.epochs.assign(batch.header.partition_leader_epoch, batch.header.base_offset) {
                self.durability.epochs_changed += 1;
            }
            if let Some(aborted) = self.note_producer(&batch.header, marker.as_ref(), now_ms)
                && let Err(source) = segment.aborted().append(aborted)
            {
                // The batches are in the log, but readers would not be told what was aborted: recovery has to put that right.
                self.torn = true;
                return Err(self.error("appending to the transaction index of", source).into());
            }
        }
        Ok(rolled)
    }

    /// Takes a batch into the producer state; returns the entry for the transaction index if it ends a transaction as aborted.
    pub(crate) fn note_producer(&mut self, header: &BatchHeader, marker: Option<&EndTxnMarker>, now_ms: i64) -> Option<AbortedTxn> {
        let completed = self.producers.apply(header, marker, now_ms).filter(|completed| completed.aborted)?;
        Some(AbortedTxn {
            producer_id: completed.producer_id,
            first_offset: completed.first_offset,
            last_offset: completed.last_offset,
            last_stable_offset: self.producers.last_stable_offset_after(&completed),
        })
    }

    /// Closes the active segment if the batches do not fit it, or it is old enough.
    fn roll_for(&mut self, headers: &[BatchHeader], size: usize, now_ms: i64) -> Result<bool, AppendError> {
        let max = self.config.segment_bytes as usize;
        if headers.len() == 1 && size > max {
            return Err(AppendError::LargerThanSegment { size, max });
        }
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Ok(false);
        };
        let newest = headers.iter().map(|header| header.max_timestamp).max().unwrap_or(NO_TIMESTAMP);
        let active = self.active();
        let full = active.size() + size as u64 > max as u64 || !active.can_hold(last.last_offset());
        let due = full || self.is_due(newest, now_ms).map_err(|source| self.error("reading", source))?;
        if !due {
            return Ok(false);
        }
        // Segments join without a gap, so that recovery notices a lost end, unless the gap is too wide for the index.
        let near = last.last_offset() - self.log_end <= i64::from(i32::MAX);
        self.roll_at(if near { self.log_end } else { first.base_offset }, now_ms)?;
        Ok(true)
    }

    /// Whether the active segment is old, measured by the time of its records where they have one, or its index is full.
    fn is_due(&self, newest: i64, now_ms: i64) -> std::io::Result<bool> {
        let active = self.active();
        if active.size() == 0 {
            return Ok(false);
        }
        let age_ms = match active.first_timestamp()? {
            Some(first) if newest > NO_TIMESTAMP => newest.saturating_sub(first),
            Some(_) => 0,
            None => now_ms.saturating_sub(self.rolled_at_ms),
        };
        // Only what is closed can be compacted.
        let lag_ms_max = if self.config.compact {
            self.config.max_compaction_lag_ms
        } else {
            i64::MAX
        };
        let limit_ms = self.config.segment_ms.min(lag_ms_max);
        let age_ms_max = limit_ms.saturating_sub(self.jitter_ms(active.base_offset())).max(0);
        Ok(age_ms > age_ms_max || active.offset_index_bytes()? + 8 > self.config.segment_index_bytes as usize)
    }

    /// Something below `segment_jitter_ms` that differs between partitions and segments, but not between calls.
    fn jitter_ms(&self, base_offset: Offset) -> i64 {
        if self.config.segment_jitter_ms <= 0 {
            return 0;
        }
        let name = self
            .identity
            .topic
            .bytes()
            .fold(0u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let place = (self.identity.partition.0 as u64) << 40 ^ base_offset.0 as u64;
        let mixed = (name ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1;
        (mixed % self.config.segment_jitter_ms as u64) as i64
    }

    /// Closes the active segment and begins a new one at the end of the log. Does nothing if the active segment is empty.
    pub fn roll(&mut self, now_ms: i64) -> Result<(), LogError> {
        self.roll_at(self.log_end, now_ms)
    }

    fn roll_at(&mut self, base_offset: Offset, now_ms: i64) -> Result<(), LogError> {
        let active = Arc::clone(self.active());
        if active.size() == 0 && active.base_offset() == base_offset {
            return Ok(());
        }
        active
            .write_indexes()
            .map_err(|source| self.error("writing the indexes of", source))?;
        // From here on there is always one, so that recovery never has to read more than what was not synced.
        self.write_snapshot(base_offset)
            .map_err(|source| self.error("writing the producer snapshot of", source))?;
        let segment = Segment::create(&*self.disk, &self.dir, base_offset, self.config.index_interval_bytes)
            .map_err(|source| self.error("creating a segment in", source))?;
        Arc::make_mut(&mut self.segments).push(Arc::new(segment));
        self.durability.names_made += 1;
        self.rolled_at_ms = now_ms;
        Ok(())
    }
}

/// A batch with its final offsets, and the transaction marker that it may be.
type PlacedBatch = (RecordBatch, Option<EndTxnMarker>);
