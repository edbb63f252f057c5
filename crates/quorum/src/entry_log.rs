//! Raft entries in a [`PartitionLog`]: each is the value of one record, at the offset that is its index, in the leader epoch that is its term.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dohle_protocol::batch::{self, RecordBatch};
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use dohle_protocol::record::DecodeLimits;
use dohle_storage::disk::EntryKind;
use dohle_storage::{Disk, LogConfig, LogIdentity, OpenState, PartitionLog, ReadRequest, ReadView, SyncTarget};

use crate::entry_codec;
use crate::limits;
use crate::log_check;
use crate::start_error::StartError;
use crate::type_config::{Entry, LogId, log_id};
use crate::vote_file::DurableState;

/// Name of the partition, as in Kafka; its directory is this and `-0`.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

#[derive(Debug)]
pub(crate) struct EntryLog {
    partition: PartitionLog,
    last: Option<LogId>,
}

impl EntryLog {
    /// Whether `dir` holds anything that a quorum has written besides its `quorum-state`.
    pub(crate) fn exists(disk: &dyn Disk, dir: &Path) -> Result<bool, StartError> {
        let read = || -> io::Result<bool> {
            for entry in disk.list(dir)?.into_iter().filter(|entry| entry.kind == EntryKind::File) {
                let is_log = entry.name.ends_with(".log") && disk.len(&dir.join(&entry.name))? != Some(0);
                if is_log || entry.name.ends_with(".checkpoint") {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        read().map_err(|source| StartError::Disk {
            path: dir.to_owned(),
            source,
        })
    }

    /// Opens the log and compares it with what was durable. A torn end that was never acknowledged is cut off; anything else is refused.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, durable: &DurableState, now_ms: i64) -> Result<EntryLog, StartError> {
        let unreadable = |source: io::Error| match source.kind() {
            // Nothing is wrong with the log.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StartError::Disk {
                path: dir.to_owned(),
                source,
            },
            _ => StartError::LogUnreadable {
                dir: dir.to_owned(),
                reason: source.to_string(),
            },
        };
        let start = durable.purged.map_or(0, |purged| purged.index + 1);
        let intact = log_check::intact(&**disk, dir, start).map_err(unreadable)?;
        let durable_end = durable.log_end.max(intact.beyond_damage.unwrap_or(0));
        if intact.end < durable_end {
            return Err(StartError::LogTooShort {
                dir: dir.to_owned(),
                end: intact.end,
                durable_end,
            });
        }
        let identity = LogIdentity {
            topic: METADATA_TOPIC.into(),
            partition: PartitionIndex(0),
            topic_id: TopicId::ZERO,
        };
        let state = OpenState {
            clean_shutdown: false,
            recovery_point: offset(durable.log_end),
            log_start: Some(offset(start)),
        };
        let partition = PartitionLog::open(Arc::clone(disk), dir.to_owned(), identity, Arc::new(config()), state, now_ms)
            .map_err(|error| unreadable(error.source))?;
        let mut log = EntryLog { partition, last: None };
        log.purge(start, now_ms).map_err(unreadable)?;
        log.last = log.entry_before_end().map_err(unreadable)?;
        // What recovery has kept of the unsynced end is now taken for durable, so it has to be.
        log.partition.sync().map_err(|error| unreadable(error.source))?;
        let vote_term = durable.vote.map_or(0, |vote| vote.leader_id.term);
        match log.last {
            Some(last) if last.leader_id.term > vote_term => Err(StartError::VoteOlderThanLog {
                dir: dir.to_owned(),
                vote_term,
                log_term: last.leader_id.term,
            }),
            _ => Ok(log),
        }
    }

    /// Index of the entry to come.
    pub(crate) fn end(&self) -> u64 {
        self.partition.log_end_offset().0 as u64
    }

    /// Everything before is on disk for sure.
    pub(crate) fn synced_end(&self) -> u64 {
        self.partition.recovery_point().0 as u64
    }

    /// `None` if there is no entry.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.last
    }

    /// Writes entries, readable at once and durable after a sync.
    pub(crate) fn append(&mut self, entries: &[Entry], now_ms: i64) -> io::Result<()> {
        let Some(first) = entries.first() else { return Ok(()) };
        if self.last.is_none() && first.log_id.index > self.end() {
            // openraft leaves out what it has from a snapshot.
            self.partition
                .truncate_fully_and_start_at(offset(first.log_id.index))
                .map_err(io::Error::other)?;
        }
        assert_eq!(first.log_id.index, self.end(), "the log has no holes");
        self.partition
            // Of which leader they may come, openraft knows.
            .append_as_follower(batches_of(entries, now_ms)?, LeaderEpoch(i32::MAX), now_ms)
            .map_err(io::Error::other)?;
        self.last = entries.last().map(|entry| entry.log_id);
        Ok(())
    }

