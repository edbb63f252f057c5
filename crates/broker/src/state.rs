//! What every handler and every background task of one node shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use dohle_quorum::Quorum;
use dohle_replication::FetchSessionCache;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::cluster::membership::Membership;
use crate::cluster::peers::NodeLinks;
use crate::cluster::producer_ids::ProducerIds;
use crate::cluster::publisher::CarriedOut;
use crate::cluster::suspicion::Suspicion;
use crate::config::NodeConfig;
use crate::config::settings::Settings;
use crate::coordinator::group_coordinator::GroupCoordinator;
use crate::late::Late;
use crate::metrics::Metrics;
use crate::net::connection_counts::ConnectionCounts;
use crate::replica::cell::CellServices;
use crate::replica::table::ReplicaTable;
use crate::replica::turned_away::TurnedAway;

/// One node, from the point of view of a handler.
pub(crate) struct BrokerState {
    pub(crate) config: Arc<NodeConfig>,
    /// The values of configuration keys at the moment.
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) quorum: Quorum,
    /// The way to other members of the quorum.
    pub(crate) peers: NodeLinks,
    /// The way by which the controller hears of this broker.
    pub(crate) controller_link: NodeLinks,
    pub(crate) membership: Membership,
    pub(crate) suspicion: Suspicion,
    /// How far this node acts on what the quorum says.
    pub(crate) carried_out: CarriedOut,
    pub(crate) producer_ids: ProducerIds,
    /// See [`BrokerState::broker_epoch`].
    pub(crate) registered_epoch: AtomicI64,
    /// Known when it is known to which cluster the log directories belong; listeners for clients are opened later.
    pub(crate) replicas: Late<ReplicaTable>,
    pub(crate) services: Arc<CellServices>,
    pub(crate) turned_away: TurnedAway,
    pub(crate) groups: GroupCoordinator,
    pub(crate) fetch_sessions: Mutex<FetchSessionCache>,
    pub(crate) connections: Arc<ConnectionCounts>,
    /// Bytes of requests that may be in memory.
    pub(crate) request_budget: Arc<Semaphore>,
    /// Bytes of records in answers that may be in memory.
    pub(crate) response_budget: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
}

impl BrokerState {
    /// What the cluster is called; empty before it has been formed.
    pub(crate) fn cluster_id(&self) -> String {
        self.quorum.image().cluster_id().unwrap_or_default().to_owned()
    }

    /// Of the registration of this process, which may be renewed; -1 before the first one, and on a node that is no broker.
    pub(crate) fn broker_epoch(&self) -> i64 {
        self.registered_epoch.load(Ordering::Acquire)
    }
}
