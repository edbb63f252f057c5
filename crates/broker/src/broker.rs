//! A node: what it consists of, in which order that starts, and in which order it ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dohle_protocol::id::BrokerId;
use dohle_quorum::{NoPeers, Quorum, QuorumConfig, Role};
use dohle_replication::FetchSessionCache;
use dohle_storage::{Disk, LogDirError, RealDisk};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::identity::{self, ClusterIdMismatch};
use crate::cluster::producer_ids::ProducerIds;
use crate::cluster::publisher::{self, CarriedOut};
use crate::cluster::registration::{self, RegistrationError};
use crate::config::NodeConfig;
use crate::config::settings::Settings;
use crate::coordinator::group_coordinator::GroupCoordinator;
use crate::http;
use crate::limits;
use crate::log_directories::LogDirectories;
use crate::metrics::Metrics;
use crate::net::listener::{BoundListener, ListenError};
use crate::replica::cell::CellServices;
use crate::replica::cleaner;
use crate::replica::cleaner_queue::CleanerQueue;
use crate::replica::housekeeping;
use crate::replica::log_directory::LogDirectory;
use crate::replica::schedule::Schedule;
use crate::replica::table::ReplicaTable;
use crate::state::BrokerState;

/// Name of the directory of the metadata log in the first log directory.
const METADATA_DIR: &str = "__cluster_metadata-0";

/// A running node. Dropping it without [`Broker::shutdown`] is like a crash.
pub struct Broker {
    state: Arc<BrokerState>,
    addresses: Vec<(String, SocketAddr)>,
    connections: Group,
    /// What goes on without a client's request, and what requests rely on.
    background: Group,
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
        let bound: Result<Vec<BoundListener>, ListenError> = config.listeners.clients.iter().map(BoundListener::bind).collect();
        let bound = bound?;
        let http_listener = http::bind(&config).await?;
        let cluster_id = identity::cluster_id(&*disk, &config.log_dirs)?;
        let directories = LogDirectories::open(&config, &cluster_id, &disk)?;
        let quorum = start_quorum(&config, &cluster_id, &disk).await?;
        let broker_epoch = registration::join(&quorum, &config, &cluster_id, &bound).await?;
        let state = assemble(config, cluster_id, directories, (quorum, broker_epoch), &disk);
        let subscription = state.quorum.subscribe();
        publisher::start(&state, subscription.start).await;
        let background = Group::default();
        background.spawn(|stop| publisher::follow(Arc::clone(&state), subscription.changes, stop));
        registration::unfence(&state).await?;
        background.spawn(|stop| housekeeping::run(Arc::clone(&state), stop));
        background.spawn(|stop| cleaner::run(Arc::clone(&state), stop));
        if let Some(listener) = http_listener {
            background.spawn(|stop| http::serve(Arc::clone(&state), listener, stop));
        }
        let addresses = bound.iter().flat_map(named_addresses).collect();
        let connections = Group::default();
        for listener in bound {
            listener.serve(&state, &connections.stop, &connections.tasks);
        }
        Ok(Broker {
            state,
            addresses,
            connections,
            background,
        })
    }

    /// Names of the listeners for clients, and the addresses that they are bound to.
    pub fn listeners(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Finishes what has been begun, closes the logs, and says in the log directories that all is well.
    pub fn shutdown(self) -> BoxFuture<'static, ()> {
        Box::pin(self.end())
    }

    async fn end(self) {
        // Members of groups may wait for minutes: they are told to look for another coordinator.
        self.state.groups.close();
        if tokio::time::timeout(limits::SHUTDOWN_DRAIN_MAX, self.connections.end())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = self.connections.tasks.len(),
                "shutting down although requests are in the works"
            );
        }
        self.background.end().await;
        self.state.groups.ended().await;
        let state = Arc::clone(&self.state);
        let closed = tokio::task::spawn_blocking(move || state.replicas.close())
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "the logs could not be closed");
                false
            });
        // A broker that leaves in order says that it keeps all that anybody has read.
        if closed {
            registration::leave(&self.state).await;
        }
        if let Err(error) = self.state.quorum.shutdown().await {
            tracing::error!(%error, "the metadata quorum did not end well");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.connections.stop.cancel();
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
}

async fn start_quorum(config: &NodeConfig, cluster_id: &str, disk: &Arc<dyn Disk>) -> Result<Quorum, dohle_quorum::StartError> {
    let node_id = u64::try_from(config.node_id).unwrap_or_default();
    let quorum = QuorumConfig {
        node_id,
        role: Role::Voter,
        cluster_id: Some(cluster_id.to_owned()),
        dir: config.log_dirs[0].join(METADATA_DIR),
        // The only voter is reached without a network.
        voters: BTreeMap::from([(node_id, String::new())]),
        bootstrap: Vec::new(),
        peers: Arc::new(NoPeers),
        controller: registration::controller(config),
    };
    Quorum::start(quorum, Arc::clone(disk)).await
}

fn named_addresses(bound: &BoundListener) -> impl Iterator<Item = (String, SocketAddr)> {
    let name = bound.listener.name.clone();
    bound.addresses().into_iter().map(move |address| (name.clone(), address))
}

fn assemble(
    config: NodeConfig,
    cluster_id: String,
    directories: LogDirectories,
    (quorum, broker_epoch): (Quorum, i64),
    disk: &Arc<dyn Disk>,
) -> Arc<BrokerState> {
    let me = BrokerId(config.node_id);
    let settings = Settings::of(&quorum.image(), me, &config.values);
    let metrics = Arc::new(Metrics::new());
    let services = Arc::new(CellServices {
        me,
        schedule: Schedule::default(),
        cleaner: CleanerQueue::default(),
        metrics: Arc::clone(&metrics),
        tail_budget: Arc::default(),
        checkpoint_interval: settings.checkpoint_interval,
    });
    let LogDirectories { working, missing } = directories;
    let working = working.into_iter().map(|dir| LogDirectory::new(dir, Arc::clone(disk))).collect();
    // A request that alone is larger than the budget would wait for ever.
    let request_bytes = settings
        .queued_request_bytes_max
        .unwrap_or(limits::REQUEST_BYTES)
        .max(settings.request_bytes_max + 4);
    Arc::new(BrokerState {
        config: Arc::new(config),
        cluster_id: cluster_id.into(),
        replicas: ReplicaTable::new(Arc::clone(&services), working, missing),
        services,
        groups: GroupCoordinator::new(Arc::clone(&metrics)),
        fetch_sessions: Mutex::new(FetchSessionCache::new(settings.fetch_sessions_max)),
        connections: Arc::default(),
        request_budget: Arc::new(Semaphore::new(request_bytes.min(Semaphore::MAX_PERMITS))),
        response_budget: Arc::new(Semaphore::new(limits::FETCH_RESPONSE_BYTES)),
        carried_out: CarriedOut::new(),
        producer_ids: ProducerIds::new(),
        broker_epoch,
        settings: ArcSwap::from_pointee(settings),
        quorum,
        metrics,
    })
}
