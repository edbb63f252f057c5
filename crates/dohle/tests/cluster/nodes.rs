//! Nodes on loopback with directories of their own, and what a client asks of one of them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dohle_broker::config::{NodeConfig, Overrides};
use dohle_broker::{Broker, StartError};
use dohle_client::{ClientConfig, Connection};
use dohle_protocol::messages::create_topics::{CreatableTopic, CreatableTopicResult, CreateTopicsRequest};
use dohle_protocol::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use dohle_protocol::messages::describe_quorum::{DescribeQuorumRequest, PartitionData, RequestPartitionData, RequestTopicData};
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use dohle_protocol::{ErrorCode, Request};
use dohle_storage::{Disk, FaultyDisk, RealDisk};

/// Nothing takes longer than this, except where a test says so.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The nodes of one cluster. Those that run end like in a crash when this is dropped.
pub(crate) struct Nodes {
    pub(crate) folder: tempfile::TempDir,
    /// `ID@HOST:PORT` of the controllers.
    pub(crate) voters: String,
    settings: BTreeMap<i32, Vec<(String, String)>>,
    /// In the place of the real one.
    disks: BTreeMap<i32, FaultyDisk>,
    running: BTreeMap<i32, Broker>,
}

impl Nodes {
    /// Controllers with these numbers, which are brokers too; none of them runs yet.
    pub(crate) fn of(ids: &[i32]) -> Nodes {
        Nodes::with_roles(ids, "broker,controller")
    }

    pub(crate) fn with_roles(ids: &[i32], roles: &str) -> Nodes {
        let ports: BTreeMap<i32, (u16, u16)> = ids.iter().map(|id| (*id, (free_port(), free_port()))).collect();
        let voters: Vec<String> = ports.iter().map(|(id, (_, port))| format!("{id}@127.0.0.1:{port}")).collect();
        let mut nodes = Nodes {
            folder: tempfile::tempdir().unwrap(),
            voters: voters.join(","),
            settings: BTreeMap::new(),
            disks: BTreeMap::new(),
            running: BTreeMap::new(),
        };
        for (id, (client, controller)) in ports {
            let mut listeners = format!("CONTROLLER://127.0.0.1:{controller}");
            if roles.contains("broker") {
                listeners = format!("PLAINTEXT://127.0.0.1:{client},{listeners}");
            }
            let voters = nodes.voters.clone();
            let settings = [
                ("process.roles", roles),
                ("listeners", &listeners),
                ("controller.quorum.voters", &voters),
            ];
            nodes.prepare(id, &settings);
        }
        nodes
    }

    /// A node that only follows; it does not run yet.
    pub(crate) fn add_broker(&mut self, id: i32) {
        let listeners = format!("PLAINTEXT://127.0.0.1:{}", free_port());
        let voters = self.voters.clone();
        self.prepare(
            id,
            &[
                ("process.roles", "broker"),
                ("listeners", &listeners),
                ("controller.quorum.voters", &voters),
            ],
        );
    }

    pub(crate) fn prepare(&mut self, id: i32, settings: &[(&str, &str)]) {
        let always = [("node.id", id.to_string()), ("log.dirs", self.dir(id).display().to_string())];
        let always = always.into_iter().map(|(key, value)| (key.to_owned(), value));
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.settings.insert(id, always.chain(settings).collect());
    }

    pub(crate) fn set(&mut self, id: i32, key: &str, value: &str) {
        self.settings.get_mut(&id).unwrap().push((key.to_owned(), value.to_owned()));
    }

    /// A disk in memory for a node that does not run yet; it fails when it is told to.
    pub(crate) fn give_disk(&mut self, id: i32) -> FaultyDisk {
        self.disks.entry(id).or_default().clone()
    }

    fn disk(&self, id: i32) -> Arc<dyn Disk> {
        match self.disks.get(&id) {
            Some(disk) => Arc::new(disk.clone()),
            None => Arc::new(RealDisk::default()),
        }
    }

    pub(crate) fn dir(&self, id: i32) -> PathBuf {
        self.folder.path().join(format!("node-{id}"))
    }

    /// Starts these at the same time, and returns when all serve clients.
    pub(crate) async fn start(&mut self, ids: &[i32]) {
        let mut started = Vec::new();
        for id in ids {
            started.push((*id, tokio::spawn(start_again(self.disk(*id), self.config(*id)))));
        }
        for (id, node) in started {
            let node = node
                .await
                .unwrap()
                .unwrap_or_else(|error| panic!("node {id} does not start: {error}"));
            self.running.insert(id, node);
        }
    }

    pub(crate) async fn try_start(&mut self, id: i32) -> Result<(), StartError> {
        let node = start_again(self.disk(id), self.config(id)).await?;
        self.running.insert(id, node);
        Ok(())
    }

