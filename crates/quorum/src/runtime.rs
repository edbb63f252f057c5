//! What the quorum asks of the machine besides the disk: tasks and timers, a thread that may block, the time of day.
//!
//! It is a parameter so that a simulator can run the real quorum by seed.

use std::fmt::Debug;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use openraft::AsyncRuntime;
use openraft_rt_tokio::TokioRuntime;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::limits;

/// The surroundings of a quorum. The supertraits are what openraft demands of a type that configures it.
pub trait Runtime: Debug + Clone + Copy + Default + Eq + Ord + Send + Sync + 'static {
    /// Tasks, timers and channels of openraft.
    type Async: AsyncRuntime;

    /// Entries after the last snapshot that bring about the next one, and how many stay in the log below it: a simulation has less time.
    const SNAPSHOT_AFTER_ENTRIES: u64 = limits::SNAPSHOT_AFTER_ENTRIES;
    const ENTRIES_KEPT_BELOW_SNAPSHOT: u64 = limits::ENTRIES_KEPT_BELOW_SNAPSHOT;

    /// Runs a job that waits for the disk. Jobs may run at the same time and in any order.
    fn run_blocking(job: Box<dyn FnOnce() + Send>);

    /// Milliseconds since 1970.
    fn now_ms() -> i64;

    /// A number that nobody can guess, and that does not come twice.
    fn random() -> u128;
}

/// Waits for a job that waits for the disk.
pub(crate) async fn blocking<R: Runtime, T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let (done, outcome) = oneshot::channel();
    R::run_blocking(Box::new(move || {
        // Nobody waits any more when the quorum was shut down meanwhile.
        let _ = done.send(job());
    }));
    outcome.await.map_err(io::Error::other)?
}

/// The runtime of a real node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tokio;

impl Runtime for Tokio {
    type Async = TokioRuntime;

    fn run_blocking(job: Box<dyn FnOnce() + Send>) {
        // Whoever waits for the job holds the other end of a channel; the handle says nothing more.
        drop(tokio::task::spawn_blocking(job));
    }

    fn now_ms() -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64)
    }

    fn random() -> u128 {
        Uuid::new_v4().as_u128()
    }
}
