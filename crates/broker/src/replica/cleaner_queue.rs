//! The compacted logs in which something has changed that the cleaner should look at.

use std::sync::Weak;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::replica::cell::Cell;

/// Filled by the cells, emptied by the cleaner. A log nobody writes is not in it.
#[derive(Debug, Default)]
pub(crate) struct CleanerQueue {
    changed: Mutex<Vec<Weak<Cell>>>,
    added: Notify,
}

impl CleanerQueue {
    /// A segment of a compacted log has been closed, or its configuration has changed.
    pub(crate) fn add(&self, cell: Weak<Cell>) {
        let mut changed = self.changed.lock();
        if !changed.iter().any(|known| known.ptr_eq(&cell)) {
            changed.push(cell);
        }
        drop(changed);
        self.added.notify_one();
    }

    /// Returns when something has been added.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    pub(crate) fn take(&self) -> Vec<Weak<Cell>> {
        std::mem::take(&mut self.changed.lock())
    }
}
