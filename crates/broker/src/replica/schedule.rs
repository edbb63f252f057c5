//! What has to be done to partitions later. One timer serves all of it, and does not exist while there is nothing to do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::replica::cell::Cell;
use crate::replica::log_directory::LogDirectory;

#[derive(Debug)]
pub(crate) enum Task {
    /// `flush.policy=interval`: sync what was written.
    Flush(Weak<Cell>),
    /// Empty the tail cache if nothing was appended for a while.
    DropTail(Weak<Cell>),
    /// Write down how far the logs of a directory are known to be durable.
    Checkpoint(Weak<LogDirectory>),
    /// Remove the log of a deleted partition.
    RemoveLog(Arc<LogDirectory>, PathBuf),
    /// Look through all logs for segments past their retention.
    Retention,
}

#[derive(Debug, Default)]
pub(crate) struct Schedule {
    queue: Mutex<Queue>,
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    tasks: std::collections::HashMap<u64, Task>,
    next_id: u64,
}

impl Schedule {
    pub(crate) fn add(&self, due: Instant, task: Task) {
        let mut queue = self.queue.lock();
        let id = queue.next_id;
        queue.next_id += 1;
        let is_first = queue.due.peek().is_none_or(|Reverse((first, _))| due < *first);
        queue.due.push(Reverse((due, id)));
        queue.tasks.insert(id, task);
        drop(queue);
        if is_first {
            self.sooner.notify_one();
        }
    }

    /// Waits for the next task to be due.
    pub(crate) async fn next(&self) -> Task {
        loop {
            let due = self.queue.lock().due.peek().map(|Reverse((due, _))| *due);
            match due {
                None => self.sooner.notified().await,
                Some(due) if due > Instant::now() => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due) => {}
                        () = self.sooner.notified() => {}
                    }
                }
                Some(_) => {
                    let mut queue = self.queue.lock();
                    if let Some(Reverse((_, id))) = queue.due.pop()
                        && let Some(task) = queue.tasks.remove(&id)
                    {
                        return task;
                    }
                }
            }
        }
    }
}
