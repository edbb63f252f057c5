//! Who this node is: its number, and the cluster that it belongs to. Whoever speaks for another cluster is not listened to.

use std::sync::Arc;

use dohle_protocol::id::uuid_to_base64;
use tokio::sync::watch;

use crate::peers::ANYBODY;
use crate::publisher::Publisher;
use crate::rpc::{Header, Refusal};
use crate::runtime::Runtime;
use crate::type_config::NodeId;

#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) node_id: NodeId,
    /// What the cluster has to be called; `None` = whatever it is called.
    pub(crate) configured: Option<String>,
    publisher: Arc<Publisher>,
    /// What the last node said that refused this one because of its cluster.
    refused: watch::Sender<Option<String>>,
}

impl Identity {
    pub(crate) fn new(node_id: NodeId, configured: Option<String>, publisher: Arc<Publisher>) -> Identity {
        Identity {
            node_id,
            configured,
            publisher,
            refused: watch::Sender::default(),
        }
    }

    fn cluster_id(&self) -> Option<String> {
        let named = || self.publisher.current().image.cluster_id().map(str::to_owned);
        self.configured.clone().or_else(named)
    }

    /// What this node calls the cluster if it has no name.
    pub(crate) fn name_to_give<R: Runtime>(&self) -> String {
        self.configured.clone().unwrap_or_else(random_name::<R>)
    }

    /// What a request to `target` begins with.
    pub(crate) fn header_to(&self, target: NodeId) -> Header {
        Header {
            cluster_id: self.cluster_id().unwrap_or_default(),
            from: self.node_id as i64,
            to: if target == ANYBODY { -1 } else { target as i64 },
            ..Header::default()
        }
    }

    /// Refuses a request that is not meant for this node.
    pub(crate) fn check(&self, header: &Header) -> Result<(), Refusal> {
        let own = self.cluster_id().unwrap_or_default();
        if !own.is_empty() && !header.cluster_id.is_empty() && own != header.cluster_id {
            let message = format!(
                "node {} belongs to cluster {own}, node {} to cluster {}: check the addresses and the directories of both",
                self.node_id, header.from, header.cluster_id
            );
            tracing::error!("{message}");
            return Err(Refusal::new(Refusal::FOREIGN_CLUSTER, message));
        }
        if header.to != -1 && header.to != self.node_id as i64 {
            let message = format!("node {} is asked at the address of node {}", self.node_id, header.to);
            return Err(Refusal::new(Refusal::OTHER_NODE, message));
        }
        Ok(())
    }

    /// Remembers why others do not listen.
    pub(crate) fn on_refusal(&self, refusal: &Refusal) {
        if refusal.reason == Refusal::FOREIGN_CLUSTER {
            let is_news = self
                .refused
                .send_if_modified(|before| before.replace(refusal.message.clone()).as_ref() != Some(&refusal.message));
            if is_news {
                tracing::error!("another node refuses this one: {}", refusal.message);
            }
        }
    }

    /// Why others do not listen to this node: it speaks for another cluster.
    pub(crate) fn refused(&self) -> watch::Receiver<Option<String>> {
        self.refused.subscribe()
    }
}

/// As Kafka makes them: a random id without a dash at its beginning, which tools would take for a flag.
fn random_name<R: Runtime>() -> String {
    loop {
        let name = uuid_to_base64(&uuid::Builder::from_random_bytes(R::random().to_be_bytes()).into_uuid());
        if !name.starts_with('-') {
            return name;
        }
    }
}
