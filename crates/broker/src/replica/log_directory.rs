//! One log directory of this broker: its files, its committer, and whether it still works.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dohle_storage::{Committer, Disk, FoundLog, LogDir, LogPositions};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits;
use crate::replica::cell::CellServices;
use crate::replica::schedule::Task;

#[derive(Debug)]
pub(crate) struct LogDirectory {
    dir: LogDir,
    disk: Arc<dyn Disk>,
    committer: CommitterHandle,
    offline: Arc<AtomicBool>,
    partitions: AtomicUsize,
    checkpoint_planned: AtomicBool,
    checkpoint_soon: AtomicBool,
    checkpoint_wrong: AtomicBool,
    /// Held while the checkpoints are written: housekeeping and clients may ask for it at the same time.
    writing_checkpoints: Mutex<()>,
    no_room: Mutex<NoRoom>,
}

/// When a write last found none.
#[derive(Debug, Default)]
struct NoRoom {
    for_any: Option<Instant>,
    /// For a partition that other brokers have too.
    for_replicated: Option<Instant>,
}

fn was_just_now(last: Option<Instant>) -> bool {
    last.is_some_and(|last| last.elapsed() < limits::DISK_FULL_PAUSE)
}

struct CommitterHandle(Committer);

impl std::fmt::Debug for CommitterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("committer")
    }
}

impl LogDirectory {
    /// Also returns the logs that were found in it.
    pub(crate) fn new(mut dir: LogDir, disk: Arc<dyn Disk>) -> (Arc<LogDirectory>, Vec<FoundLog>) {
        let found = dir.take_logs();
        let offline = Arc::new(AtomicBool::new(false));
        let failed = Arc::clone(&offline);
        let committer = Committer::new(Arc::clone(&disk), dir.path().to_owned(), move |_| {
            failed.store(true, Ordering::Release)
        });
        let directory = LogDirectory {
            dir,
            disk,
            committer: CommitterHandle(committer),
            offline,
            partitions: AtomicUsize::new(0),
            checkpoint_planned: AtomicBool::new(false),
            checkpoint_soon: AtomicBool::new(false),
            checkpoint_wrong: AtomicBool::new(false),
            writing_checkpoints: Mutex::default(),
            no_room: Mutex::default(),
        };
        (Arc::new(directory), found)
    }

    pub(crate) fn files(&self) -> &LogDir {
        &self.dir
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(crate) fn committer(&self) -> &Committer {
        &self.committer.0
    }

    /// Nothing is written to this directory any more. What can be read, is.
    pub(crate) fn is_offline(&self) -> bool {
        self.offline.load(Ordering::Acquire)
    }

    pub(crate) fn fail(&self, reason: &dyn std::error::Error) {
        if !self.offline.swap(true, Ordering::AcqRel) {
            tracing::error!(dir = %self.path().display(), "log directory is offline from now on: {reason}");
        }
    }

    /// A write has found no room. Says so in the log, but not again and again.
    pub(crate) fn note_full(&self, reason: &dyn std::error::Error, is_replicated: bool) {
        let mut no_room = self.no_room.lock();
        if !was_just_now(no_room.for_any) {
            tracing::error!(dir = %self.path().display(), "no room is left in the log directory: {reason}");
        }
        no_room.for_any = Some(Instant::now());
        if is_replicated {
            no_room.for_replicated = no_room.for_any;
        }
    }

    /// A moment ago there was no room for records that others could take. Whoever is no leader any more does not write, so the moment is what
    /// tells it to try again. What only this broker has is better read here than led by nobody.
    pub(crate) fn is_full_for_replicated(&self) -> bool {
        was_just_now(self.no_room.lock().for_replicated)
    }

    pub(crate) fn partitions(&self) -> usize {
        self.partitions.load(Ordering::Relaxed)
    }

    pub(crate) fn partition_added(&self) {
        self.partitions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn partition_removed(&self) {
        self.partitions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Positions have changed: they are to be written down within the checkpoint interval.
    pub(crate) fn plan_checkpoint(self: &Arc<LogDirectory>, services: &CellServices) {
        if !self.checkpoint_planned.load(Ordering::Relaxed) && !self.checkpoint_planned.swap(true, Ordering::AcqRel) {
            services.schedule.add(
                Instant::now() + services.checkpoint_interval,
                Task::Checkpoint(Arc::downgrade(self)),
            );
        }
    }

    /// A segment is complete: that it is durable is to be written down before long.
    pub(crate) fn plan_checkpoint_soon(self: &Arc<LogDirectory>, services: &CellServices) {
        if !self.checkpoint_soon.swap(true, Ordering::AcqRel) {
            let interval = services.checkpoint_interval.min(limits::CHECKPOINT_AFTER_ROLL);
            services
                .schedule
                .add(Instant::now() + interval, Task::Checkpoint(Arc::downgrade(self)));
        }
    }

    /// The checkpoints say something about a log that does not hold: it ends below its recovery point, or is gone.
    pub(crate) fn checkpoint_is_wrong(&self) {
        self.checkpoint_wrong.store(true, Ordering::Release);
    }

    pub(crate) fn begin_checkpoint(&self) {
        self.checkpoint_planned.store(false, Ordering::Release);
        self.checkpoint_soon.store(false, Ordering::Release);
    }

    /// Writes down what `positions` returns, which is asked when nobody else is writing: what is on the disk never gets older.
    pub(crate) fn write_checkpoints(&self, positions: impl FnOnce() -> Vec<LogPositions>) -> io::Result<()> {
        let _alone = self.writing_checkpoints.lock();
        self.write(positions)
    }

    /// The same, unless the checkpoints are right. When this returns they are, whoever has written them.
    pub(crate) fn correct_checkpoints(&self, positions: impl FnOnce() -> Vec<LogPositions>) -> io::Result<()> {
        let _alone = self.writing_checkpoints.lock();
        if self.checkpoint_wrong.swap(false, Ordering::AcqRel) {
            self.write(positions)
        } else {
            Ok(())
        }
    }

    fn write(&self, positions: impl FnOnce() -> Vec<LogPositions>) -> io::Result<()> {
        if self.is_offline() {
            return Err(io::Error::other("the log directory is offline"));
        }
        self.dir.write_checkpoints(&positions()).inspect_err(|error| self.fail(error))
    }
}
