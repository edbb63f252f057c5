//! Partitions that have something to ask their leaders, by leader.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use dohle_protocol::id::BrokerId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::replica::cell::Cell;

/// Filled by the cells, emptied by the fetchers. A broker that nobody follows is not in it.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    leaders: Mutex<Leaders>,
    leader_added: Notify,
}

#[derive(Debug, Default)]
struct Leaders {
    queues: BTreeMap<BrokerId, Arc<LeaderQueue>>,
    /// Those that have no fetcher yet.
    new: Vec<(BrokerId, Arc<LeaderQueue>)>,
}

/// What is to be asked of one leader.
#[derive(Debug, Default)]
pub(crate) struct LeaderQueue {
    ready: Mutex<Vec<Weak<Cell>>>,
    /// Some of them should not wait for the answer to what was asked before.
    is_urgent: AtomicBool,
    added: Notify,
}

impl Followed {
    pub(crate) fn add(&self, leader: BrokerId, cell: &Arc<Cell>, is_urgent: bool) {
        let queue = {
            let mut leaders = self.leaders.lock();
            if let Some(queue) = leaders.queues.get(&leader) {
                Arc::clone(queue)
            } else {
                let queue = Arc::<LeaderQueue>::default();
                leaders.queues.insert(leader, Arc::clone(&queue));
                leaders.new.push((leader, Arc::clone(&queue)));
                self.leader_added.notify_one();
                queue
            }
        };
        queue.ready.lock().push(Arc::downgrade(cell));
        if is_urgent {
            queue.is_urgent.store(true, Ordering::Release);
        }
        queue.added.notify_one();
    }

    /// Nobody asks this leader any more; whoever is added next makes for a new fetcher.
    pub(crate) fn forget(&self, leader: BrokerId) {
        self.leaders.lock().queues.remove(&leader);
    }

    /// The leaders that have been added since the last call.
    pub(crate) fn take_new(&self) -> Vec<(BrokerId, Arc<LeaderQueue>)> {
        std::mem::take(&mut self.leaders.lock().new)
    }

    pub(crate) async fn leader_added(&self) {
        self.leader_added.notified().await;
    }
}

impl LeaderQueue {
    pub(crate) fn take(&self) -> Vec<Arc<Cell>> {
        self.is_urgent.store(false, Ordering::Release);
        let ready = std::mem::take(&mut *self.ready.lock());
        ready.iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// Returns when something urgent has been added.
    pub(crate) async fn urgent(&self) {
        while !self.is_urgent.load(Ordering::Acquire) {
            self.added.notified().await;
        }
    }
}
