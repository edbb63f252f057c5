//! Which connection leads to which node, and the newest metadata.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::describe_cluster::DescribeClusterRequest;
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use dohle_protocol::{ApiKey, Request};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::cluster_metadata::{Broker, ClusterMetadata, Leader, TopicPartition};
use crate::config::ClientConfig;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::limits::UNKNOWN_TOPIC_PATIENCE;

mod spare;

use spare::SpareConnections;

/// What DescribeCluster is to list.
pub(crate) const CONTROLLERS: i8 = 2;

/// Shared by a producer, an admin, and as many consumers as are configured alike.
pub struct Cluster {
    config: ClientConfig,
    connections: Mutex<HashMap<Target, Arc<Slot>>>,
    spare: Mutex<SpareConnections>,
    metadata: RwLock<Arc<ClusterMetadata>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    /// Index into `bootstrap.servers`.
    Bootstrap(usize),
    Node(i32),
    /// A second connection to a node, for heartbeats, which must not wait behind anything slow.
    Heartbeats(i32),
}

/// Locked while dialling, so that a node is dialled once at a time.
type Slot = tokio::sync::Mutex<Option<Arc<Connection>>>;

/// Which topics a metadata request asks about.
#[derive(Debug, Clone, Copy)]
pub enum Topics<'a> {
    All,
    None,
    Named { names: &'a [Arc<str>], create_missing: bool },
}

impl Cluster {
    /// Connects to the first bootstrap server that answers, and learns the brokers. Tries each server once:
    /// an address that is wrong should say so at once.
    pub async fn connect(config: ClientConfig) -> Result<Arc<Cluster>, ClientError> {
        let cluster = Cluster {
            config,
            connections: Mutex::new(HashMap::new()),
            spare: Mutex::default(),
            metadata: RwLock::new(Arc::new(ClusterMetadata::empty())),
        };
        cluster.refresh(Topics::None).await?;
        Ok(Arc::new(cluster))
    }

    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    pub fn metadata(&self) -> Arc<ClusterMetadata> {
        self.metadata.read().clone()
    }

    /// Asks any node, and returns what is now known.
    pub async fn refresh(&self, topics: Topics<'_>) -> Result<Arc<ClusterMetadata>, ClientError> {
        if self.config.to_controllers {
            return self.refresh_controllers().await;
        }
        let connection = self.any().await?;
        let request = metadata_request(topics, connection.version_of(ApiKey::Metadata)?);
        let response = connection.call(&request).await?;
        let mut metadata = self.metadata.write();
        let base = if matches!(topics, Topics::All) {
            ClusterMetadata::empty()
        } else {
            (**metadata).clone()
        };
        *metadata = Arc::new(base.updated(response));
        Ok(metadata.clone())
    }

    /// Controllers know nothing of Metadata, and describe themselves instead (KIP-919).
    async fn refresh_controllers(&self) -> Result<Arc<ClusterMetadata>, ClientError> {
        let request = DescribeClusterRequest {
            endpoint_type: CONTROLLERS,
            ..Default::default()
        };
        let response = self.any().await?.call(&request).await?;
        ClientError::check(response.error_code, response.error_message.clone())?;
        let known = Arc::new(ClusterMetadata::of_controllers(response));
        *self.metadata.write() = Arc::clone(&known);
        Ok(known)
    }

    /// Like `refresh`, retrying what may succeed later.
    pub async fn refresh_patiently(&self, topics: Topics<'_>) -> Result<Arc<ClusterMetadata>, ClientError> {
        let mut retries = self.retries();
        loop {
            match self.refresh(topics).await {
                Ok(metadata) => return Ok(metadata),
                Err(error) => retries.after(error).await?,
            }
        }
    }

