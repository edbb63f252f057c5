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

/// What a file of a segment may be.
const SEGMENT_FILES: [&str; 5] = [
    file_name::LOG,
    file_name::OFFSET_INDEX,
    file_name::TIME_INDEX,
    file_name::TXN_INDEX,
    file_name::SNAPSHOT,
];

impl PartitionLog {
    /// Moves the log start up: records below `offset` are not read any more. Their files go with the next [`PartitionLog::apply_retention`].
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
    /// To be called now and then; also removes the files of segments that went earlier. Returns how many segments went.
    pub fn apply_retention(&mut self, now_ms: i64, high_watermark: Offset) -> Result<usize, LogError> {
        self.seen_ms = now_ms;
        self.remove_deleted_files(now_ms);
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
        for segment in &self.segments[range] {
            let base_offset = segment.base_offset();
            mark_deleted(&*self.disk, &self.dir, base_offset).map_err(|source| {
                self.torn = true;
                LogError {
                    action: "deleting a segment of",
                    path: self.dir.clone(),
                    source,
                }
            })?;
            segment.moved_to(&self.dir, file_name::DELETED);
            let remove_at_ms = now_ms.saturating_add(self.config.file_delete_delay_ms);
            self.deleted.push(DeletedSegment { base_offset, remove_at_ms });
        }
        Ok(())
    }

    /// Removes the files whose time has come. What cannot be removed is removed when the log is opened next.
    pub(crate) fn remove_deleted_files(&mut self, now_ms: i64) {
        let (disk, dir) = (&self.disk, &self.dir);
        self.deleted.retain(|deleted| {
            let due = deleted.remove_at_ms <= now_ms;
            if due {
                SEGMENT_FILES.iter().for_each(|extension| {
                    remove(&**disk, &deleted_path(dir, deleted.base_offset, extension));
                });
            }
            !due
        });
    }
}

fn deleted_path(dir: &Path, base_offset: Offset, extension: &str) -> PathBuf {
    dir.join(file_name::of(base_offset, extension) + file_name::DELETED)
}

/// The log file goes first: without it, the others are removed when the log is opened.
fn mark_deleted(disk: &dyn Disk, dir: &Path, base_offset: Offset) -> io::Result<()> {
    for extension in SEGMENT_FILES {
        match disk.rename(
            &dir.join(file_name::of(base_offset, extension)),
            &deleted_path(dir, base_offset, extension),
        ) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
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
