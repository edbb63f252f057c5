//! What has to be synced so that everything appended to a log so far is durable.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use dohle_protocol::id::Offset;

use crate::disk::{Disk, DiskFile};

/// Taken from a log under its lock, synced without it, and handed back to [`crate::PartitionLog::on_synced`].
#[derive(Debug)]
pub struct SyncTarget {
    /// Everything below is durable once this has been synced.
    pub up_to: Offset,
    pub(crate) files: Vec<Arc<dyn DiskFile>>,
    /// Small files to be replaced with new content.
    pub(crate) replacements: Vec<(PathBuf, Vec<u8>)>,
    /// Directories in which files have been made.
    pub(crate) dirs: Vec<PathBuf>,
    /// Tells a truncation between taking and handing back.
    pub(crate) generation: u64,
    pub(crate) names_made: u64,
    pub(crate) epochs_changed: u64,
}

impl SyncTarget {
    /// Files that [`SyncTarget::sync`] would sync one by one.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Makes the target durable. Blocks.
    pub fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        for file in &self.files {
            match file.sync_data() {
                // Removed in the meantime by retention: nobody needs it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        self.write_replacements(disk)?;
        for dir in &self.dirs {
            match disk.sync_dir(dir) {
                // The partition has been deleted in the meantime.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        Ok(())
    }

    /// For who syncs the whole file system instead.
    pub(crate) fn write_replacements(&self, disk: &dyn Disk) -> io::Result<()> {
        for (path, content) in &self.replacements {
            match disk.replace(path, content) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        Ok(())
    }
}