    /// An open connection to any node: one that exists, else a known broker, else a bootstrap server.
    pub async fn any(&self) -> Result<Arc<Connection>, ClientError> {
        let is_shared = |target: &Target| !matches!(target, Target::Heartbeats(_));
        let slots: Vec<Arc<Slot>> = {
            let connections = self.connections.lock();
            connections
                .iter()
                .filter(|(target, _)| is_shared(target))
                .map(|(_, slot)| slot.clone())
                .collect()
        };
        for slot in slots {
            let open = slot
                .try_lock()
                .ok()
                .and_then(|slot| slot.clone())
                .filter(|connection| !connection.is_closed());
            if let Some(connection) = open {
                return Ok(connection);
            }
        }
        let nodes: Vec<i32> = self.metadata().brokers.keys().copied().collect();
        let targets = nodes
            .into_iter()
            .map(Target::Node)
            .chain((0..self.config.bootstrap_servers.len()).map(Target::Bootstrap));
        let mut failures: Vec<String> = Vec::new();
        for target in targets {
            match self.connection(target).await {
                Ok(connection) => return Ok(connection),
                Err(ClientError::Unreachable { address, reason }) => failures.push(format!("{address} ({reason})")),
                Err(error) if error.is_retriable() => failures.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        failures.dedup();
        Err(ClientError::Unreachable {
            address: failures.join(", "),
            reason: "no server is left to try".to_owned(),
        })
    }

    /// An open connection to one broker.
    pub async fn node(&self, id: i32) -> Result<Arc<Connection>, ClientError> {
        self.connection(Target::Node(id)).await
    }

    /// A connection to one broker that carries the heartbeats of all members, and nothing that may take its time.
    pub(crate) async fn node_for_heartbeats(&self, id: i32) -> Result<Arc<Connection>, ClientError> {
        self.must_know(id).await?;
        self.connection(Target::Heartbeats(id)).await
    }

    async fn open_to(&self, id: i32) -> Result<Connection, ClientError> {
        self.must_know(id).await?;
        self.open(Target::Node(id)).await
    }

    /// In a box: this is rare, and every task that may have to do it would be larger by it.
    async fn open(&self, target: Target) -> Result<Connection, ClientError> {
        let address = self.address_of(target)?;
        Box::pin(Connection::open(&address, &self.config)).await
    }

    async fn must_know(&self, id: i32) -> Result<(), ClientError> {
        if !self.metadata().brokers.contains_key(&id) {
            self.refresh(Topics::None).await?;
        }
        Ok(())
    }

    async fn connection(&self, target: Target) -> Result<Arc<Connection>, ClientError> {
        let slot = self.connections.lock().entry(target).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let connection = Arc::new(self.open(target).await?);
        *slot = Some(connection.clone());
        Ok(connection)
    }

    fn address_of(&self, target: Target) -> Result<String, ClientError> {
        match target {
            Target::Bootstrap(index) => Ok(self.config.bootstrap_servers[index].clone()),
            Target::Node(id) | Target::Heartbeats(id) => match self.metadata().brokers.get(&id) {
                Some(broker) => Ok(broker.address()),
                None => Err(ClientError::Unreachable {
                    address: format!("node {id}"),
                    reason: "the cluster does not list it".to_owned(),
                }),
            },
        }
    }

    /// Takes up what a node says of a leader; `false` if that is no news.
    pub(crate) fn learn_leader(&self, partition: &TopicPartition, leader: i32, epoch: i32, nodes: &[Broker]) -> bool {
        let mut metadata = self.metadata.write();
        let newer = metadata.with_leader(partition, leader, epoch, nodes);
        newer.map(|newer| *metadata = Arc::new(newer)).is_some()
    }

    /// Who leads the partition, from the cache or from a fresh answer.
    pub async fn leader(&self, partition: &TopicPartition) -> Result<Leader, ClientError> {
        if let Some(leader) = self.metadata().leader(partition) {
            return Ok(leader);
        }
        let names = [partition.topic.clone()];
        let metadata = self
            .refresh(Topics::Named {
                names: &names,
                create_missing: false,
            })
            .await?;
        metadata.leader(partition).ok_or_else(|| no_leader(&metadata, partition))
    }

    /// Waits until the topic has partitions, which may include its creation.
    pub async fn wait_for_topic(
        &self,
        name: &Arc<str>,
        create_missing: bool,
        wait_max: Duration,
    ) -> Result<Arc<ClusterMetadata>, ClientError> {
        let deadline = Instant::now() + wait_max;
        let mut failures = 0;
        loop {
            let metadata = self.metadata();
            if metadata.topic(name).is_some_and(|topic| !topic.partitions.is_empty()) {
                return Ok(metadata);
            }
            let names = [name.clone()];
            let error = match self
                .refresh(Topics::Named {
                    names: &names,
                    create_missing,
                })
                .await
            {
                Ok(metadata) => match metadata.topics.get(name) {
                    Some(topic) if topic.error == ErrorCode::None && !topic.partitions.is_empty() => continue,
                    Some(topic) => ClientError::refused(topic.error.code(), None),
                    None => ClientError::refused(ErrorCode::UnknownTopicOrPartition.code(), None),
                },
                Err(error) => error,
            };
            failures += 1;
            let wait = self.config.backoff().after(failures);
            if !error.is_retriable() {
                return Err(error);
            }
            if Instant::now() + wait >= deadline {
                return Err(ClientError::Incomplete(format!(
                    "Topic {name} not present in metadata after {} ms: {error}",
                    wait_max.as_millis()
                )));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends to any node, retrying what may succeed later, within `default.api.timeout.ms`.
    pub async fn call_any<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let mut retries = self.retries();
        loop {
            match async { self.any().await?.call(request).await }.await {
                Ok(response) => return Ok(response),
                Err(error) => retries.after(error).await?,
            }
        }
    }

    /// Sends to the controller as the brokers name it; in KRaft any broker forwards to the active one.
    pub async fn call_controller<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let mut retries = self.retries();
        loop {
            match async { self.controller().await?.call(request).await }.await {
                Ok(response) => return Ok(response),
                Err(error) => retries.after(error).await?,
            }
            // Another node may be the controller by now. If nobody answers, the next attempt says so.
            let _ = self.refresh(Topics::None).await;
        }
    }

    pub async fn call_node<R: Request>(&self, id: i32, request: &R) -> Result<R::Response, ClientError> {
        let mut retries = self.retries();
        loop {
            match async { self.node(id).await?.call(request).await }.await {
                Ok(response) => return Ok(response),
                Err(error) => retries.after(error).await?,
            }
        }
    }

    async fn controller(&self) -> Result<Arc<Connection>, ClientError> {
        let metadata = self.metadata();
        match metadata.brokers.contains_key(&metadata.controller_id) {
            true => self.node(metadata.controller_id).await,
            false => self.any().await,
        }
    }

    /// Runs `attempt` until it succeeds, fails for good, or the time is up.
    pub async fn retry<T>(&self, mut attempt: impl AsyncFnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let mut retries = self.retries();
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => retries.after(error).await?,
            }
        }
    }

    /// For attempts that `retry` cannot run: a future with a closure that awaits cannot be sent to another thread.
    pub fn retries(&self) -> Retries<'_> {
        Retries {
            config: &self.config,
            start: Instant::now(),
            failures: 0,
        }
    }
}

