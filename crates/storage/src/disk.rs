//! What the logs need from a file system: a small trait, so that tests can lose, refuse and break things.

mod fault;
mod read_buffers;
mod real;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub use fault::{FaultyDisk, Operation};
pub use real::RealDisk;

/// A file system as the logs use it. Paths are absolute or relative to the process, as in `std::fs`.
pub trait Disk: Send + Sync + fmt::Debug {
    /// A handle to a file that need not be open all the time. Nothing is touched before the first use of the handle.
    fn file(&self, path: PathBuf) -> Arc<dyn DiskFile>;

    /// Creates an empty file; an existing one keeps its content.
    fn create_file(&self, path: &Path) -> io::Result<()>;

    /// The whole content of a small regular file; symbolic links, FIFOs and oversized files are errors.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Writes a file of its own, syncs it, renames it over `path` and syncs the directory: after a crash there is the old or the new content.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()>;

    /// Writes a whole new file without syncing anything.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()>;

    /// Length of a regular file, `None` if it does not exist; anything else than a regular file is an error.
    fn len(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Time of the last modification in milliseconds since 1970.
    fn modified_ms(&self, path: &Path) -> io::Result<i64>;

    /// The entries of a directory, in no particular order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates one directory and those above it.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_file(&self, path: &Path) -> io::Result<()>;

    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes everything on the file system of `dir` durable.
    fn sync_file_system(&self, dir: &Path) -> io::Result<()>;

    /// Takes the exclusive lock of a file, created if need be; `None` if another process has it. Dropping the guard unlocks.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>>;
}

/// One regular file; opened when it is used, closed when too many are open.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Up to `length_max` bytes from `position` on; fewer only at the end of the file.
    fn read_at(&self, position: u64, length_max: usize) -> io::Result<Bytes>;

    /// The same if that needs no waiting for the disk; `None` if it does, or might.
    fn read_at_once(&self, position: u64, length_max: usize) -> io::Result<Option<Bytes>> {
        self.read_at(position, length_max).map(Some)
    }

    /// Writes all of `data` at `position`. After an error any part of it may have been written.
    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()>;

    fn len(&self) -> io::Result<u64>;

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes the content durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;

    /// Gives the file descriptor back; the next use opens the file again.
    fn close(&self);

    /// Renames the file. Nobody opens it by this handle meanwhile, so a read never finds no file, or another one, under the old name.
    fn rename(&self, to: &Path) -> io::Result<()>;

    /// A directory above has been renamed: this is the path from now on.
    fn moved_to(&self, path: PathBuf);
}

/// A name in a directory, and whether it is a plain file, a directory, or something that no log touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    pub name: String,
    pub kind: EntryKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Directory,
    /// Symbolic link, FIFO, socket, device: never opened.
    Other,
}
