//! openraft's log and vote on disk. The log is a [`PartitionLog`]: index = offset, term = leader epoch, entry = value of a record.
//!
//! What openraft is told to be durable is durable: an append after `fdatasync`, a vote after its file and directory are synced. Entries
//! are written at once and synced by a job of their own; those that arrive during a sync share the next one. Votes, truncations and
//! syncs happen one after another, in the order in which openraft asked for them.

use std::fmt::Debug;
use std::io;
use std::mem;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;

use dohle_storage::Disk;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;

use crate::entry_log::EntryLog;
use crate::limits;
use crate::runtime::{Runtime, blocking};
use crate::start_error::StartError;
use crate::type_config::{Entry, LogId, NodeId, TypeConfig, Vote};
use crate::vote_file::{DurableState, VoteFile};

/// A handle; clones share one log.
#[derive(Debug)]
pub(crate) struct LogStore<R: Runtime> {
    shared: Arc<Shared<R>>,
}

#[derive(Debug)]
struct Shared<R: Runtime> {
    /// Held by the job that waits for the disk, never by whoever reads or appends.
    disk: Mutex<VoteFile>,
    log: Mutex<State<R>>,
}

struct State<R: Runtime> {
    entries: EntryLog,
    /// As in the file.
    durable: DurableState,
    /// Who waits for the entries written since the last sync began.
    unsynced: Vec<IOFlushed<TypeConfig<R>>>,
    /// A job will sync what is unsynced.
    sync_is_due: bool,
    /// What the first failed sync said. What it covered may be lost although a later sync succeeds, hence there is none.
    failure: Option<String>,
}

