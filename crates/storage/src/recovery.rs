//! Opening a log: after a clean shutdown with as few reads as possible, after a crash by checking what may not have been synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::Offset;

use crate::checkpoint;
use crate::cleaner::{self, CleaningState};
use crate::disk::{Disk, EntryKind};
use crate::epoch_cache::EpochCache;
use crate::file_name;
use crate::log_config::LogConfig;
use crate::partition_log::{Durability, LogIdentity, PartitionLog};
use crate::producer_recovery::Replay;
use crate::producer_state::ProducerState;
use crate::retention;
use crate::scan::{InvalidBatch, ScanError};
use crate::segment::Segment;

/// What is known about a log before it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenState {
    /// The log was closed with [`PartitionLog::close_clean`], and the directory says so.
    pub clean_shutdown: bool,
    /// Everything below was synced. Zero if unknown.
    pub recovery_point: Offset,
    /// From the checkpoint.
    pub log_start: Option<Offset>,
}

/// A log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the log in {}: {source}", dir.display())]
pub struct OpenError {
    pub dir: PathBuf,
    pub source: io::Error,
}

impl OpenError {
    pub fn error_code(&self) -> ErrorCode {
        ErrorCode::KafkaStorageError
    }
}

impl PartitionLog {
    /// Opens the log in `dir`, which is made if it does not exist.
    ///
    /// After a crash, what was not synced is checked batch by batch, and the log ends before the first that is damaged. What is left is
    /// readable, but not known to be durable: [`PartitionLog::recovery_point`] may be below the end until the next sync, which the caller
    /// should ask for.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        identity: LogIdentity,
        config: Arc<LogConfig>,
        state: OpenState,
        now_ms: i64,
    ) -> Result<PartitionLog, OpenError> {
        let opened = match Files::list(&*disk, &dir) {
            Ok(None) => create(disk, &dir, identity, config, now_ms),
            Ok(Some(files)) => load(disk, &dir, identity, config, now_ms, |log| log.recover(&files, state)),
            Err(error) => Err(error),
        };
        opened.map_err(|source| OpenError { dir, source })
    }

    fn recover(&mut self, files: &Files, state: OpenState) -> io::Result<()> {
        self.add_segments(files, state)?;
        let mut reset_from = None;
        if state.clean_shutdown {
            self.check_missing_indexes(files)?;
        } else {
            let unsynced = self
                .segments
                .partition_point(|segment| segment.base_offset() <= state.recovery_point)
                .saturating_sub(1);
            reset_from = Some(self.recover_segments(unsynced)?);
            if self.log_end < state.recovery_point {
                tracing::warn!(dir = %self.dir.display(), recovery_point = state.recovery_point.0, log_end = self.log_end.0,
                    "the recovery point lies beyond the end of the log; checking all of it");
                reset_from = Some(self.recover_segments(0)?);
            }
            let sealed = self
                .segments
                .iter()
                .take_while(|segment| reset_from.is_none_or(|from| segment.base_offset() < from));
            sealed.into_iter().try_for_each(|segment| segment.check_indexes())?;
        }
        if state.clean_shutdown {
            let last = Arc::clone(self.active());
            match last.read_end_offset() {
                Ok(end) if end >= state.recovery_point => self.log_end = end,
                found => {
                    reset_from = Some(self.recover_segments(self.segments.len() - 1)?);
                    tracing::warn!(dir = %self.dir.display(), ?found, recovery_point = state.recovery_point.0, log_end = self.log_end.0,
                        "the end of a log is damaged in spite of a clean shutdown; checked its last segment");
                }
            }
        }
        let intact = state.clean_shutdown && reset_from.is_none();
        self.durability.synced = if intact {
            self.log_end
        } else {
            self.log_end.min(state.recovery_point)
        };
        // What the last process did, and did not sync, is in need of a sync by this one.
        self.durability.generation = u64::from(!intact);
        self.durability.names_made = u64::from(!intact);
        self.durability.new_dir = !intact;
        self.set_log_start(state.log_start);
        self.load_epochs(files)?;
        let reset_from = self.load_txn_indexes(files, reset_from)?;
        let snapshots_up_to = if intact { self.log_end } else { self.durability.synced };
        self.load_producers(
            &files.snapshots,
            Replay {
                snapshots_up_to,
                txn_index_from: reset_from,
                trust_absence: intact,
            },
        )?;
        self.segments.iter().for_each(|segment| segment.close_files());
        let path = self.dir.join(file_name::PARTITION_METADATA);
        // A power cut before the first sync leaves it empty. Whether it is the right one, the caller has seen.
        let is_whole = || state.clean_shutdown || checkpoint::read_partition_metadata(&*self.disk, &path).is_some();
        if files.has_partition_metadata && is_whole() {
            return Ok(());
        }
        self.write_partition_metadata()
    }

    fn add_segments(&mut self, files: &Files, state: OpenState) -> io::Result<()> {
        let mut segments = Vec::with_capacity(files.logs.len().max(1));
        for &base_offset in &files.logs {
            let size = self.disk.len(&self.path(base_offset, file_name::LOG))?.unwrap_or(0);
            let segment = Segment::existing(&*self.disk, &self.dir, base_offset, size, self.config.index_interval_bytes);
            segments.push(Arc::new(segment));
        }
        if segments.is_empty() {
            let base_offset = state.log_start.unwrap_or_default();
            segments.push(Arc::new(Segment::create(
                &*self.disk,
                &self.dir,
                base_offset,
                self.config.index_interval_bytes,
            )?));
        }
        self.segments = Arc::new(segments);
        Ok(())
    }

    /// After a clean shutdown indexes are not looked at before they are needed; but a file that is not there is made at once.
    fn check_missing_indexes(&self, files: &Files) -> io::Result<()> {
        for segment in self.segments.iter().filter(|segment| segment.size() > 0) {
            let has = |indexes: &[Offset]| indexes.binary_search(&segment.base_offset()).is_ok();
            if !has(&files.offset_indexes) || !has(&files.time_indexes) {
                segment.check_indexes()?;
            }
        }
        Ok(())
    }

    /// Checks every batch of the segments from `first` on, rebuilds their indexes, and ends the log before the first damaged batch.
    /// Returns the base offset of the first segment checked.
    fn recover_segments(&mut self, first: usize) -> io::Result<Offset> {
        let reset_from = self.segments[first].base_offset();
        for at in first..self.segments.len() {
            let segment = Arc::clone(&self.segments[at]);
            let (end, damage) = recover_segment(&segment, &mut self.epochs)?;
            self.log_end = end;
            segment.write_indexes()?;
            let next = self.segments.get(at + 1).map(|next| next.base_offset());
            // A gap means that the end of this segment was lost, and an overlap that the next one should not be there: neither was synced.
            // Only compaction leaves gaps on purpose.
            let joins = next.is_none_or(|next| next == end || next > end && self.config.compact);
            if damage.is_none() && joins {
                continue;
            }
            let reason = damage.map_or_else(|| "the next segment does not begin there".to_owned(), |damage| damage.to_string());
            tracing::warn!(dir = %self.dir.display(), segment = segment.base_offset().0, log_end = end.0, reason,
                segments_removed = self.segments.len() - at - 1, "cut a log after its last intact batch");
            self.remove_segments(at + 1..self.segments.len(), i64::MIN)
                .map_err(|error| error.source)?;
            break;
        }
        Ok(reset_from)
    }

    fn set_log_start(&mut self, checkpointed: Option<Offset>) {
        let first = self.segments[0].base_offset();
        self.log_start = match checkpointed {
            Some(offset) if offset > self.log_end => {
                tracing::warn!(dir = %self.dir.display(), log_start = offset.0, log_end = self.log_end.0,
                    "the checkpointed log start lies beyond the end of the log; going on without it");
                first
            }
            Some(offset) => offset.max(first),
            None => first,
        };
    }

    /// From the checkpoint, together with what recovery has found; if there is no usable checkpoint, from the log.
    fn load_epochs(&mut self, files: &Files) -> io::Result<()> {
        let recovered = std::mem::take(&mut self.epochs);
        let path = self.dir.join(file_name::LEADER_EPOCH_CHECKPOINT);
        let text = if files.has_epochs {
            String::from_utf8_lossy(&self.disk.read(&path)?).into_owned()
        } else {
            String::new()
        };
        let mut changed = false;
        self.epochs = match EpochCache::from_checkpoint(&text) {
            Ok(epochs) => epochs,
            Err(error) => {
                changed = true;
                if files.has_epochs && !text.is_empty() {
                    tracing::warn!(path = %path.display(), %error, "reading the leader epochs from the log instead of their checkpoint");
                }
                self.scan_epochs()?
            }
        };
        // The checkpoint may be of the time before the log was cut and written anew: what was read off the log is right.
        if let Some(first) = recovered.entries().first() {
            changed |= self.epochs.truncate_from_end(first.start_offset);
        }
        for entry in recovered.entries() {
            changed |= self.epochs.assign(entry.epoch, entry.start_offset);
        }
        changed |= self.epochs.truncate_from_end(self.log_end);
        changed |= self.epochs.truncate_from_start(self.log_start);
        self.durability.epochs_changed = u64::from(changed && !self.epochs.entries().is_empty());
        Ok(())
    }

    fn scan_epochs(&self) -> io::Result<EpochCache> {
        let mut epochs = EpochCache::default();
        for segment in self.segments.iter() {
            let mut scan = segment.scan();
            loop {
                match scan.next_header() {
                    Ok(Some((_, header))) => drop(epochs.assign(header.partition_leader_epoch, header.base_offset)),
                    Ok(None) | Err(ScanError::Invalid { .. }) => break,
                    Err(ScanError::Io(error)) => return Err(error),
                }
            }
        }
        Ok(epochs)
    }

    /// Reads the transaction indexes. Those of checked segments are emptied, and so are those from the first damaged one on; returns from
    /// which segment on.
    fn load_txn_indexes(&mut self, files: &Files, mut reset_from: Option<Offset>) -> io::Result<Option<Offset>> {
        for segment in self.segments.iter() {
            let base_offset = segment.base_offset();
            if files.txn_indexes.binary_search(&base_offset).is_err() {
                continue;
            }
            let mut aborted = segment.aborted();
            if reset_from.is_some_and(|from| base_offset >= from) {
                aborted.reset()?;
                continue;
            }
            match aborted.load(base_offset) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(dir = %self.dir.display(), segment = base_offset.0, %error, "rebuilding transaction indexes");
                    reset_from = Some(base_offset);
                    aborted.reset()?;
                }
                result => result?,
            }
        }
        Ok(reset_from)
    }

    fn write_partition_metadata(&self) -> io::Result<()> {
        if self.identity.topic_id.is_zero() {
            return Ok(());
        }
        self.disk.write(
            &self.dir.join(file_name::PARTITION_METADATA),
            &checkpoint::encode_partition_metadata(self.identity.topic_id),
        )
    }
}

