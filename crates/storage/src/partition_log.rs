//! One partition's log: an ordered list of segments, what its producers have written, and which leader epoch began where.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::cleaner::CleaningState;
use crate::disk::Disk;
use crate::epoch_cache::{EpochCache, EpochEnd};
use crate::file_name;
use crate::log_config::LogConfig;
use crate::log_dir;
use crate::producer_state::ProducerState;
use crate::read_view::ReadView;
use crate::segment::Segment;
use crate::sync_target::SyncTarget;

/// Which partition a log belongs to; written to `partition.metadata` and used in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    pub topic: Arc<str>,
    pub partition: PartitionIndex,
    /// Zero = unknown: no `partition.metadata` is written.
    pub topic_id: TopicId,
}

/// A log could not do what it was asked to, because its files could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {source}", path.display())]
pub struct LogError {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl LogError {
    pub fn error_code(&self) -> ErrorCode {
        ErrorCode::KafkaStorageError
    }

    /// There was no room. The log is as it was before, and works on when there is room again.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// The log of one partition. All methods that change it take `&mut self`: the caller has the lock.
#[derive(Debug)]
pub struct PartitionLog {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) identity: LogIdentity,
    pub(crate) config: Arc<LogConfig>,
    /// In order of their base offsets; never empty. The last is appended to.
    pub(crate) segments: Arc<Vec<Arc<Segment>>>,
    pub(crate) log_start: Offset,
    pub(crate) log_end: Offset,
    /// The latest time that a caller has given.
    pub(crate) seen_ms: i64,
    /// When the last segment was made, for the age of one whose records have no time.
    pub(crate) rolled_at_ms: i64,
    pub(crate) producers: ProducerState,
    pub(crate) epochs: EpochCache,
    pub(crate) durability: Durability,
    /// Segments that are out of the list, and whose files remain for a while.
    pub(crate) deleted: Vec<DeletedSegment>,
    /// How many segments have been deleted, for the names of their files.
    pub(crate) deletions: u64,
    pub(crate) cleaning: CleaningState,
    /// A write failed in a way that leaves the end of the file unknown: no more appends until the log has been opened anew.
    pub(crate) torn: bool,
    /// Offset of the newest producer snapshot in the directory.
    pub(crate) newest_snapshot: Option<Offset>,
}

/// How much of the log has been synced.
#[derive(Debug, Default)]
pub(crate) struct Durability {
    /// Everything below is durable.
    pub(crate) synced: Offset,
    /// Counts truncations, and how many of them are durable.
    pub(crate) generation: u64,
    pub(crate) generation_synced: u64,
    /// Counts new files, and how many of them the directory is known to hold durably.
    pub(crate) names_made: u64,
    pub(crate) names_synced: u64,
    /// Counts changes of the leader epochs, and how many of them are in the checkpoint.
    pub(crate) epochs_changed: u64,
    pub(crate) epochs_synced: u64,
    /// The directory is new: the one above it has to be synced as well, and what says whose it is.
    pub(crate) new_dir: bool,
}

#[derive(Debug)]
pub(crate) struct DeletedSegment {
    /// Also held by views, which may go on reading it.
    pub(crate) segment: Arc<Segment>,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) remove_at_ms: i64,
}

impl PartitionLog {
    pub fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Applies to what is done from now on; the density of the index from the next segment on.
    pub fn update_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    pub fn log_start_offset(&self) -> Offset {
        self.log_start
    }

    /// The offset that the next record gets.
    pub fn log_end_offset(&self) -> Offset {
        self.log_end
    }

    /// Everything below survives a power cut.
    pub fn recovery_point(&self) -> Offset {
        self.durability.synced
    }

    /// Below it, every transaction is decided: the first offset of the oldest open one, no more than `high_watermark`.
    pub fn last_stable_offset(&mut self, high_watermark: Offset) -> Offset {
        self.producers.on_high_watermark(high_watermark);
        self.producers
            .first_unstable_offset()
            .map_or(high_watermark, |first| first.min(high_watermark))
    }

