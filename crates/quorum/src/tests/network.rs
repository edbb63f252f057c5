//! A network in memory, whose links can be cut and slowed down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::peers::{PeerError, Peers};
use crate::quorum::Quorum;
use crate::type_config::NodeId;

#[derive(Default, Clone)]
pub(super) struct TestNetwork(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: BTreeMap<NodeId, Weak<Quorum>>,
    /// From whom to whom nothing gets through.
    cut: BTreeSet<(NodeId, NodeId)>,
    delay: Duration,
    /// Bytes carried so far.
    bytes: usize,
}

impl TestNetwork {
    /// The way out of one node.
    pub(super) fn of(&self, node_id: NodeId) -> Arc<dyn Peers> {
        Arc::new(Exit {
            from: node_id,
            network: self.clone(),
        })
    }

    pub(super) fn connect(&self, node_id: NodeId, quorum: &Arc<Quorum>) {
        self.0.lock().nodes.insert(node_id, Arc::downgrade(quorum));
    }

    pub(super) fn disconnect(&self, node_id: NodeId) {
        self.0.lock().nodes.remove(&node_id);
    }

    /// Nothing gets from any of `some` to anybody else, or back.
    pub(super) fn isolate(&self, some: &[NodeId]) {
        let mut state = self.0.lock();
        for one in some {
            for other in (1..20).filter(|other| !some.contains(other)) {
                state.cut.extend([(*one, other), (other, *one)]);
            }
        }
    }

    pub(super) fn heal(&self) {
        self.0.lock().cut.clear();
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.0.lock().delay = delay;
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.lock().bytes
    }

    /// Waits as long as the way takes; an error says that there is none.
    async fn carry(&self, from: NodeId, to: NodeId, bytes: usize) -> Result<Arc<Quorum>, PeerError> {
        let delay = self.0.lock().delay;
        tokio::time::sleep(delay).await;
        let mut state = self.0.lock();
        state.bytes += bytes;
        if state.cut.contains(&(from, to)) {
            return Err(PeerError::TimedOut);
        }
        let node = state.nodes.get(&to).and_then(Weak::upgrade);
        node.ok_or_else(|| PeerError::Unreachable("connection refused".to_owned()))
    }
}

struct Exit {
    from: NodeId,
    network: TestNetwork,
}

impl Peers for Exit {
    /// The address is the number of a node.
    fn call(&self, _target: NodeId, address: String, request: Bytes, _timeout: Duration) -> BoxFuture<'static, Result<Bytes, PeerError>> {
        let (from, network) = (self.from, self.network.clone());
        Box::pin(async move {
            let to: NodeId = address
                .parse()
                .map_err(|_| PeerError::Unreachable(format!("no such host: {address}")))?;
            let node = network.carry(from, to, request.len()).await?;
            // What has arrived is carried out although nobody waits any more.
            let answer = tokio::spawn(async move { node.serve(request).await }).await;
            let answer = answer.map_err(|error| PeerError::Unreachable(error.to_string()))?;
            network.carry(to, from, answer.len()).await?;
            Ok(answer)
        })
    }
}
