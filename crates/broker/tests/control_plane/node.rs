//! A node on an ephemeral port of the loopback interface, and a client that says exactly what a test wants said.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use dohle_broker::config::{NodeConfig, Overrides};
use dohle_broker::{Broker, StartError};
use dohle_protocol::messages::create_topics::{CreatableTopic, CreatableTopicResult, CreateTopicsRequest};
use dohle_protocol::{Request, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Starts a node with its data in `dir`.
pub(crate) async fn start(dir: &Path, settings: &[(&str, &str)]) -> Broker {
    try_start(dir, settings).await.unwrap()
}

pub(crate) async fn try_start(dir: &Path, settings: &[(&str, &str)]) -> Result<Broker, StartError> {
    let set = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let overrides = Overrides {
        set,
        data_dir: Some(dir.to_path_buf()),
        listen: Some("127.0.0.1:0".to_string()),
    };
    let (config, _) = NodeConfig::load(None, &overrides).unwrap();
    Broker::start(config).await
}

/// Where a node is reached by the first of its listeners.
pub(crate) fn address(broker: &Broker) -> SocketAddr {
    broker.listeners()[0].1
}

pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(crate) async fn connect(broker: &Broker) -> Client {
        Client::connect_to(address(broker)).await
    }

    pub(crate) async fn connect_to(address: SocketAddr) -> Client {
        Client {
            stream: TcpStream::connect(address).await.unwrap(),
            correlation_id: 0,
        }
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.correlation_id += 1;
        let bytes = frame::request(version, self.correlation_id, Some("test"), request)
            .unwrap()
            .to_bytes();
        self.stream.write_all(&bytes).await.unwrap();
        let mut answer = vec![0; usize::try_from(self.stream.read_i32().await.unwrap()).unwrap()];
        self.stream.read_exact(&mut answer).await.unwrap();
        let (header, response) = frame::read_response::<R>(Bytes::from(answer), version).unwrap();
        assert_eq!(header.correlation_id, self.correlation_id);
        response
    }

    /// In the newest version.
    pub(crate) async fn ask<R: Request>(&mut self, request: &R) -> R::Response {
        self.call(*R::KEY.valid_versions().end(), request).await
    }

    pub(crate) async fn create(&mut self, name: &str, num_partitions: i32) -> CreatableTopicResult {
        let topic = CreatableTopic {
            name: name.to_string(),
            num_partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..CreateTopicsRequest::default()
        };
        self.ask(&request).await.topics.remove(0)
    }
}
