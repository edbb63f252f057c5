//! A file system in memory that can lose what was not synced, run full, and fail on demand.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{DirEntry, Disk, DiskFile, EntryKind};

/// What a fault can be injected into, and what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Read,
    Write,
    Sync,
    SyncDir,
    SyncFileSystem,
    Rename,
    Remove,
    Open,
}

impl Operation {
    fn changes_the_disk(self) -> bool {
        !matches!(self, Operation::Read)
    }
}

/// A disk in memory for tests. It keeps apart what a program sees and what a power cut leaves: see [`FaultyDisk::crash`].
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk {
    world: Arc<Mutex<World>>,
}

#[derive(Debug, Default)]
struct World {
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    faults: Vec<Fault>,
    counts: BTreeMap<Operation, u64>,
    free_bytes: Option<u64>,
    interruption: Option<Interruption>,
    locked: Vec<PathBuf>,
}

#[derive(Debug, Clone)]
enum Node {
    Directory,
    File(Arc<Mutex<Content>>),
}

impl Node {
    fn is_same(&self, other: &Node) -> bool {
        match (self, other) {
            (Node::Directory, Node::Directory) => true,
            (Node::File(one), Node::File(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

#[derive(Debug, Default, Clone)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug)]
struct Fault {
    operation: Operation,
    path_contains: String,
    kind: io::ErrorKind,
    remaining: u64,
}

/// After so many operations that change something, so many fail.
#[derive(Debug)]
struct Interruption {
    after: u64,
    failures: u64,
}

impl FaultyDisk {
    pub fn new() -> FaultyDisk {
        FaultyDisk::default()
    }

    /// The next `times` operations on paths that contain `path_contains` fail. A failing write leaves half of its data behind.
    pub fn fail(&self, operation: Operation, path_contains: &str, kind: io::ErrorKind, times: u64) {
        let path_contains = path_contains.to_owned();
        self.world.lock().faults.push(Fault {
            operation,
            path_contains,
            kind,
            remaining: times,
        });
    }

    pub fn clear_faults(&self) {
        let mut world = self.world.lock();
        world.faults.clear();
        world.interruption = None;
    }

    /// Lets `after` operations that change something pass; the next `failures` fail without effect. With `u64::MAX` failures, that is how a
    /// process looks from the disk that is killed at this point.
    pub fn interrupt(&self, after: u64, failures: u64) {
        self.world.lock().interruption = Some(Interruption { after, failures });
    }

    /// Writes that extend files beyond this many bytes fail with "no space"; `None` = unlimited.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.world.lock().free_bytes = free_bytes;
    }

    /// How often an operation has been called.
    pub fn count(&self, operation: Operation) -> u64 {
        self.world.lock().counts.get(&operation).copied().unwrap_or(0)
    }

    /// Changes the content of a file behind the back of those who use it, as durable as if it had always been so.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let content = self.world.lock().content(path).expect("the file to tamper with exists");
        let mut content = content.lock();
        change(&mut content.seen);
        content.durable = content.seen.clone();
    }

    /// The disk after a power cut: synced bytes and names are there; of the others, an arbitrary part that `seed` chooses, which may
    /// include a tail of zeros. The disk itself stays as it was.
    pub fn crash(&self, seed: u64) -> FaultyDisk {
        let world = self.world.lock();
        let mut random = Random(seed);
        let mut names = BTreeMap::new();
        let unsynced_names = world.names.iter().filter(|(path, _)| !world.durable_names.contains_key(*path));
        let surviving: Vec<_> = unsynced_names.filter(|_| random.below(2) == 1).collect();
        for (path, durable) in world.durable_names.iter().chain(surviving) {
            let parent_survives = path
                .parent()
                .is_none_or(|parent| parent.as_os_str().is_empty() || names.contains_key(parent));
            if !parent_survives && path.parent().is_some_and(|parent| world.names.contains_key(parent)) {
                continue;
            }
            // A name that was given to another file, and not synced, may lead to either.
            let node = match world.names.get(path) {
                Some(now) if !now.is_same(durable) && random.below(2) == 1 => now,
                _ => durable,
            };
            let node = match node {
                Node::Directory => Node::Directory,
                Node::File(content) => Node::File(Arc::new(Mutex::new(after_power_cut(&content.lock(), &mut random)))),
            };
            names.insert(path.clone(), node);
        }
        FaultyDisk {
            world: Arc::new(Mutex::new(World {
                durable_names: names.clone(),
                names,
                ..World::default()
            })),
        }
    }
}

/// What a power cut leaves of a file: the synced bytes, and of unsynced growth a prefix, sometimes followed by zeros.
fn after_power_cut(content: &Content, random: &mut Random) -> Content {
    let mut left = content.durable.clone();
    if content.seen.len() > left.len() {
        let growth = &content.seen[left.len()..];
        let kept = random.below(growth.len() as u64 + 1) as usize;
        left.extend_from_slice(&growth[..kept]);
        if random.below(4) == 0 {
            left.resize(content.seen.len(), 0);
        }
    }
    Content {
        seen: left.clone(),
        durable: left,
    }
}

/// A small generator, so that a seed names a crash.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

impl World {
    fn begin(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        self.pass_interruption(operation)?;
        self.pass_faults(operation, path)
    }

    fn pass_interruption(&mut self, operation: Operation) -> io::Result<()> {
        let Some(interruption) = self.interruption.as_mut().filter(|_| operation.changes_the_disk()) else {
            return Ok(());
        };
        if interruption.after > 0 {
            interruption.after -= 1;
        } else if interruption.failures > 0 {
            interruption.failures -= 1;
            return Err(io::Error::other("interrupted"));
        }
        Ok(())
    }

    fn pass_faults(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        *self.counts.entry(operation).or_default() += 1;
        let name = path.to_string_lossy();
        let fault = self
            .faults
            .iter_mut()
            .find(|f| f.operation == operation && f.remaining > 0 && name.contains(&f.path_contains));
        match fault {
            None => Ok(()),
            Some(fault) => {
                fault.remaining -= 1;
                Err(fault.kind.into())
            }
        }
    }

    fn content(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        match self.names.get(path) {
            Some(Node::File(content)) => Ok(Arc::clone(content)),
            Some(Node::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn content_or_create(&mut self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        if !self.names.contains_key(path) {
            self.names.insert(path.to_owned(), Node::File(Arc::default()));
        }
        self.content(path)
    }

    fn take_space(&mut self, wanted: u64) -> u64 {
        let granted = self.free_bytes.map_or(wanted, |free| free.min(wanted));
        self.free_bytes = self.free_bytes.map(|free| free - granted);
        granted
    }

    fn write(&mut self, path: &Path, content: &Mutex<Content>, position: u64, data: &[u8]) -> io::Result<()> {
        self.pass_interruption(Operation::Write)?;
        let fault = self.pass_faults(Operation::Write, path);
        let mut content = content.lock();
        let position = position as usize;
        let grows_by = (position + data.len()).saturating_sub(content.seen.len()) as u64;
        let granted = self.take_space(grows_by);
        let missing = (grows_by - granted) as usize;
        let written = if fault.is_err() { data.len() / 2 } else { data.len() - missing };
        let end = position + written;
        if content.seen.len() < end {
            content.seen.resize(end, 0);
        }
        content.seen[position..end].copy_from_slice(&data[..written]);
        fault?;
        if missing > 0 {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.begin(Operation::Rename, from)?;
        let moved: Vec<PathBuf> = self.names.keys().filter(|path| path.starts_with(from)).cloned().collect();
        if moved.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for path in moved {
            let node = self.names.remove(&path).expect("the name was listed above");
            let rest = path.strip_prefix(from).expect("the path starts with the prefix it was chosen by");
            let target = if rest.as_os_str().is_empty() {
                to.to_owned()
            } else {
                to.join(rest)
            };
            self.names.insert(target, node);
        }
        Ok(())
    }

    fn sync_names(&mut self, dir: &Path) {
        self.durable_names.retain(|path, _| path.parent() != Some(dir));
        let now = self.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        self.durable_names.extend(now.map(|(path, node)| (path.clone(), node.clone())));
    }
}

impl Disk for FaultyDisk {
    fn file(&self, path: PathBuf) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile {
            disk: self.clone(),
            state: Mutex::new((path, None)),
        })
    }

    fn create_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.begin(Operation::Open, path)?;
        world.content_or_create(path).map(drop)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut world = self.world.lock();
        world.begin(Operation::Read, path)?;
        let content = world.content(path)?;
        Ok(content.lock().seen.clone())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut world = self.world.lock();
        let new = Arc::new(Mutex::new(Content::default()));
        world.write(path, &new, 0, content)?;
        world.begin(Operation::Sync, path)?;
        new.lock().durable = content.to_vec();
        world.names.insert(path.to_owned(), Node::File(new));
        world.begin(Operation::SyncDir, path)?;
        world.sync_names(path.parent().unwrap_or(Path::new("")));
        Ok(())
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut world = self.world.lock();
        let file = world.content_or_create(path)?;
        file.lock().seen.clear();
        world.write(path, &file, 0, content)
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        match self.world.lock().content(path) {
            Ok(content) => Ok(Some(content.lock().seen.len() as u64)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        self.world.lock().content(path).map(|_| 0)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let world = self.world.lock();
        if !matches!(world.names.get(dir), Some(Node::Directory)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = world.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        Ok(children
            .map(|(path, node)| DirEntry {
                name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                kind: if matches!(node, Node::Directory) {
                    EntryKind::Directory
                } else {
                    EntryKind::File
                },
            })
            .collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.begin(Operation::Open, dir)?;
        for dir in dir.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            world.names.entry(dir.to_owned()).or_insert(Node::Directory);
        }
        // The root has no name that could be lost.
        world.durable_names.entry(PathBuf::from("/")).or_insert(Node::Directory);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.world.lock().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.begin(Operation::Remove, path)?;
        world.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.begin(Operation::Remove, dir)?;
        world.names.retain(|path, _| !path.starts_with(dir));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.begin(Operation::SyncDir, dir)?;
        world.sync_names(dir);
        Ok(())
    }

    fn sync_file_system(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.begin(Operation::SyncFileSystem, dir)?;
        for node in world.names.values() {
            if let Node::File(content) = node {
                let mut content = content.lock();
                content.durable = content.seen.clone();
            }
        }
        world.durable_names = world.names.clone();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut world = self.world.lock();
        if world.locked.iter().any(|locked| locked == path) {
            return Ok(None);
        }
        world.content_or_create(path)?;
        world.locked.push(path.to_owned());
        Ok(Some(Box::new(FaultyLock {
            disk: self.clone(),
            path: path.to_owned(),
        })))
    }
}

struct FaultyLock {
    disk: FaultyDisk,
    path: PathBuf,
}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.disk.world.lock().locked.retain(|path| *path != self.path);
    }
}

/// Like an open file, it stays with its content when the name is removed or given to another.
#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    state: Mutex<(PathBuf, Option<Arc<Mutex<Content>>>)>,
}

impl FaultyFile {
    fn begin(&self, operation: Operation) -> io::Result<Arc<Mutex<Content>>> {
        let mut state = self.state.lock();
        let mut world = self.disk.world.lock();
        world.begin(operation, &state.0)?;
        let content = match (&state.1, operation) {
            (Some(content), _) => Arc::clone(content),
            (None, Operation::Write) => world.content_or_create(&state.0)?,
            (None, _) => world.content(&state.0)?,
        };
        state.1 = Some(Arc::clone(&content));
        Ok(content)
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, position: u64, length_max: usize) -> io::Result<Bytes> {
        let content = self.begin(Operation::Read)?;
        let content = content.lock();
        let start = content.seen.len().min(position as usize);
        let end = content.seen.len().min(start + length_max);
        Ok(Bytes::copy_from_slice(&content.seen[start..end]))
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        let path = self.state.lock().0.clone();
        let content = match self.state.lock().1.clone() {
            Some(content) => content,
            None => self.disk.world.lock().content_or_create(&path)?,
        };
        self.state.lock().1 = Some(Arc::clone(&content));
        self.disk.world.lock().write(&path, &content, position, data)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.begin(Operation::Open)?.lock().seen.len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let content = self.begin(Operation::Open)?;
        let mut world = self.disk.world.lock();
        let mut content = content.lock();
        let freed = (content.seen.len() as u64).saturating_sub(length);
        content.seen.resize(length as usize, 0);
        world.free_bytes = world.free_bytes.map(|free| free + freed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let content = self.begin(Operation::Sync)?;
        let mut content = content.lock();
        content.durable = content.seen.clone();
        Ok(())
    }

    fn close(&self) {}

    fn rename(&self, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut world = self.disk.world.lock();
        world.rename(&state.0, to)?;
        // Later uses stay with this file, whoever else takes the name.
        state.1 = Some(world.content(to)?);
        to.clone_into(&mut state.0);
        Ok(())
    }

    fn moved_to(&self, path: PathBuf) {
        self.state.lock().0 = path;
    }
}
