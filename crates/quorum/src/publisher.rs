//! Hands every committed change of the metadata to those who act on it: all of them, once each, in order.

use std::sync::Arc;

use dohle_metadata::delta::Delta;
use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::Offset;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::limits;

/// The metadata after one entry of the log.
#[derive(Debug, Clone)]
pub struct MetadataVersion {
    pub image: Arc<ClusterImage>,
    /// Of the last entry that is in the image; -1 before the first one.
    pub offset: Offset,
}

/// One step from a version to the next.
#[derive(Debug, Clone)]
pub struct MetadataChange {
    /// What is different.
    pub delta: Arc<Delta>,
    /// All of the metadata afterwards.
    pub version: MetadataVersion,
}

/// Where a subscriber begins, and the changes from there on. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    pub start: MetadataVersion,
    pub changes: mpsc::Receiver<MetadataChange>,
}

#[derive(Debug)]
pub(crate) struct Publisher {
    current: watch::Sender<MetadataVersion>,
    /// Index of the entry to be applied next: entries that change no metadata count as well.
    end: watch::Sender<u64>,
    subscribers: Mutex<Vec<mpsc::Sender<MetadataChange>>>,
}

impl Publisher {
    pub(crate) fn new(start: MetadataVersion, end: u64) -> Publisher {
        Publisher {
            current: watch::Sender::new(start),
            end: watch::Sender::new(end),
            subscribers: Mutex::default(),
        }
    }

    pub(crate) fn current(&self) -> MetadataVersion {
        self.current.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<MetadataVersion> {
        self.current.subscribe()
    }

    pub(crate) fn watch_end(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// Every entry before `end` is applied.
    pub(crate) fn reached(&self, end: u64) {
        self.end.send_replace(end);
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        let (sender, changes) = mpsc::channel(limits::CHANGES_QUEUED_MAX);
        let mut subscribers = self.subscribers.lock();
        subscribers.push(sender);
        Subscription {
            start: self.current(),
            changes,
        }
    }

    /// Waits for subscribers whose queue is full.
    pub(crate) async fn publish(&self, change: MetadataChange) {
        let subscribers = {
            // Under the lock: who subscribes now gets this version as its start or as a change, not both.
            let mut subscribers = self.subscribers.lock();
            subscribers.retain(|subscriber| !subscriber.is_closed());
            self.current.send_replace(change.version.clone());
            subscribers.clone()
        };
        for subscriber in subscribers {
            // An error says that the subscriber has gone.
            let _ = subscriber.send(change.clone()).await;
        }
    }
}
