//! Group commit: makes the logs of one directory durable, many appends and many logs with one sync.
//!
//! There is no artificial delay. While a log is being synced, whatever is appended to it waits for the next sync of that log, which begins
//! as soon as the running one ends: the running sync is the batching window.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use parking_lot::{Condvar, Mutex};

use crate::disk::Disk;
use crate::limits;
use crate::sync_target::SyncTarget;

/// A log that can be made durable: the cell that guards a [`crate::PartitionLog`].
pub trait Syncable: Send + Sync {
    /// The state that the committer keeps with each log.
    fn sync_state(&self) -> &SyncState;

    /// What to sync; `None` if everything is durable. Takes the lock of the log for a moment.
    fn take_sync_target(&self) -> Option<SyncTarget>;

    /// The target is durable: hand it back to the log, raise what depends on it, wake who waits. Runs on a thread of the committer.
    fn on_synced(&self, target: &SyncTarget);

    /// The sync failed, now or earlier: nothing more of this directory becomes durable, ever.
    fn on_sync_failed(&self, error: &io::Error);
}

/// Whether a log waits for a sync, or is being synced.
#[derive(Debug, Default)]
pub struct SyncState(AtomicU8);

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
/// Being synced, and dirty again.
const RUNNING_AGAIN: u8 = 3;

impl SyncState {
    /// Notes that there is something to sync; tells whether the log has to be put into the queue for that.
    fn request(&self) -> bool {
        let next = |state| match state {
            IDLE => Some(QUEUED),
            RUNNING => Some(RUNNING_AGAIN),
            _ => None,
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(IDLE)
    }

    fn start(&self) {
        self.0.store(RUNNING, Ordering::Release);
    }

    /// Tells whether the log has to be put into the queue again.
    fn finish(&self) -> bool {
        let next = |state| Some(if state == RUNNING_AGAIN { QUEUED } else { IDLE });
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(RUNNING_AGAIN)
    }
}

/// Syncs the logs of one directory. Threads are started when there is work for them; dropping the committer lets them finish the queue and end.
pub struct Committer {
    shared: Arc<Shared>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Called once, with the error that takes the directory offline.
    on_failure: Box<dyn Fn(&io::Error) + Send + Sync>,
    queue: Mutex<Queue>,
    work: Condvar,
    /// A thread has found nothing to do.
    rest: Condvar,
}

#[derive(Default)]
struct Queue {
    logs: VecDeque<Arc<dyn Syncable>>,
    threads: usize,
    idle_threads: usize,
    closed: bool,
    /// The error that was met; there is no second try.
    failed: Option<Arc<io::Error>>,
}

impl Committer {
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, on_failure: impl Fn(&io::Error) + Send + Sync + 'static) -> Committer {
        let shared = Shared {
            disk,
            dir,
            on_failure: Box::new(on_failure),
            queue: Mutex::default(),
            work: Condvar::new(),
            rest: Condvar::new(),
        };
        Committer { shared: Arc::new(shared) }
    }

    /// Asks for a sync of everything appended to the log so far. Returns at once; the log hears of the result.
    pub fn enqueue(&self, log: Arc<dyn Syncable>) {
        if log.sync_state().request() {
            self.shared.push(log);
        }
    }

    /// Waits until every sync that was asked for is over. Blocks.
    pub fn drain(&self) {
        let mut queue = self.shared.queue.lock();
        while queue.threads > 0 && (!queue.logs.is_empty() || queue.idle_threads < queue.threads) {
            self.shared.rest.wait(&mut queue);
        }
    }

    /// Whether a sync has failed.
    pub fn has_failed(&self) -> bool {
        self.shared.queue.lock().failed.is_some()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn push(self: &Arc<Self>, log: Arc<dyn Syncable>) {
        let mut queue = self.queue.lock();
        queue.logs.push_back(log);
        self.work.notify_one();
        if queue.logs.len() > queue.idle_threads && queue.threads < limits::SYNC_THREADS_MAX {
            let shared = Arc::clone(self);
            match thread::Builder::new().name("committer".into()).spawn(move || shared.run()) {
                Ok(_) => queue.threads += 1,
                // The log stays in the queue for the threads there are, or for the next attempt.
                Err(error) => tracing::error!(%error, threads = queue.threads, "cannot start a thread to sync with"),
            }
        }
    }

    fn run(self: Arc<Self>) {
        while let Some(logs) = self.next() {
            self.sync(&logs);
            for log in logs {
                if log.sync_state().finish() {
                    self.push(log);
                }
            }
        }
    }

    /// Waits for work: one log, or all that wait if they are many. `None` when the committer has been dropped.
    fn next(&self) -> Option<Vec<Arc<dyn Syncable>>> {
        let mut queue = self.queue.lock();
        while queue.logs.is_empty() {
            if queue.closed {
                queue.threads -= 1;
                return None;
            }
            queue.idle_threads += 1;
            self.rest.notify_all();
            self.work.wait(&mut queue);
            queue.idle_threads -= 1;
        }
        let taken = if queue.logs.len() >= limits::SYNCFS_FROM_LOGS {
            queue.logs.len()
        } else {
            1
        };
        Some(queue.logs.drain(..taken).collect())
    }

    fn sync(&self, logs: &[Arc<dyn Syncable>]) {
        // From here on, what is appended asks for another sync; what was appended before is in the target.
        for log in logs {
            log.sync_state().start();
        }
        let failed = self.queue.lock().failed.clone();
        if let Some(error) = failed {
            return logs.iter().for_each(|log| log.on_sync_failed(&error));
        }
        let targets: Vec<_> = logs.iter().filter_map(|log| Some((log, log.take_sync_target()?))).collect();
        let result = match &targets[..] {
            [] => return,
            [(_, target)] => target.sync(&*self.disk),
            many => self.sync_file_system(many.iter().map(|(_, target)| target)),
        };
        match result {
            Ok(()) => targets.iter().for_each(|(log, target)| log.on_synced(target)),
            Err(error) => self.fail(error, logs),
        }
    }

    fn sync_file_system<'a>(&self, targets: impl Iterator<Item = &'a SyncTarget>) -> io::Result<()> {
        for target in targets {
            target.write_replacements(&*self.disk)?;
        }
        self.disk.sync_file_system(&self.dir)
    }

    fn fail(&self, error: io::Error, logs: &[Arc<dyn Syncable>]) {
        tracing::error!(dir = %self.dir.display(), %error, "a sync failed; the log directory is offline from now on");
        let error = Arc::new(error);
        let first = self.queue.lock().failed.replace(Arc::clone(&error)).is_none();
        if first {
            (self.on_failure)(&error);
        }
        logs.iter().for_each(|log| log.on_sync_failed(&error));
    }
}