/// Counts failures, and waits between them for as long as `default.api.timeout.ms` allows.
pub struct Retries<'a> {
    config: &'a ClientConfig,
    start: Instant,
    failures: u32,
}

impl Retries<'_> {
    /// Waits until it is time for the next attempt; gives the error back if there is none.
    pub async fn after(&mut self, error: ClientError) -> Result<(), ClientError> {
        self.failures += 1;
        let wait = self.config.backoff().after(self.failures);
        let patience = match error.code() {
            Some(ErrorCode::UnknownTopicOrPartition) => self.config.api_timeout.min(UNKNOWN_TOPIC_PATIENCE),
            _ => self.config.api_timeout,
        };
        if !error.is_retriable() || self.start.elapsed() + wait >= patience {
            return Err(error);
        }
        tracing::debug!("attempt {} failed, the next in {} ms: {error}", self.failures, wait.as_millis());
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

fn metadata_request(topics: Topics<'_>, version: i16) -> MetadataRequest {
    let topic = |name: &Arc<str>| MetadataRequestTopic {
        name: Some(name.to_string()),
        ..Default::default()
    };
    let (topics, create_missing) = match topics {
        Topics::All => (None, false),
        Topics::None => (Some(Vec::new()), false),
        Topics::Named { names, create_missing } => (Some(names.iter().map(topic).collect()), create_missing),
    };
    // Older versions cannot refuse the creation.
    let allow_auto_topic_creation = create_missing || version < 4;
    MetadataRequest {
        topics,
        allow_auto_topic_creation,
        ..Default::default()
    }
}

fn no_leader(metadata: &ClusterMetadata, partition: &TopicPartition) -> ClientError {
    let code = match metadata.topics.get(&partition.topic) {
        Some(topic) if topic.error != ErrorCode::None => topic.error,
        Some(topic) if topic.partitions.iter().any(|p| p.index == partition.partition) => ErrorCode::LeaderNotAvailable,
        _ => ErrorCode::UnknownTopicOrPartition,
    };
    ClientError::refused(code.code(), None)
}
