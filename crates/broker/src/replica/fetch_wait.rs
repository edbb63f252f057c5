//! The wait of one Fetch request for enough bytes, in whatever partitions they arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dohle_replication::{ParkedFetch, WaitKey};
use tokio::sync::Notify;

use crate::replica::cell::Cell;

#[derive(Debug)]
pub(crate) struct FetchWait {
    bytes_missing: AtomicI64,
    woken: Notify,
}

/// A [`FetchWait`] as it is parked at each of its partitions.
#[derive(Debug, Clone)]
pub(crate) struct FetchTicket(Arc<FetchWait>);

impl ParkedFetch for FetchTicket {
    fn on_readable(&self, bytes: u64) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.0.bytes_missing.fetch_sub(bytes, Ordering::Relaxed) <= bytes
    }
}

impl FetchTicket {
    pub(crate) fn wake(&self) {
        self.0.woken.notify_one();
    }
}

/// The places where a fetch is parked; dropping it takes the fetch back from all of them.
#[derive(Debug)]
pub(crate) struct ParkedPlaces {
    wait: Arc<FetchWait>,
    places: Vec<(Arc<Cell>, WaitKey)>,
}

impl ParkedPlaces {
    pub(crate) fn new(bytes_missing: usize) -> ParkedPlaces {
        let bytes_missing = AtomicI64::new(bytes_missing as i64);
        ParkedPlaces {
            wait: Arc::new(FetchWait {
                bytes_missing,
                woken: Notify::new(),
            }),
            places: Vec::new(),
        }
    }

    pub(crate) fn ticket(&self) -> FetchTicket {
        FetchTicket(Arc::clone(&self.wait))
    }

    pub(crate) fn push(&mut self, cell: Arc<Cell>, key: WaitKey) {
        self.places.push((cell, key));
    }

    pub(crate) async fn woken(&self) {
        self.wait.woken.notified().await;
    }
}

impl Drop for ParkedPlaces {
    fn drop(&mut self) {
        for (cell, key) in self.places.drain(..) {
            cell.cancel_fetch(key);
        }
    }
}