impl<R: Runtime> Debug for State<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("durable", &self.durable)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl<R: Runtime> Clone for LogStore<R> {
    fn clone(&self) -> LogStore<R> {
        LogStore {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<R: Runtime> LogStore<R> {
    /// Opens or creates the log of `node_id`; whatever contradicts itself is refused.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, node_id: NodeId) -> Result<LogStore<R>, StartError> {
        create_dir(&**disk, dir).map_err(|source| StartError::Disk {
            path: dir.to_owned(),
            source,
        })?;
        let file = VoteFile::new(Arc::clone(disk), dir);
        let store = |durable: &DurableState| {
            file.store(durable).map_err(|source| StartError::Disk {
                path: dir.to_owned(),
                source,
            })
        };
        let mut durable = match file.load()? {
            Some(durable) if durable.node_id != node_id => {
                return Err(StartError::OtherNode {
                    dir: dir.to_owned(),
                    found: durable.node_id,
                    configured: node_id,
                });
            }
            Some(durable) => durable,
            None if EntryLog::exists(&**disk, dir)? => return Err(StartError::VoteMissing { dir: dir.to_owned() }),
            None => {
                // Before the first entry, so that a log without this file has lost it.
                let first = DurableState {
                    node_id,
                    vote: None,
                    purged: None,
                    log_end: 0,
                };
                store(&first)?;
                first
            }
        };
        let entries = EntryLog::open(disk, dir, &durable, R::now_ms())?;
        if durable.log_end != entries.synced_end() {
            // After a crash: what was found is not to be lost later.
            durable.log_end = entries.synced_end();
            store(&durable)?;
        }
        let state = State {
            entries,
            durable,
            unsynced: Vec::new(),
            sync_is_due: false,
            failure: None,
        };
        Ok(LogStore {
            shared: Arc::new(Shared {
                disk: Mutex::new(file),
                log: Mutex::new(state),
            }),
        })
    }

    /// The last entry that a snapshot has replaced.
    pub(crate) fn purged(&self) -> Option<LogId> {
        self.shared.log.lock().durable.purged
    }

    /// As it is on disk.
    pub(crate) fn vote(&self) -> Option<Vote> {
        self.shared.log.lock().durable.vote
    }

    /// As many of the entries as fit into a message, one at least.
    pub(crate) fn read_some(&self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let reader = self.shared.log.lock().entries.reader();
        reader.read(start, end, limits::MESSAGE_BYTES_ENOUGH)
    }

    /// Syncs everything and notes how far the log goes, so that the next start can tell whether it still does.
    pub(crate) async fn close(&self) -> io::Result<()> {
        self.on_disk(|shared, disk| shared.change(disk, |_| ())).await
    }

    /// Runs `job` on a thread that may wait for the disk, after everything that was asked for before it.
    async fn on_disk(&self, job: impl FnOnce(&Shared<R>, &VoteFile) -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        blocking::<R, _>(move || {
            let disk = shared.disk.lock();
            shared.sync(&disk);
            shared.ensure_working()?;
            job(&shared, &disk)
        })
        .await
    }
}

/// Durably, for a vote may come before the first entry.
fn create_dir(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.create_dir(dir)?;
    dir.parent().map_or(Ok(()), |parent| disk.sync_dir(parent))
}

/// What needs the disk takes its lock as a parameter: the proof that no other job is at it.
impl<R: Runtime> Shared<R> {
    fn ensure_working(&self) -> io::Result<()> {
        self.log
            .lock()
            .failure
            .as_ref()
            .map_or(Ok(()), |failure| Err(io::Error::other(failure.clone())))
    }

    /// Syncs until nobody waits.
    fn sync(&self, disk: &VoteFile) {
        loop {
            let (waiting, target) = {
                let mut log = self.log.lock();
                if log.unsynced.is_empty() {
                    log.sync_is_due = false;
                    return;
                }
                (mem::take(&mut log.unsynced), log.entries.take_sync_target())
            };
            let outcome = self
                .ensure_working()
                .and_then(|()| target.as_ref().map_or(Ok(()), |target| target.sync(disk.disk())));
            {
                let mut log = self.log.lock();
                match (&outcome, &target) {
                    (Ok(()), Some(target)) => log.entries.on_synced(target),
                    (Ok(()), None) => {}
                    (Err(error), _) => log.fail(error),
                }
            }
            for callback in waiting {
                callback.io_completed(outcome.as_ref().copied().map_err(|error| io::Error::other(error.to_string())));
            }
        }
    }

    /// Replaces the file by `durable`, which becomes what is remembered once it is on disk.
    fn store(&self, disk: &VoteFile, durable: DurableState) -> io::Result<()> {
        let outcome = disk.store(&durable);
        let mut log = self.log.lock();
        match &outcome {
            Ok(()) => log.durable = durable,
            // Old or new, nobody knows which is on disk: neither may be acted on.
            Err(error) => log.fail(error),
        }
        outcome
    }

    fn change(&self, disk: &VoteFile, change: impl FnOnce(&mut DurableState)) -> io::Result<()> {
        let mut durable = {
            let log = self.log.lock();
            DurableState {
                log_end: log.entries.synced_end(),
                ..log.durable.clone()
            }
        };
        change(&mut durable);
        self.store(disk, durable)
    }
}

impl<R: Runtime> State<R> {
    fn fail(&mut self, error: &io::Error) {
        self.failure.get_or_insert_with(|| error.to_string());
    }
}

impl<R: Runtime> RaftLogStorage<TypeConfig<R>> for LogStore<R> {
    type LogReader = LogStore<R>;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig<R>>> {
        let log = self.shared.log.lock();
        let purged = log.durable.purged;
        Ok(LogState {
            last_purged_log_id: purged,
            last_log_id: log.entries.last().or(purged),
        })
    }

    async fn get_log_reader(&mut self) -> LogStore<R> {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = *vote;
        self.on_disk(move |shared, disk| shared.change(disk, |durable| durable.vote = Some(vote)))
            .await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig<R>>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.shared.ensure_working()?;
        let entries: Vec<Entry> = entries.into_iter().collect();
        let sync_is_due = {
            let mut log = self.shared.log.lock();
            if let Err(error) = log.entries.append(&entries, R::now_ms()) {
                log.fail(&error);
                return Err(error);
            }
            log.unsynced.push(callback);
            mem::replace(&mut log.sync_is_due, true)
        };
        if !sync_is_due {
            let shared = Arc::clone(&self.shared);
            R::run_blocking(Box::new(move || {
                let disk = shared.disk.lock();
                shared.sync(&disk);
            }));
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let end = last.map_or(0, |last| last.index + 1);
        self.on_disk(move |shared, disk| {
            // The file first, or after a crash in between the log would seem to have lost entries.
            shared.change(disk, |durable| durable.log_end = durable.log_end.min(end))?;
            let dir = {
                let mut log = shared.log.lock();
                log.entries.truncate_to(end).inspect_err(|error| log.fail(error))?;
                log.entries.dir().to_owned()
            };
            // Rare enough to sync everything: the log itself takes a truncation for done when the next append is synced. It may take seconds,
            // and whoever reads meanwhile must not wait for it.
            disk.disk()
                .sync_file_system(&dir)
                .inspect_err(|error| shared.log.lock().fail(error))
        })
        .await
    }

    async fn purge(&mut self, last: LogId) -> io::Result<()> {
        self.on_disk(move |shared, disk| {
            // The file first: it hides what the log still has, so a crash in between is the same as one after.
            shared.change(disk, |durable| durable.purged = Some(last))?;
            let mut log = shared.log.lock();
            log.entries.purge(last.index + 1, R::now_ms()).inspect_err(|error| log.fail(error))
        })
        .await
    }
}

impl<R: Runtime> RaftLogReader<TypeConfig<R>> for LogStore<R> {
    async fn try_get_log_entries<B: RangeBounds<u64> + Clone + Debug + OptionalSend>(&mut self, range: B) -> io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let reader = self.shared.log.lock().entries.reader();
        reader.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read_some(start, end)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared.log.lock().durable.vote)
    }
}
