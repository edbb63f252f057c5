//! What is removed from the beginning of a log: by age, by size, and on request.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dohle_protocol::id::Offset;

use crate::disk::Disk;
use crate::file_name;
use crate::partition_log::{DeletedSegment, LogError, PartitionLog};
use crate::segment::Segment;

/// Files of deleted segments that nobody needs any more.
#[derive(Debug)]
#[must_use = "the files are there until they are removed"]
pub struct RemovableFiles {
    disk: Arc<dyn Disk>,
    files: Vec<PathBuf>,
}

impl RemovableFiles {
    /// Removes them; the lock of their log is not needed for that. What cannot be removed is when the log is opened next.
    pub fn remove(self) {
        self.files.iter().for_each(|path| remove(&*self.disk, path));
    }
}

impl PartitionLog {
    /// Moves the log start up: records below `offset` are not read any more. Their segments go with the next [`PartitionLog::apply_retention`].
    /// The caller has checked that `offset` is no higher than the high watermark. Returns the log start, which never moves back.
    pub fn delete_records_before(&mut self, offset: Offset) -> Offset {
        assert!(offset <= self.log_end, "{offset} is beyond the end {}", self.log_end);
        if offset > self.log_start {
            self.log_start = offset;
            if self.epochs.truncate_from_start(offset) {
                self.durability.epochs_changed += 1;
            }
        }
        self.log_start
    }

    /// Removes whole segments that are below the log start, too old, or too much, and never anything at or above the high watermark.
    /// To be called now and then. Returns how many segments went; their files are left for [`PartitionLog::take_removable_files`].
    pub fn apply_retention(&mut self, now_ms: i64, high_watermark: Offset) -> Result<usize, LogError> {
        self.seen_ms = now_ms;
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms);
        let expired = self
            .count_expired(now_ms, high_watermark)
            .map_err(|source| self.error("checking the age of", source))?;
        if expired == 0 {
            return Ok(0);
        }
        if expired == self.segments.len() {
            self.roll(now_ms)?;
        }
        self.remove_segments(0..expired, now_ms)?;
        let first = self.segments[0].base_offset();
        self.delete_records_before(first);
        tracing::info!(dir = %self.dir.display(), segments = expired, log_start = self.log_start.0, "removed old segments");
        Ok(expired)
    }

    /// How many of the oldest segments are to go.
    fn count_expired(&self, now_ms: i64, high_watermark: Offset) -> io::Result<usize> {
        let config = &self.config;
        let mut excess = match config.retention_bytes {
            limit if limit >= 0 && config.delete => self.size_in_bytes().saturating_sub(limit as u64),
            _ => 0,
        };
        let mut expired = 0;
        for (at, segment) in self.segments.iter().enumerate() {
            let next = self.segments.get(at + 1).map(|next| next.base_offset());
            let too_much = excess > 0 && excess >= segment.size();
            if high_watermark < next.unwrap_or(self.log_end) || (next.is_none() && segment.size() == 0) {
                break;
            }
            let below_start = next.is_some_and(|next| next <= self.log_start);
            if !below_start && !too_much && !self.is_too_old(segment, now_ms)? {
                break;
            }
            excess = excess.saturating_sub(segment.size());
            expired = at + 1;
        }
        Ok(expired)
    }

    fn is_too_old(&self, segment: &Segment, now_ms: i64) -> io::Result<bool> {
        if self.config.retention_ms < 0 || !self.config.delete {
            return Ok(false);
        }
        let newest = match segment.newest()?.filter(|(timestamp, _)| *timestamp >= 0) {
            Some((timestamp, _)) => timestamp,
            None => self.disk.modified_ms(&self.path(segment.base_offset(), file_name::LOG))?,
        };
        Ok(now_ms.saturating_sub(newest) > self.config.retention_ms)
    }

    /// Takes segments out of the list and marks their files as deleted. Readers that hold a view go on using them for a while.
    pub(crate) fn remove_segments(&mut self, range: Range<usize>, now_ms: i64) -> Result<(), LogError> {
        self.mark_deleted_segments(range.clone(), now_ms)?;
        Arc::make_mut(&mut self.segments).drain(range);
        Ok(())
    }

    pub(crate) fn mark_deleted_segments(&mut self, range: Range<usize>, now_ms: i64) -> Result<(), LogError> {
        self.abort_cleaning()?;
        for segment in Arc::clone(&self.segments)[range].iter() {
            let deleted = self.mark_deleted_segment(segment, now_ms);
            let snapshot = self.path(segment.base_offset(), file_name::SNAPSHOT);
            let deleted = deleted.and_then(|suffix| match self.disk.rename(&snapshot, &with_suffix(&snapshot, &suffix)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            });
            deleted.map_err(|source| {
                self.torn = true;
                self.error("deleting a segment of", source)
            })?;
        }
        Ok(())
    }

    /// Renames the files of a segment, so that they are removed later, or when the log is opened next. Returns what has been put behind
    /// their names, which is used for no other segment: views read on under the new names.
    pub(crate) fn mark_deleted_segment(&mut self, segment: &Arc<Segment>, now_ms: i64) -> io::Result<String> {
        self.deletions += 1;
        let suffix = format!(".{}{}", self.deletions, file_name::DELETED);
        let path = |extension: &str| self.dir.join(file_name::of(segment.base_offset(), extension));
        // The log goes first: without it, the others are removed when the log is opened.
        for extension in file_name::SEGMENT.into_iter().rev() {
            segment.rename(extension, &with_suffix(&path(extension), &suffix))?;
        }
        let extensions = file_name::SEGMENT.into_iter().chain([file_name::SNAPSHOT]);
        self.deleted.push(DeletedSegment {
            segment: Arc::clone(segment),
            files: extensions.map(|extension| with_suffix(&path(extension), &suffix)).collect(),
            remove_at_ms: now_ms.saturating_add(self.config.file_delete_delay_ms),
        });
        Ok(suffix)
    }

    /// The files of deleted segments whose time has come, and which no view reads any more.
    pub fn take_removable_files(&mut self, now_ms: i64) -> RemovableFiles {
        let is_due = |deleted: &mut DeletedSegment| deleted.remove_at_ms <= now_ms && Arc::strong_count(&deleted.segment) == 1;
        RemovableFiles {
            disk: Arc::clone(&self.disk),
            files: self.deleted.extract_if(.., is_due).flat_map(|deleted| deleted.files).collect(),
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a file that nobody needs; it is no harm if that fails.
pub(crate) fn remove(disk: &dyn Disk, path: &Path) {
    match disk.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove a file");
        }
        _ => {}
    }
}
