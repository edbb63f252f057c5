//! The operating system's files, with a bound on how many idle logs keep open.

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::read_buffers::ReadBuffers;
use super::{DirEntry, Disk, DiskFile, EntryKind};
use crate::limits;

/// The real file system. Clones share one budget of open files.
#[derive(Debug, Clone)]
pub struct RealDisk {
    open_files: Arc<OpenFiles>,
    read_buffers: Arc<ReadBuffers>,
}

impl RealDisk {
    /// Keeps as many files open as the process may have, within reason: raise that limit first.
    pub fn new() -> RealDisk {
        // The other half is for connections.
        let allowed = rustix::process::getrlimit(rustix::process::Resource::Nofile)
            .current
            .unwrap_or(u64::MAX);
        RealDisk::with_open_files_max(limits::OPEN_FILES_MAX.min(allowed as usize / 2))
    }

    pub fn with_open_files_max(open_files_max: usize) -> RealDisk {
        RealDisk {
            open_files: Arc::new(OpenFiles {
                max: open_files_max.max(1),
                ring: Mutex::default(),
            }),
            read_buffers: Arc::default(),
        }
    }
}

impl Default for RealDisk {
    fn default() -> RealDisk {
        RealDisk::new()
    }
}

impl Disk for RealDisk {
    fn file(&self, path: PathBuf) -> Arc<dyn DiskFile> {
        Arc::new_cyclic(|this| RealFile {
            this: this.clone(),
            open_files: Arc::clone(&self.open_files),
            read_buffers: Arc::clone(&self.read_buffers),
            state: Mutex::new(FileState { path, open: None }),
            used: AtomicBool::new(false),
            dirty: AtomicBool::new(false),
            slot: AtomicUsize::new(NO_SLOT),
        })
    }

    fn create_file(&self, path: &Path) -> io::Result<()> {
        open_regular(path, OFlags::WRONLY | OFlags::CREATE).map(drop)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let fd = open_regular(path, OFlags::RDONLY)?;
        let length = rustix::fs::fstat(&fd)?.st_size as u64;
        if length > limits::SMALL_FILE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("{length} bytes in {}", path.display()),
            ));
        }
        read_exactly(&fd, 0, length as usize)
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let temporary = temporary_path(path);
        let fd = open_regular(&temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        write_fully(&fd, 0, content)?;
        rustix::fs::fdatasync(&fd)?;
        fs::rename(&temporary, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let fd = open_regular(path, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        write_fully(&fd, 0, content)
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        match rustix::fs::lstat(path) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(Some(stat.st_size as u64)),
            Ok(_) => Err(not_regular(path)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        let modified = fs::symlink_metadata(path)?.modified()?;
        Ok(modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let file_type = entry.file_type()?;
            let kind = match () {
                () if file_type.is_file() => EntryKind::File,
                () if file_type.is_dir() => EntryKind::Directory,
                () => EntryKind::Other,
            };
            // A name that is not UTF-8 is none of ours; shown lossily it is still none of ours.
            entries.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                kind,
            });
        }
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::fsync(open_dir(dir)?)?)
    }

    fn sync_file_system(&self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(open_dir(dir)?)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let fd = open_regular(path, OFlags::RDWR | OFlags::CREATE)?;
        // The first kind of lock is seen by a second node in this process, the second by Apache Kafka.
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        for attempt in [rustix::fs::flock(&fd, exclusive), rustix::fs::fcntl_lock(&fd, exclusive)] {
            match attempt {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK | Errno::ACCESS) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(Box::new(fd)))
    }
}

/// The files that are open. When there are too many, a hand goes round and closes the first that has not been used since it last came by,
/// and has no unsynced data.
#[derive(Debug)]
struct OpenFiles {
    max: usize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    slots: Vec<Option<Weak<RealFile>>>,
    free_slots: Vec<usize>,
    hand: usize,
}

/// Slot of a file that is not in the ring.
const NO_SLOT: usize = usize::MAX;