    /// `None` if everything is durable.
    pub(crate) fn take_sync_target(&mut self) -> Option<SyncTarget> {
        self.partition.take_sync_target()
    }

    pub(crate) fn on_synced(&mut self, target: &SyncTarget) {
        self.partition.on_synced(target);
    }

    pub(crate) fn dir(&self) -> &Path {
        self.partition.dir()
    }

    /// Removes the entries from `end` on; they may come back in a power cut until the file system is synced.
    pub(crate) fn truncate_to(&mut self, end: u64) -> io::Result<()> {
        if end >= self.end() {
            return Ok(());
        }
        self.partition.truncate_to(offset(end)).map_err(io::Error::other)?;
        self.last = self.entry_before_end()?;
        Ok(())
    }

    /// Removes the entries before `start`. Whole segments go; what remains is hidden.
    pub(crate) fn purge(&mut self, start: u64, now_ms: i64) -> io::Result<()> {
        if start > self.end() {
            self.partition
                .truncate_fully_and_start_at(offset(start))
                .map_err(io::Error::other)?;
            self.last = None;
        } else {
            self.partition.delete_records_before(offset(start));
            self.partition
                .apply_retention(now_ms, self.partition.log_end_offset())
                .map_err(io::Error::other)?;
            self.partition.take_removable_files(now_ms).remove();
        }
        Ok(())
    }

    fn entry_before_end(&self) -> io::Result<Option<LogId>> {
        let end = self.end();
        let last = end
            .checked_sub(1)
            .map(|last| self.reader().read(last, end, usize::MAX))
            .transpose()?
            .unwrap_or_default();
        Ok(last.last().map(|entry| entry.log_id))
    }

    pub(crate) fn reader(&self) -> EntryReader {
        EntryReader(self.partition.read_view())
    }
}

/// Reads a log that is being written meanwhile, as it was when the reader was made.
pub(crate) struct EntryReader(ReadView);

impl EntryReader {
    /// The entries from `start` to `end` (exclusive), as far as they are there. Not many more than `bytes_max` bytes, but one at least.
    pub(crate) fn read(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let mut next = start.max(self.0.log_start_offset().0 as u64);
        let end = end.min(self.0.log_end_offset().0 as u64);
        let mut entries = Vec::new();
        let mut bytes = 0;
        while next < end && bytes < bytes_max {
            let request = ReadRequest {
                offset: offset(next),
                upper_bound: offset(end),
                max_bytes: limits::READ_BYTES,
                min_one_batch: true,
            };
            let records = self.0.read(request).map_err(io::Error::other)?.records;
            bytes += records.len();
            for batch in batch::batches(records) {
                entries.push(entry_of(&batch.map_err(invalid)?)?);
            }
            let after = entries.last().map_or(start, |entry: &Entry| entry.log_id.index + 1);
            if after <= next {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("entry {next} is missing")));
            }
            next = after;
        }
        Ok(entries)
    }
}

fn offset(index: u64) -> Offset {
    Offset(index as i64)
}

/// Segments go when a snapshot replaces them, never by age or size.
fn config() -> LogConfig {
    LogConfig {
        segment_bytes: limits::SEGMENT_BYTES,
        segment_ms: i64::MAX,
        index_interval_bytes: limits::INDEX_INTERVAL_BYTES,
        retention_ms: -1,
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    }
}

/// One batch per entry, because a log is truncated between batches only.
fn batches_of(entries: &[Entry], now_ms: i64) -> io::Result<Bytes> {
    let mut batches = BytesMut::new();
    for entry in entries {
        let epoch = i32::try_from(entry.log_id.leader_id.term).map_err(|_| io::Error::other("the leader epochs are used up"))?;
        let value = entry_codec::encode(&entry.payload).map_err(io::Error::other)?;
        let mut builder = RecordBatchBuilder::new()
            .base_offset(offset(entry.log_id.index))
            .leader_epoch(LeaderEpoch(epoch));
        builder.append(now_ms, None, Some(&value), &[]);
        batches.extend_from_slice(&builder.build());
    }
    Ok(batches.freeze())
}

fn entry_of(batch: &RecordBatch) -> io::Result<Entry> {
    let limits = DecodeLimits {
        decompressed_bytes_max: limits::BATCH_RECORD_BYTES_MAX,
    };
    let mut records = batch.records(limits).map_err(invalid)?;
    let (Some(record), None) = (records.next(), records.next()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a batch that is not one entry"));
    };
    let record = record.map_err(invalid)?;
    let payload = entry_codec::decode(&record.value.unwrap_or_default()).map_err(invalid)?;
    let term = batch.header.partition_leader_epoch.0 as u64;
    Ok(Entry {
        log_id: log_id(term, record.offset.0 as u64),
        payload,
    })
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