    fn config(&self, id: i32) -> NodeConfig {
        let set = self.settings[&id].clone();
        let overrides = Overrides {
            set,
            ..Overrides::default()
        };
        NodeConfig::load(None, &overrides).unwrap().0
    }

    /// Stops these in order, all at the same time. Returns how long that took.
    pub(crate) async fn stop(&mut self, ids: &[i32]) -> Duration {
        let begun = Instant::now();
        let nodes: Vec<_> = ids
            .iter()
            .map(|id| tokio::spawn(self.running.remove(id).unwrap().shutdown()))
            .collect();
        for node in nodes {
            node.await.unwrap();
        }
        begun.elapsed()
    }

    /// Ends a node like a crash does.
    pub(crate) fn kill(&mut self, id: i32) {
        drop(self.running.remove(&id).unwrap());
    }

    pub(crate) fn broker(&self, id: i32) -> &Broker {
        &self.running[&id]
    }

    /// Where clients reach a node.
    pub(crate) fn address(&self, id: i32) -> String {
        self.broker(id).listeners()[0].1.to_string()
    }

    pub(crate) async fn ask<R: Request>(&self, id: i32, request: &R) -> R::Response {
        ask(&self.address(id), request).await
    }

    pub(crate) async fn create(&self, id: i32, name: &str, partitions: i32, replicas: i16, timeout_ms: i32) -> CreatableTopicResult {
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: replicas,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms,
            ..CreateTopicsRequest::default()
        };
        self.ask(id, &request).await.topics.remove(0)
    }

    pub(crate) async fn metadata(&self, id: i32) -> MetadataResponse {
        let all = MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        self.ask(id, &all).await
    }

    /// The brokers that are there, as one of them says.
    pub(crate) async fn brokers(&self, id: i32) -> Vec<i32> {
        self.metadata(id).await.brokers.iter().map(|broker| broker.node_id).collect()
    }

    pub(crate) async fn topics(&self, id: i32) -> Vec<String> {
        let topics = self.metadata(id).await.topics;
        topics.into_iter().filter_map(|topic| topic.name).collect()
    }

    /// The active controller, as one of the brokers says.
    pub(crate) async fn controller(&self, id: i32) -> i32 {
        self.quorum(id).await.leader_id
    }

    pub(crate) async fn quorum(&self, id: i32) -> PartitionData {
        let topic = RequestTopicData {
            topic_name: "__cluster_metadata".to_owned(),
            partitions: vec![RequestPartitionData::default()],
            ..RequestTopicData::default()
        };
        let request = DescribeQuorumRequest {
            topics: vec![topic],
            ..DescribeQuorumRequest::default()
        };
        self.ask(id, &request).await.topics.remove(0).partitions.remove(0)
    }

    /// What a controller says through its own listener.
    pub(crate) async fn describe_controllers(&self, address: &str) -> DescribeClusterResponse {
        let request = DescribeClusterRequest {
            endpoint_type: 2,
            ..DescribeClusterRequest::default()
        };
        ask(address, &request).await
    }

    /// Where each controller is reached.
    pub(crate) fn controller_addresses(&self) -> BTreeMap<i32, String> {
        let voters = self.voters.split(',').filter_map(|voter| voter.split_once('@'));
        voters.map(|(id, address)| (id.parse().unwrap(), address.to_owned())).collect()
    }
}

/// In the newest version, by a connection of its own.
pub(crate) async fn ask<R: Request>(address: &str, request: &R) -> R::Response {
    let connection = Connection::open(address, &ClientConfig::for_servers(address).unwrap())
        .await
        .unwrap();
    connection.call(request).await.unwrap()
}

/// Asks until the answer is the expected one.
pub(crate) async fn until<T: PartialEq + std::fmt::Debug>(expected: T, mut asked: impl AsyncFnMut() -> T) {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = asked().await;
        if found == expected {
            return;
        }
        assert!(Instant::now() < end, "it is {found:?}, and has not become {expected:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[track_caller]
pub(crate) fn assert_created(result: &CreatableTopicResult) {
    assert_eq!(
        ErrorCode::from_code(result.error_code),
        ErrorCode::None,
        "{:?}",
        result.error_message
    );
}

/// A node that was killed in this process may hold its directory and its ports for a moment longer.
async fn start_again(disk: Arc<dyn Disk>, config: NodeConfig) -> Result<Broker, StartError> {
    let end = Instant::now() + PATIENCE;
    loop {
        let error = match tokio::time::timeout(PATIENCE, Broker::start_on(Arc::clone(&disk), config.clone())).await {
            Ok(Ok(broker)) => return Ok(broker),
            Ok(Err(error)) => error,
            Err(_) => panic!("node {} is not ready in time", config.node_id),
        };
        let is_passing = error.to_string().contains("in use");
        if !is_passing || Instant::now() >= end {
            return Err(error);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