    pub fn size_in_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size()).sum()
    }

    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// What the producers of this log have written last.
    pub fn producers(&self) -> &ProducerState {
        &self.producers
    }

    pub fn epochs(&self) -> &EpochCache {
        &self.epochs
    }

    /// The largest epoch that is no larger than `epoch`, and the offset after its last record.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> EpochEnd {
        self.epochs.end_offset_for(epoch, self.log_end)
    }

    /// What is needed to read without the lock.
    pub fn read_view(&self) -> ReadView {
        ReadView {
            segments: Arc::clone(&self.segments),
            log_start: self.log_start,
            log_end: self.log_end,
        }
    }

    /// What to sync so that everything done so far, appends and truncations, is durable; `None` if it is.
    pub fn take_sync_target(&mut self) -> Option<SyncTarget> {
        let durability = &self.durability;
        if durability.synced >= self.log_end && durability.generation == durability.generation_synced {
            return None;
        }
        let mut files = Vec::new();
        // The segment that ends where the unsynced part begins is among them: its indexes, or where a truncation cut it, may not be durable.
        let first = self
            .segments
            .partition_point(|segment| segment.base_offset() < durability.synced)
            .saturating_sub(1);
        for (at, segment) in self.segments.iter().enumerate().skip(first) {
            segment.files_to_sync(at + 1 < self.segments.len(), &mut files);
        }
        let mut dirs = Vec::new();
        if durability.names_made > durability.names_synced {
            dirs.push(self.dir.clone());
            if durability.new_dir {
                dirs.extend(self.dir.parent().map(Path::to_owned));
                if !self.identity.topic_id.is_zero() {
                    files.push(self.disk.file(self.dir.join(file_name::PARTITION_METADATA)));
                }
            }
        }
        let epochs_changed = durability.epochs_changed > durability.epochs_synced;
        Some(SyncTarget {
            up_to: self.log_end,
            files,
            replacements: if epochs_changed {
                vec![self.epoch_checkpoint()]
            } else {
                Vec::new()
            },
            dirs,
            generation: durability.generation,
            names_made: durability.names_made,
            epochs_changed: durability.epochs_changed,
        })
    }

    /// The target has been synced. Returns up to where the log is durable now.
    pub fn on_synced(&mut self, target: &SyncTarget) -> Offset {
        let durability = &mut self.durability;
        if target.names_made > durability.names_synced {
            durability.names_synced = target.names_made;
            durability.new_dir = false;
        }
        durability.epochs_synced = durability.epochs_synced.max(target.epochs_changed);
        durability.generation_synced = durability.generation_synced.max(target.generation);
        // After a truncation there may be other records below `up_to` than those that were synced.
        if target.generation == durability.generation {
            durability.synced = durability.synced.max(target.up_to);
        }
        durability.synced
    }

    /// Makes everything durable now. Blocks.
    pub fn sync(&mut self) -> Result<Offset, LogError> {
        if let Some(target) = self.take_sync_target() {
            target.sync(&*self.disk).map_err(|source| self.error("syncing", source))?;
            self.on_synced(&target);
        }
        Ok(self.durability.synced)
    }

    /// Writes what is only in memory: indexes, producer state, epochs. With the marker of the directory, which also syncs, the log then
    /// opens without recovery. Nothing may be appended afterwards.
    pub fn close_clean(&mut self) -> Result<(), LogError> {
        let action = "closing";
        if self.torn {
            return Err(self.error(action, io::Error::other("an append has failed before")));
        }
        for segment in self.segments.iter() {
            segment.write_indexes().map_err(|source| self.error(action, source))?;
        }
        // Without a producer and without an older snapshot, there is nothing to say.
        if !self.producers.is_empty() || self.newest_snapshot.is_some() {
            self.write_snapshot(self.log_end).map_err(|source| self.error(action, source))?;
        }
        if self.durability.epochs_changed > self.durability.epochs_synced {
            let (path, content) = self.epoch_checkpoint();
            self.disk.write(&path, &content).map_err(|source| self.error(action, source))?;
        }
        self.take_removable_files(i64::MAX).remove();
        self.segments.iter().for_each(|segment| segment.close_files());
        Ok(())
    }

    /// Renames the directory, so that its name is free and a restart removes it. Returns the new path, to be removed by the caller with
    /// [`Disk::remove_dir`] when readers are gone.
    pub fn mark_deleted(&mut self) -> Result<PathBuf, LogError> {
        self.cleaning.stop();
        let target = log_dir::renamed_for_deletion(&self.dir);
        self.disk
            .rename(&self.dir, &target)
            .map_err(|source| self.error("renaming", source))?;
        for segment in self.segments.iter() {
            segment.moved_to(&target);
        }
        self.dir.clone_from(&target);
        Ok(target)
    }

    pub(crate) fn active(&self) -> &Arc<Segment> {
        self.segments.last().expect("a log has at least one segment")
    }

    pub(crate) fn error(&self, action: &'static str, source: io::Error) -> LogError {
        LogError {
            action,
            path: self.dir.clone(),
            source,
        }
    }

    pub(crate) fn path(&self, offset: Offset, extension: &str) -> PathBuf {
        self.dir.join(file_name::of(offset, extension))
    }

    fn epoch_checkpoint(&self) -> (PathBuf, Vec<u8>) {
        (
            self.dir.join(file_name::LEADER_EPOCH_CHECKPOINT),
            self.epochs.to_checkpoint().into_bytes(),
        )
    }
}
