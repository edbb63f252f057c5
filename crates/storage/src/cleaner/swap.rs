//! Putting a cleaned segment in the place of those that it was made from, such that a crash at any time leaves the one or the others.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dohle_protocol::id::Offset;

use super::CleanError;
use super::round::Cleaning;
use crate::disk::Disk;
use crate::file_name;
use crate::partition_log::{LogError, PartitionLog};
use crate::retention;
use crate::segment::Segment;

/// What makes no sense without the log beside it.
const INDEXES: [&str; 3] = [file_name::OFFSET_INDEX, file_name::TIME_INDEX, file_name::TXN_INDEX];

/// `new` is complete and durable under its `.cleaned` names, but for these names themselves.
pub(super) fn swap(round: &Cleaning, log: &impl super::SharedLog, old: &[Arc<Segment>], new: &Arc<Segment>) -> Result<(), CleanError> {
    let (disk, dir) = (&*round.disk, round.dir.as_path());
    let sync_dir = || disk.sync_dir(dir).map_err(|source| round.io("syncing", source));
    sync_dir()?;
    for extension in INDEXES {
        new.rename(extension, &path(dir, new.base_offset(), extension, file_name::SWAP))
            .map_err(|source| round.io("renaming the indexes in", source))?;
    }
    // From the log's own `.swap` on, a start takes all of them for complete.
    sync_dir()?;
    log.with_log(|log| log.begin_swap(round, old, new))?;
    disk.sync_dir(dir)
        .map_err(|source| log.with_log(|log| log.torn_by("syncing", source)))?;
    log.with_log(|log| log.finish_swap(round, old, new))?;
    disk.sync_dir(dir)
        .map_err(|source| log.with_log(|log| log.torn_by("syncing", source)))?;
    Ok(())
}

/// Removes what a swap that has come to nothing has left.
pub(super) fn discard(disk: &dyn Disk, dir: &Path, base_offset: Offset) {
    // In this order no index is ever left alone with a log that it does not belong to.
    for extension in INDEXES {
        for suffix in [file_name::CLEANED, file_name::SWAP] {
            retention::remove(disk, &path(dir, base_offset, extension, suffix));
        }
    }
    retention::remove(disk, &path(dir, base_offset, file_name::LOG, file_name::CLEANED));
}

fn path(dir: &Path, base_offset: Offset, extension: &str, suffix: &str) -> PathBuf {
    dir.join(file_name::of(base_offset, extension) + suffix)
}

impl PartitionLog {
    /// A start after this finishes the swap, if the directory has been synced.
    fn begin_swap(&mut self, round: &Cleaning, old: &[Arc<Segment>], new: &Segment) -> Result<(), CleanError> {
        self.find_unchanged(round, old).ok_or(CleanError::Stopped)?;
        let base_offset = new.base_offset();
        new.rename(file_name::LOG, &path(&self.dir, base_offset, file_name::LOG, file_name::SWAP))
            .map_err(|source| self.error("renaming a cleaned segment of", source))?;
        self.cleaning.swapping = Some(base_offset);
        Ok(())
    }

    fn finish_swap(&mut self, round: &Cleaning, old: &[Arc<Segment>], new: &Arc<Segment>) -> Result<(), CleanError> {
        let range = self
            .find_unchanged(round, old)
            .filter(|_| self.cleaning.swapping == Some(new.base_offset()))
            .ok_or(CleanError::Stopped)?;
        self.exchange(range, new)
            .map_err(|source| self.torn_by("swapping segments of", source))?;
        self.cleaning.swapping = None;
        Ok(())
    }

    /// Where the segments are, if they are still all there, and nothing has been cut off them.
    fn find_unchanged(&self, round: &Cleaning, old: &[Arc<Segment>]) -> Option<Range<usize>> {
        let is_same_log = self.dir == round.dir && !self.torn && !round.stop.load(Ordering::Acquire);
        let at = self.segments.iter().position(|segment| Arc::ptr_eq(segment, &old[0]))?;
        let range = at..at + old.len();
        let found = self.segments.get(range.clone())?;
        let is_same = found.iter().zip(old).all(|(one, other)| Arc::ptr_eq(one, other));
        (is_same_log && is_same && range.end < self.segments.len()).then_some(range)
    }

    fn exchange(&mut self, range: Range<usize>, new: &Arc<Segment>) -> io::Result<()> {
        let old = self.segments[range.clone()].to_vec();
        for segment in &old {
            self.mark_deleted_segment(segment, self.seen_ms)?;
            let base_offset = segment.base_offset();
            // No segment begins there any more, so no truncation will want to know the producers of then.
            if base_offset != new.base_offset() && self.newest_snapshot != Some(base_offset) {
                retention::remove(&*self.disk, &self.path(base_offset, file_name::SNAPSHOT));
            }
        }
        for extension in file_name::SEGMENT {
            new.rename(extension, &self.path(new.base_offset(), extension))?;
        }
        Arc::make_mut(&mut self.segments).splice(range, [Arc::clone(new)]);
        Ok(())
    }

    /// Before segments go or are cut: no round may put back what was in them.
    pub(crate) fn abort_cleaning(&mut self) -> Result<(), LogError> {
        self.cleaning.stop();
        let Some(base_offset) = self.cleaning.swapping.take() else {
            return Ok(());
        };
        let name = |suffix| path(&self.dir, base_offset, file_name::LOG, suffix);
        self.disk
            .rename(&name(file_name::SWAP), &name(file_name::CLEANED))
            .map_err(|source| self.torn_by("taking back a swap of", source))?;
        discard(&*self.disk, &self.dir, base_offset);
        // Otherwise a crash might bring the `.swap` back, and the next start would put it in the place of what is written from now on.
        self.disk.sync_dir(&self.dir).map_err(|source| self.torn_by("syncing", source))
    }

    fn torn_by(&mut self, action: &'static str, source: io::Error) -> LogError {
        self.torn = true;
        self.error(action, source)
    }
}
