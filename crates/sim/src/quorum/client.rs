//! Clients: they register brokers and ask for producer ids, of any node, and remember what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::id::BrokerId;
use dohle_protocol::messages::allocate_producer_ids::AllocateProducerIdsRequest;
use dohle_protocol::messages::broker_registration::BrokerRegistrationRequest;
use dohle_quorum::{NodeId, Quorum, SubmitError};
use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use parking_lot::Mutex;
use uuid::Uuid;

use super::check::Checker;
use super::network::Life;
use super::surroundings::{Simulated, chance, sleep_ms};

/// The nodes that have power.
pub(super) type Nodes = Arc<Mutex<BTreeMap<NodeId, (Arc<Quorum<Simulated>>, Life)>>>;

#[derive(Clone)]
pub(super) struct Client {
    pub(super) nodes: Nodes,
    pub(super) checker: Checker,
    pub(super) next_broker: Arc<AtomicI32>,
    /// The world is coming to its end.
    pub(super) enough: Life,
}

const PATIENCE: Duration = Duration::from_secs(3);

impl Client {
    pub(super) async fn run(self) {
        let mut favourite = None;
        while self.enough.goes_on() {
            favourite = self.register(favourite).await;
            sleep_ms(chance(|random| random.between(20..=250))).await;
        }
    }

    fn choose(&self, favourite: Option<NodeId>) -> Option<(NodeId, Arc<Quorum<Simulated>>, Life)> {
        let nodes = self.nodes.lock();
        let ids: Vec<NodeId> = nodes.keys().copied().collect();
        if ids.is_empty() {
            return None;
        }
        let id = favourite
            .filter(|id| nodes.contains_key(id))
            .unwrap_or_else(|| chance(|random| *random.pick(&ids)));
        nodes.get(&id).map(|(node, life)| (id, Arc::clone(node), life.clone()))
    }

    /// Returns whom to ask next.
    pub(super) async fn register(&self, favourite: Option<NodeId>) -> Option<NodeId> {
        let (id, node, life) = self.choose(favourite)?;
        let broker = BrokerId(self.next_broker.fetch_add(1, Ordering::Relaxed));
        let registration = BrokerRegistrationRequest {
            broker_id: broker.0,
            incarnation_id: Uuid::from_u128(broker.0 as u128 + 1),
            cluster_id: node.image().cluster_id().unwrap_or_default().to_owned(),
            ..Default::default()
        };
        let reply = ask(&node, ControllerRequest::RegisterBroker(registration)).await;
        // An answer without power is none.
        let reply = if life.goes_on() { reply } else { Err(SubmitError::Unknown) };
        let (code, next) = match &reply {
            Ok(ControllerReply::RegisterBroker(Ok(_))) => (0, Some(id)),
            Ok(_) => (1, Some(id)),
            Err(SubmitError::NotController { leader }) => (2, *leader),
            Err(SubmitError::Unknown) => (3, None),
            Err(_) => (4, None),
        };
        self.checker
            .line("register", code, format_args!("{} at {id}: {reply:?}", broker.0), "Register");
        match reply {
            Ok(ControllerReply::RegisterBroker(Ok(epoch))) => {
                self.checker.acknowledged(broker);
                self.allocate((&node, &life), broker, epoch).await;
            }
            Ok(_) | Err(SubmitError::NotController { .. }) => self.checker.refused(broker),
            Err(_) => {}
        }
        next
    }

    async fn allocate(&self, (node, life): (&Quorum<Simulated>, &Life), broker: BrokerId, broker_epoch: i64) {
        let floor = self.checker.producer_id_max();
        let request = AllocateProducerIdsRequest {
            broker_id: broker.0,
            broker_epoch,
            ..Default::default()
        };
        if let Ok(ControllerReply::AllocateProducerIds(Ok(block))) = ask(node, ControllerRequest::AllocateProducerIds(request)).await
            && life.goes_on()
        {
            self.checker.line("allocate", 0, format_args!("{}", block.first.0), "Allocate");
            self.checker.on_producer_id(floor, block.first.0);
        }
    }
}

async fn ask(node: &Quorum<Simulated>, request: ControllerRequest) -> Result<ControllerReply, SubmitError> {
    SimRuntime::timeout(PATIENCE, node.submit(request))
        .await
        .unwrap_or(Err(SubmitError::Unknown))
}
