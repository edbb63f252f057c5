//! A node: what it consists of, in which order that starts, and in which order it ends.

use std::future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use arc_swap::ArcSwap;
use dohle_protocol::id::BrokerId;
use dohle_quorum::{Quorum, QuorumConfig};
use dohle_replication::FetchSessionCache;
use dohle_storage::{Disk, LogDirError, RealDisk};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::active_controller;
use crate::cluster::identity::{self, ClusterIdMismatch};
use crate::cluster::membership::{self, Membership, RegistrationError};
use crate::cluster::peers::NodeLinks;
use crate::cluster::producer_ids::ProducerIds;
use crate::cluster::publisher::{self, CarriedOut};
use crate::cluster::suspicion::Suspicion;
use crate::cluster::voters::{self, VotersError, Voting};
use crate::config::settings::Settings;
use crate::config::{Listener, NodeConfig};
use crate::coordinator::group_coordinator::GroupCoordinator;
use crate::http;
use crate::late::Late;
use crate::limits;
use crate::log_directories::{LockedDirectories, LogDirectories};
use crate::metrics::Metrics;
use crate::net::listener::{BoundListener, ListenError};
use crate::replica::cell::CellServices;
use crate::replica::cleaner;
use crate::replica::cleaner_queue::CleanerQueue;
use crate::replica::fetcher;
use crate::replica::followed::Followed;
use crate::replica::housekeeping;
use crate::replica::isr_proposals::{self, IsrProposals};
use crate::replica::log_directory::LogDirectory;
use crate::replica::schedule::Schedule;
use crate::replica::table::ReplicaTable;
use crate::replica::turned_away::TurnedAway;
use crate::state::BrokerState;

/// Name of the directory of the metadata log in the first log directory.
const METADATA_DIR: &str = "__cluster_metadata-0";

/// A running node. Dropping it without [`Broker::shutdown`] is like a crash.
pub struct Broker {
    state: Arc<BrokerState>,
    addresses: Vec<(String, SocketAddr)>,
    /// Of clients, and of brokers that follow.
    connections: Group,
    /// Of other nodes to the controller of this one.
    controllers: Group,
    /// What goes on without a client's request, and what requests rely on.
    background: Group,
    /// Ends the heartbeats: from then on the broker says that it stops.
    leaving: CancellationToken,
}