/// A log with one empty segment.
fn create(disk: Arc<dyn Disk>, dir: &Path, identity: LogIdentity, config: Arc<LogConfig>, now_ms: i64) -> io::Result<PartitionLog> {
    disk.create_dir(dir)?;
    load(disk, dir, identity, config, now_ms, |log| {
        let segment = Segment::create(&*log.disk, &log.dir, Offset::ZERO, log.config.index_interval_bytes)?;
        log.segments = Arc::new(vec![Arc::new(segment)]);
        log.durability.names_made = 1;
        log.durability.new_dir = true;
        log.write_partition_metadata()
    })
}

fn load(
    disk: Arc<dyn Disk>,
    dir: &Path,
    identity: LogIdentity,
    config: Arc<LogConfig>,
    now_ms: i64,
    fill: impl FnOnce(&mut PartitionLog) -> io::Result<()>,
) -> io::Result<PartitionLog> {
    let mut log = PartitionLog {
        disk,
        dir: dir.to_owned(),
        identity,
        config,
        segments: Arc::default(),
        log_start: Offset::ZERO,
        log_end: Offset::ZERO,
        seen_ms: now_ms,
        rolled_at_ms: now_ms,
        producers: ProducerState::default(),
        epochs: EpochCache::default(),
        durability: Durability::default(),
        deleted: Vec::new(),
        deletions: 0,
        cleaning: CleaningState::default(),
        torn: false,
        newest_snapshot: None,
    };
    fill(&mut log)?;
    Ok(log)
}