impl OpenFiles {
    /// How many files are looked at to find one to close; if all are worth keeping, the last one is closed all the same.
    const LOOKS_MAX: usize = 8;

    fn opened(&self, file: &RealFile) {
        // Dropped after the lock: with its last reference a file leaves the ring.
        let mut looked_at = Vec::new();
        let mut ring = self.ring.lock();
        ring.add(file);
        for _ in 0..ring.slots.len() {
            if ring.open_count() <= self.max || looked_at.len() == Self::LOOKS_MAX {
                break;
            }
            let Some(candidate) = ring.next() else { continue };
            // The handle that wrote is sure to hear of a failed write-back; one opened later, only as long as the kernel remembers.
            let keep = candidate.used.swap(false, Ordering::Relaxed) || candidate.dirty.load(Ordering::Relaxed);
            if (!keep || looked_at.len() + 1 == Self::LOOKS_MAX)
                && let Some(mut state) = candidate.state.try_lock()
            {
                state.open = None;
                ring.remove(&candidate);
            }
            looked_at.push(candidate);
        }
        drop(ring);
    }
}

impl Ring {
    fn open_count(&self) -> usize {
        self.slots.len() - self.free_slots.len()
    }

    fn add(&mut self, file: &RealFile) {
        if file.slot.load(Ordering::Relaxed) != NO_SLOT {
            return;
        }
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(file.this.clone());
        file.slot.store(slot, Ordering::Relaxed);
    }

    fn remove(&mut self, file: &RealFile) {
        let slot = file.slot.swap(NO_SLOT, Ordering::Relaxed);
        if slot != NO_SLOT {
            self.slots[slot] = None;
            self.free_slots.push(slot);
        }
    }

    fn next(&mut self) -> Option<Arc<RealFile>> {
        self.hand = (self.hand + 1) % self.slots.len();
        self.slots[self.hand].as_ref()?.upgrade()
    }
}

#[derive(Debug)]
struct RealFile {
    this: Weak<RealFile>,
    open_files: Arc<OpenFiles>,
    read_buffers: Arc<ReadBuffers>,
    state: Mutex<FileState>,
    used: AtomicBool,
    dirty: AtomicBool,
    slot: AtomicUsize,
}

#[derive(Debug)]
struct FileState {
    path: PathBuf,
    open: Option<OpenFile>,
}

#[derive(Debug, Clone)]
struct OpenFile {
    fd: Arc<OwnedFd>,
    writable: bool,
}

impl RealFile {
    fn for_reading(&self) -> io::Result<Arc<OwnedFd>> {
        self.open(OFlags::empty())
    }

    fn for_writing(&self) -> io::Result<Arc<OwnedFd>> {
        self.dirty.store(true, Ordering::Relaxed);
        self.open(OFlags::CREATE)
    }

    fn open(&self, create: OFlags) -> io::Result<Arc<OwnedFd>> {
        self.used.store(true, Ordering::Relaxed);
        let mut state = self.state.lock();
        if let Some(open) = &state.open
            && (open.writable || create.is_empty())
        {
            return Ok(Arc::clone(&open.fd));
        }
        let opened = match open_regular(&state.path, OFlags::RDWR | create) {
            Ok(fd) => OpenFile {
                fd: Arc::new(fd),
                writable: true,
            },
            // A file system that became read-only still serves reads.
            Err(_) if create.is_empty() => OpenFile {
                fd: Arc::new(open_regular(&state.path, OFlags::RDONLY)?),
                writable: false,
            },
            Err(error) => return Err(error),
        };
        let fd = Arc::clone(&opened.fd);
        state.open = Some(opened);
        drop(state);
        self.open_files.opened(self);
        Ok(fd)
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, position: u64, length_max: usize) -> io::Result<Bytes> {
        read_exactly(&*self.for_reading()?, position, length_max).map(Bytes::from)
    }

