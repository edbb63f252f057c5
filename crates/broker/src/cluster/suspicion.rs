//! Brokers of which a connection has just broken may be dead. Until that is known, clients are not sent to them.
//!
//! A client whose connection broke asks for the metadata at once, and once: librdkafka then waits for up to two seconds. An answer that is a few
//! milliseconds older than the controller's decision would send it back to the dead leader. Nor may the dead broker be missing in the answer that
//! names its successor: librdkafka then forgets it while it moves partitions away from it, and some that it moves it loses for a second.

use std::collections::BTreeMap;

use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::BrokerId;
use dohle_quorum::MetadataVersion;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::limits;

/// Since when whom.
#[derive(Debug, Default)]
pub(crate) struct Suspicion(watch::Sender<BTreeMap<BrokerId, Instant>>);

impl Suspicion {
    /// Its connection broke, or it was fenced.
    pub(crate) fn may_be_gone(&self, id: BrokerId) {
        let now = Instant::now();
        self.0.send_modify(|suspects| {
            suspects.retain(|_, since| now < *since + limits::GONE_LISTED);
            suspects.insert(id, now);
        });
    }

    pub(crate) fn is_alive(&self, id: BrokerId) {
        self.0.send_if_modified(|suspects| suspects.remove(&id).is_some());
    }

    /// Whether a broker that is fenced was among the living a moment ago, so that clients should still find it in what they are told.
    pub(crate) fn is_listed(&self, id: BrokerId) -> bool {
        self.0
            .borrow()
            .get(&id)
            .is_some_and(|since| Instant::now() < *since + limits::GONE_LISTED)
    }

    /// Returns when the metadata say of each suspect that it is fenced, or when there was time for that.
    pub(crate) async fn settled(&self, mut versions: watch::Receiver<MetadataVersion>) {
        let is_alone = versions.borrow().image.brokers().len() < 2;
        if !is_alone {
            // The client may have seen a connection break before this broker did.
            tokio::time::sleep(limits::SUSPICION_ARISES).await;
        }
        let mut now = self.0.subscribe();
        let suspects = now.borrow().clone();
        for (id, since) in suspects {
            let is_gone = |image: &ClusterImage| image.broker(id).is_none_or(|registered| registered.fenced);
            let settled = async {
                tokio::select! {
                    _ = now.wait_for(|now| now.get(&id) != Some(&since)) => {}
                    _ = versions.wait_for(|version| is_gone(&version.image)) => {}
                }
            };
            // Later is too late for whoever asks.
            let _ = timeout_at(since + limits::SUSPICION_MAX, settled).await;
        }
    }
}

#[cfg(test)]
mod tests;