/// Checks the batches of one segment and rebuilds its indexes. Returns the offset after the last intact batch, and what is wrong with the
/// one after it, which has been cut off with all that follows.
fn recover_segment(segment: &Segment, epochs: &mut EpochCache) -> io::Result<(Offset, Option<ScanError>)> {
    segment.reset_indexes();
    let mut scan = segment.scan();
    let mut end = segment.base_offset();
    let damage = loop {
        match scan.next_batch() {
            Ok(Some((position, batch))) => {
                let header = &batch.header;
                if let Err(reason) = batch.verify_crc() {
                    break ScanError::Invalid {
                        position,
                        reason: reason.into(),
                    };
                }
                if !segment.can_hold(header.last_offset()) {
                    let reason = InvalidBatch::Offsets {
                        base: header.base_offset,
                        last: header.last_offset(),
                        expected: end,
                    };
                    break ScanError::Invalid { position, reason };
                }
                segment.note_recovered(position, header)?;
                epochs.assign(header.partition_leader_epoch, header.base_offset);
                end = header.next_offset();
            }
            Ok(None) => return Ok((end, None)),
            Err(ScanError::Io(error)) => return Err(error),
            Err(damage) => break damage,
        }
    };
    let ScanError::Invalid { position, .. } = &damage else {
        return Ok((end, None));
    };
    segment.cut(*position, end)?;
    Ok((end, Some(damage)))
}