    fn read_at_once(&self, position: u64, length_max: usize) -> io::Result<Option<Bytes>> {
        let fd = self.for_reading()?;
        let mut buffer = self.read_buffers.take(length_max);
        let mut length = 0;
        while length < length_max {
            let mut rest = [IoSliceMut::new(&mut buffer.as_mut()[length..length_max])];
            match rustix::io::preadv2(&*fd, &mut rest, position + length as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::OPNOTSUPP) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(Bytes::from_owner(buffer).slice(..length)))
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        write_fully(&*self.for_writing()?, position, data)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&*self.for_reading()?)?.st_size as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(&*self.for_writing()?, length)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        // Never creates the file: one that is gone needs no sync.
        let fd = self.for_reading()?;
        // Cleared first: a write during the sync makes the file dirty again.
        self.dirty.store(false, Ordering::Relaxed);
        Ok(rustix::fs::fdatasync(&*fd)?)
    }

    fn rename(&self, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        fs::rename(&state.path, to)?;
        to.clone_into(&mut state.path);
        Ok(())
    }

    fn moved_to(&self, path: PathBuf) {
        self.state.lock().path = path;
    }

    fn close(&self) {
        self.state.lock().open = None;
        self.open_files.ring.lock().remove(self);
    }
}

impl Drop for RealFile {
    fn drop(&mut self) {
        self.open_files.ring.lock().remove(self);
    }
}

/// Opens without following a symbolic link and without waiting for the other end of a FIFO.
fn open_regular(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))?;
    if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != FileType::RegularFile {
        return Err(not_regular(path));
    }
    Ok(fd)
}

fn open_dir(dir: &Path) -> io::Result<OwnedFd> {
    // The parent of a relative name without a slash.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    Ok(rustix::fs::open(
        dir,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn not_regular(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not a regular file", path.display()))
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

fn read_exactly(fd: &OwnedFd, position: u64, length_max: usize) -> io::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(length_max);
    while data.len() < length_max {
        let at = position + data.len() as u64;
        match rustix::io::pread(fd, rustix::buffer::spare_capacity(&mut data), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    data.truncate(length_max);
    Ok(data)
}

fn write_fully(fd: &OwnedFd, mut position: u64, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match rustix::io::pwrite(fd, data, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                data = &data[written..];
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_count(disk: &RealDisk) -> usize {
        disk.open_files.ring.lock().open_count()
    }

    #[test]
    fn files_beyond_the_budget_are_closed_and_opened_again_when_used() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::with_open_files_max(4);
        let files: Vec<_> = (0..20).map(|n| disk.file(dir.path().join(n.to_string()))).collect();
        for (n, file) in files.iter().enumerate() {
            file.write_at(0, n.to_string().as_bytes()).unwrap();
            file.sync_data().unwrap();
        }
        assert!(open_count(&disk) <= 4, "{} open", open_count(&disk));
        for (n, file) in files.iter().enumerate() {
            assert_eq!(file.read_at(0, 10).unwrap(), n.to_string());
        }
        assert!(open_count(&disk) <= 4);
        files.iter().for_each(|file| file.close());
        assert_eq!(open_count(&disk), 0);
        assert_eq!(files[3].read_at(0, 10).unwrap(), "3");
        drop(files);
        assert_eq!(open_count(&disk), 0);
    }

    #[test]
    fn d8_a_fifo_or_a_symbolic_link_is_neither_followed_nor_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, link) = (dir.path().join("fifo"), dir.path().join("link"));
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        let disk = RealDisk::new();
        for path in [&fifo, &link] {
            assert!(disk.read(path).is_err());
            assert!(disk.len(path).is_err());
            assert!(disk.file(path.clone()).read_at(0, 1).is_err());
            assert!(disk.file(path.clone()).write_at(0, b"x").is_err());
        }
    }

    #[test]
    fn a_lock_is_exclusive_until_its_guard_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new();
        let guard = disk.lock(&dir.path().join(".lock")).unwrap().unwrap();
        assert!(disk.lock(&dir.path().join(".lock")).unwrap().is_none());
        drop(guard);
        assert!(disk.lock(&dir.path().join(".lock")).unwrap().is_some());
    }
}