/// Tasks that are told to stop together.
#[derive(Default)]
struct Group {
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    ClusterId(#[from] ClusterIdMismatch),
    #[error(transparent)]
    LogDir(#[from] LogDirError),
    #[error(transparent)]
    Voters(#[from] VotersError),
    #[error(transparent)]
    Quorum(#[from] dohle_quorum::StartError),
    #[error(transparent)]
    Registration(#[from] RegistrationError),
}

impl Broker {
    /// Starts a node, and returns when it serves clients. (In a box: otherwise all of a node is compiled again into whatever starts one.)
    pub fn start(config: NodeConfig) -> BoxFuture<'static, Result<Broker, StartError>> {
        Broker::start_on(Arc::new(RealDisk::default()), config)
    }

    /// The same on a disk of the caller's choice, which may be one that fails.
    pub fn start_on(disk: Arc<dyn Disk>, config: NodeConfig) -> BoxFuture<'static, Result<Broker, StartError>> {
        Box::pin(Broker::begin(disk, config))
    }

    async fn begin(disk: Arc<dyn Disk>, config: NodeConfig) -> Result<Broker, StartError> {
        // Before anything on the disk is touched: a port in use is the most frequent mistake.
        let clients = bind(&config.listeners.clients)?;
        let controllers = bind(&config.listeners.controllers)?;
        let http_listener = http::bind(&config).await?;
        let known_id = identity::cluster_id(&*disk, &config.log_dirs)?;
        let locked = LockedDirectories::lock(&config, &disk)?;
        let voting = Voting::of(&config, &*disk, &controllers)?;
        // Who is alone need not wait for a name that all agree on.
        let cluster_id = known_id.or_else(|| voting.is_alone().then(identity::new_cluster_id));
        let directories = match &cluster_id {
            Some(cluster_id) => Directories::Open(locked.open(&config, cluster_id)?),
            None => Directories::Locked(locked),
        };
        let peers = NodeLinks::new(config.node_id);
        let quorum = start_quorum(&config, voting, cluster_id, &peers, &disk).await?;
        let mut node = Broker::assemble(config, quorum, peers, &clients);
        node.serve(controllers);
        tokio::select! {
            joined = node.join(directories, &disk, &clients) => joined?,
            failure = node.failed() => return Err(dohle_quorum::StartError::Raft(failure).into()),
        }
        let state = Arc::clone(&node.state);
        node.background.spawn(|stop| housekeeping::run(Arc::clone(&state), stop));
        node.background.spawn(|stop| cleaner::run(Arc::clone(&state), stop));
        if let Some(listener) = http_listener {
            node.background.spawn(|stop| http::serve(Arc::clone(&state), listener, stop));
        }
        node.addresses = clients.iter().flat_map(named_addresses).collect();
        for listener in clients {
            listener.serve(&state, &node.connections.stop, &node.connections.tasks);
        }
        Ok(node)
    }

    /// Other nodes are answered before this one knows what the cluster is: without that several could never agree.
    fn serve(&self, controllers: Vec<BoundListener>) {
        for listener in controllers {
            listener.serve(&self.state, &self.controllers.stop, &self.controllers.tasks);
        }
    }

    /// Becomes a member of the cluster, and acts on its metadata. Returns when a broker leads what it may.
    async fn join(&self, directories: Directories, disk: &Arc<dyn Disk>, clients: &[BoundListener]) -> Result<(), StartError> {
        let state = &self.state;
        let cluster_id = voters::waiting(state, state.quorum.cluster_id()).await?;
        let directories = match directories {
            Directories::Open(directories) => directories,
            Directories::Locked(locked) => locked.open_as_agreed(&state.config, &cluster_id)?,
        };
        if let Some(warning) = state.quorum.status().warning.filter(|_| state.config.roles.controller) {
            tracing::warn!("{warning}");
        }
        let ended_epoch = directories.ended_epoch();
        let LogDirectories { working, missing } = directories;
        let working = working.into_iter().map(|dir| LogDirectory::new(dir, Arc::clone(disk))).collect();
        state.replicas.set(ReplicaTable::new(Arc::clone(&state.services), working, missing));
        let is_broker = state.config.roles.broker;
        if is_broker {
            membership::join(state, ended_epoch).await?;
            self.background.spawn(|_| membership::run(Arc::clone(state), self.leaving.clone()));
        }
        let subscription = state.quorum.subscribe();
        let settings = Settings::of(&subscription.start.image, state.services.me, &state.config.values);
        state.settings.store(Arc::new(settings));
        publisher::start(state, subscription.start).await;
        self.background
            .spawn(|stop| publisher::follow(Arc::clone(state), subscription.changes, stop));
        if state.config.roles.controller {
            self.background.spawn(|stop| active_controller::run(Arc::clone(state), stop));
        }
        // Those who are told that this broker is there are not turned away.
        clients.iter().for_each(BoundListener::let_wait);
        if is_broker {
            self.background.spawn(|stop| fetcher::run(Arc::clone(state), stop));
            self.background.spawn(|stop| isr_proposals::run(Arc::clone(state), stop));
            membership::unfence(state).await?;
        }
        Ok(())
    }

    /// Names of the listeners for clients, and the addresses that they are bound to.
    pub fn listeners(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Returns why this node had better end: it does not hear any more what the cluster is, and would tell clients for ever what it was. One that
    /// has nobody beside it goes on serving what can be read.
    pub async fn failed(&self) -> String {
        let failure = self.state.quorum.failed().await;
        if membership::is_alone(&self.state) {
            return future::pending().await;
        }
        failure
    }

    /// Returns when another process has been registered under the number of this broker, which had better end then.
    pub async fn superseded(&self) {
        membership::superseded(&self.state).await;
    }

    /// Finishes what has been begun, closes the logs, and says in the log directories that all is well.
    pub fn shutdown(self) -> BoxFuture<'static, ()> {
        Box::pin(self.end())
    }

    async fn end(self) {
        let is_broker = self.state.config.roles.broker;
        let is_alone = membership::is_alone(&self.state);
        self.leaving.cancel();
        if is_broker && !is_alone {
            // While clients are served: others lead before this broker ends.
            membership::leave(&self.state).await;
        }
        // Members of groups may wait for minutes: they are told to look for another coordinator.
        self.state.groups.close();
        self.connections.end_within(limits::SHUTDOWN_DRAIN_MAX).await;
        self.background.end().await;
        self.state.groups.ended().await;
        if is_broker && is_alone {
            // Only now: clients are not told that there is no broker while their last requests are answered.
            membership::leave(&self.state).await;
        }
        if let Err(error) = self.state.quorum.shutdown().await {
            tracing::error!(%error, "the metadata quorum did not end well");
        }
        // Until now others may have had to say that they lead.
        self.controllers.end_within(limits::PEER_DRAIN_MAX).await;
        let state = Arc::clone(&self.state);
        let closed = tokio::task::spawn_blocking(move || state.replicas.close(state.broker_epoch())).await;
        if let Err(error) = closed {
            tracing::error!(%error, "the logs could not be closed");
        }
    }

    fn assemble(config: NodeConfig, quorum: Quorum, peers: NodeLinks, clients: &[BoundListener]) -> Broker {
        Broker {
            state: assemble(config, quorum, peers, clients),
            addresses: Vec::new(),
            connections: Group::default(),
            controllers: Group::default(),
            background: Group::default(),
            leaving: CancellationToken::new(),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.leaving.cancel();
        self.connections.stop.cancel();
        self.controllers.stop.cancel();
        self.background.stop.cancel();
        self.state.groups.close();
    }
}

impl Group {
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce(CancellationToken) -> F) {
        self.tasks.spawn(task(self.stop.clone()));
    }

    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn end_within(&self, limit: Duration) {
        if tokio::time::timeout(limit, self.end()).await.is_err() {
            let connections = self.tasks.len();
            tracing::warn!(connections, "shutting down although requests are in the works");
        }
    }
}

/// The log directories, as far as they can be taken into use.
enum Directories {
    /// Of which cluster they are is to be agreed upon with others.
    Locked(LockedDirectories),
    Open(LogDirectories),
}

fn bind(listeners: &[Listener]) -> Result<Vec<BoundListener>, ListenError> {
    listeners.iter().map(BoundListener::bind).collect()
}

async fn start_quorum(
    config: &NodeConfig,
    voting: Voting,
    cluster_id: Option<String>,
    peers: &NodeLinks,
    disk: &Arc<dyn Disk>,
) -> Result<Quorum, dohle_quorum::StartError> {
    let quorum = QuorumConfig {
        node_id: config.quorum_id(),
        role: voting.role,
        cluster_id,
        dir: config.log_dirs[0].join(METADATA_DIR),
        voters: voting.voters,
        bootstrap: voting.bootstrap,
        peers: Arc::new(peers.clone()),
        controller: membership::controller(config),
    };
    Quorum::start(quorum, Arc::clone(disk)).await
}

fn named_addresses(bound: &BoundListener) -> impl Iterator<Item = (String, SocketAddr)> {
    let name = bound.listener.name.clone();
    bound.addresses().into_iter().map(move |address| (name.clone(), address))
}

fn assemble(config: NodeConfig, quorum: Quorum, peers: NodeLinks, clients: &[BoundListener]) -> Arc<BrokerState> {
    let me = BrokerId(config.node_id);
    let settings = Settings::of(&quorum.image(), me, &config.values);
    let metrics = Arc::new(Metrics::new());
    let services = Arc::new(CellServices {
        me,
        schedule: Schedule::default(),
        cleaner: CleanerQueue::default(),
        followed: Followed::default(),
        isr_proposals: IsrProposals::default(),
        metrics: Arc::clone(&metrics),
        tail_budget: Arc::default(),
        checkpoint_interval: settings.checkpoint_interval,
    });
    // A request that alone is larger than the budget would wait for ever.
    let request_bytes = settings
        .queued_request_bytes_max
        .unwrap_or(limits::REQUEST_BYTES)
        .max(settings.request_bytes_max + 4);
    Arc::new(BrokerState {
        controller_link: NodeLinks::new(config.node_id),
        config: Arc::new(config),
        peers,
        membership: Membership::new(clients),
        suspicion: Suspicion::default(),
        replicas: Late::new(),
        services,
        turned_away: TurnedAway::default(),
        groups: GroupCoordinator::new(Arc::clone(&metrics)),
        fetch_sessions: Mutex::new(FetchSessionCache::new(settings.fetch_sessions_max)),
        connections: Arc::default(),
        request_budget: Arc::new(Semaphore::new(request_bytes.min(Semaphore::MAX_PERMITS))),
        response_budget: Arc::new(Semaphore::new(limits::FETCH_RESPONSE_BYTES)),
        carried_out: CarriedOut::new(),
        producer_ids: ProducerIds::new(),
        registered_epoch: AtomicI64::new(-1),
        settings: ArcSwap::from_pointee(settings),
        quorum,
        metrics,
    })
}
