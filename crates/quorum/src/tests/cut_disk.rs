//! A disk whose power fails after a given number of changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use dohle_storage::FaultyDisk;
use dohle_storage::disk::{DirEntry, Disk, DiskFile};

/// Passes everything on to a [`FaultyDisk`] while there is power; afterwards everything fails, and nothing changes any more.
#[derive(Debug, Clone)]
pub(super) struct CutDisk {
    inner: FaultyDisk,
    changes_left: Arc<AtomicI64>,
}

impl CutDisk {
    pub(super) fn new(changes_left: i64) -> CutDisk {
        CutDisk {
            inner: FaultyDisk::new(),
            changes_left: Arc::new(AtomicI64::new(changes_left)),
        }
    }

    pub(super) fn power_has_failed(&self) -> bool {
        self.changes_left.load(Ordering::SeqCst) < 0
    }

    /// What is found when the power is back.
    pub(super) fn after_power_cut(&self, seed: u64) -> FaultyDisk {
        self.inner.crash(seed)
    }

    fn read(&self) -> io::Result<&FaultyDisk> {
        if self.power_has_failed() {
            Err(io::Error::other("power cut"))
        } else {
            Ok(&self.inner)
        }
    }

    fn change(&self) -> io::Result<&FaultyDisk> {
        self.changes_left.fetch_sub(1, Ordering::SeqCst);
        self.read()
    }
}

impl Disk for CutDisk {
    fn file(&self, path: PathBuf) -> Arc<dyn DiskFile> {
        Arc::new(CutFile {
            disk: self.clone(),
            inner: self.inner.file(path),
        })
    }

    fn create_file(&self, path: &Path) -> io::Result<()> {
        self.change()?.create_file(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read()?.read(path)
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.change()?.replace(path, content)
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.change()?.write(path, content)
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        self.read()?.len(path)
    }

    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        self.read()?.modified_ms(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.read()?.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.change()?.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change()?.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.change()?.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change()?.sync_dir(dir)
    }

    fn sync_file_system(&self, dir: &Path) -> io::Result<()> {
        self.change()?.sync_file_system(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.change()?.lock(path)
    }
}

#[derive(Debug)]
struct CutFile {
    disk: CutDisk,
    inner: Arc<dyn DiskFile>,
}

impl DiskFile for CutFile {
    fn read_at(&self, position: u64, length_max: usize) -> io::Result<Bytes> {
        self.disk.read()?;
        self.inner.read_at(position, length_max)
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        self.disk.change()?;
        self.inner.write_at(position, data)
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.read()?;
        self.inner.len()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.change()?;
        self.inner.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.change()?;
        self.inner.sync_data()
    }

    fn close(&self) {
        self.inner.close();
    }

    fn rename(&self, to: &Path) -> io::Result<()> {
        self.disk.change()?;
        self.inner.rename(to)
    }

    fn moved_to(&self, path: PathBuf) {
        self.inner.moved_to(path);
    }
}