/// The files of a log, by kind, offsets rising.
#[derive(Debug, Default)]
struct Files {
    logs: Vec<Offset>,
    offset_indexes: Vec<Offset>,
    time_indexes: Vec<Offset>,
    txn_indexes: Vec<Offset>,
    snapshots: Vec<Offset>,
    has_epochs: bool,
    has_partition_metadata: bool,
}

impl Files {
    /// `None` if there is no such directory. Removes what an earlier run left to be removed, and indexes without a log.
    fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Files>> {
        let entries = match disk.list(dir).and_then(|entries| cleaner::finish_swaps(disk, dir, entries)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut files = Files::default();
        for entry in entries {
            let name = entry.name.as_str();
            if entry.kind != EntryKind::File {
                tracing::warn!(path = %dir.join(name).display(), "not a regular file; left alone");
            } else if name.ends_with(file_name::DELETED) || name.ends_with(".tmp") {
                retention::remove(disk, &dir.join(name));
            } else if name == file_name::LEADER_EPOCH_CHECKPOINT {
                files.has_epochs = true;
            } else if name == file_name::PARTITION_METADATA {
                files.has_partition_metadata = true;
            } else if let Some((offset, extension)) = file_name::parse(name) {
                files.of(extension).into_iter().for_each(|offsets| offsets.push(offset));
            }
        }
        for offsets in [
            file_name::LOG,
            file_name::OFFSET_INDEX,
            file_name::TIME_INDEX,
            file_name::TXN_INDEX,
            file_name::SNAPSHOT,
        ] {
            files.of(offsets).into_iter().for_each(|offsets| offsets.sort_unstable());
        }
        files.remove_orphans(disk, dir);
        Ok(Some(files))
    }

    fn of(&mut self, extension: &str) -> Option<&mut Vec<Offset>> {
        match extension {
            file_name::LOG => Some(&mut self.logs),
            file_name::OFFSET_INDEX => Some(&mut self.offset_indexes),
            file_name::TIME_INDEX => Some(&mut self.time_indexes),
            file_name::TXN_INDEX => Some(&mut self.txn_indexes),
            file_name::SNAPSHOT => Some(&mut self.snapshots),
            _ => None,
        }
    }

    fn remove_orphans(&mut self, disk: &dyn Disk, dir: &Path) {
        let logs = std::mem::take(&mut self.logs);
        for extension in [file_name::OFFSET_INDEX, file_name::TIME_INDEX, file_name::TXN_INDEX] {
            self.of(extension).into_iter().for_each(|offsets| {
                offsets.retain(|offset| {
                    let has_log = logs.binary_search(offset).is_ok();
                    if !has_log {
                        retention::remove(disk, &dir.join(file_name::of(*offset, extension)));
                    }
                    has_log
                });
            });
        }
        self.logs = logs;
    }
}
