//! A network that loses, delays and repeats, and whose links break in one direction or both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use dohle_quorum::{NodeId, PeerError, Peers, Quorum};
use futures_util::future::BoxFuture;
use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use parking_lot::Mutex;

use super::surroundings::{Simulated, chance};

#[derive(Clone, Default)]
pub(super) struct Network(Arc<Mutex<Links>>);

#[derive(Default)]
struct Links {
    nodes: BTreeMap<NodeId, (Weak<Quorum<Simulated>>, Life)>,
    cut: BTreeSet<(NodeId, NodeId)>,
    loss_per_mille: u32,
    delay_us_max: i64,
}

/// Whether a node still has power. What it does without does not leave it.
#[derive(Debug, Clone)]
pub(super) struct Life(Arc<AtomicBool>);

impl Life {
    pub(super) fn begin() -> Life {
        Life(Arc::new(AtomicBool::new(true)))
    }

    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn goes_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Network {
    pub(super) fn exit_of(&self, from: NodeId, life: &Life) -> Arc<dyn Peers> {
        Arc::new(Exit {
            from,
            life: life.clone(),
            network: self.clone(),
        })
    }

    pub(super) fn connect(&self, node_id: NodeId, quorum: &Arc<Quorum<Simulated>>, life: &Life) {
        self.0.lock().nodes.insert(node_id, (Arc::downgrade(quorum), life.clone()));
    }

    pub(super) fn cut(&self, from: NodeId, to: NodeId) {
        self.0.lock().cut.insert((from, to));
    }

    pub(super) fn set_quality(&self, loss_per_mille: u32, delay_us_max: i64) {
        let mut links = self.0.lock();
        (links.loss_per_mille, links.delay_us_max) = (loss_per_mille, delay_us_max);
    }

    pub(super) fn heal(&self) {
        self.0.lock().cut.clear();
    }

    /// Takes the time of one way; nothing if the message is lost.
    async fn travel(&self, from: NodeId, to: NodeId) -> Option<(Arc<Quorum<Simulated>>, Life)> {
        let (loss, delay_us_max) = {
            let links = self.0.lock();
            (links.loss_per_mille, links.delay_us_max)
        };
        let (is_lost, delay_us) = chance(|random| (random.chance(loss), random.between(50..=delay_us_max.max(100))));
        SimRuntime::sleep(Duration::from_micros(delay_us as u64)).await;
        let links = self.0.lock();
        if is_lost || links.cut.contains(&(from, to)) {
            return None;
        }
        let (node, life) = links.nodes.get(&to)?;
        Some((node.upgrade()?, life.clone()))
    }
}

struct Exit {
    from: NodeId,
    life: Life,
    network: Network,
}

impl Peers for Exit {
    fn call(&self, _target: NodeId, address: String, request: Bytes, timeout: Duration) -> BoxFuture<'static, Result<Bytes, PeerError>> {
        let (from, life, network) = (self.from, self.life.clone(), self.network.clone());
        Box::pin(async move {
            let to: NodeId = address.parse().map_err(|_| PeerError::Unreachable(address))?;
            if !life.goes_on() {
                return Err(PeerError::Unreachable("no power".to_owned()));
            }
            let repeated = chance(|random| random.chance(20));
            let Some((node, other_life)) = network.travel(from, to).await.filter(|(_, life)| life.goes_on()) else {
                SimRuntime::sleep(timeout).await;
                return Err(PeerError::TimedOut);
            };
            if repeated {
                let (node, request, network) = (Arc::clone(&node), request.clone(), network.clone());
                drop(SimRuntime::spawn(async move {
                    network.travel(from, to).await;
                    node.serve(request).await;
                }));
            }
            // What has arrived is carried out although nobody waits any more.
            let answer = SimRuntime::spawn(async move { node.serve(request).await }).await;
            let answer = answer.map_err(|error| PeerError::Unreachable(error.to_string()))?;
            if !other_life.goes_on() || network.travel(to, from).await.is_none() {
                SimRuntime::sleep(timeout).await;
                return Err(PeerError::TimedOut);
            }
            Ok(answer)
        })
    }
}
