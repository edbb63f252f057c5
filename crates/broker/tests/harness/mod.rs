//! A broker in this process, on an ephemeral port of the loopback interface, and a client that sends what it is told to, byte for byte.

#![allow(dead_code, reason = "each test file uses its own part of the harness")]

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dohle_broker::Broker;
use dohle_broker::config::{NodeConfig, Overrides};
use dohle_protocol::batch;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::frame;
use dohle_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use dohle_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use dohle_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use dohle_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use dohle_protocol::messages::produce::{PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData};
use dohle_protocol::record::DecodeLimits;
use dohle_protocol::{ErrorCode, Request};
use dohle_storage::{Disk, RealDisk};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What no answer takes longer than, except where the test says so.
const PATIENCE: Duration = Duration::from_secs(20);

/// Name of the topic that the canary writes to.
const CANARY: &str = "canary";

pub(crate) struct TestBroker {
    broker: Broker,
    settings: Vec<(String, String)>,
    disk: Arc<dyn Disk>,
    /// Where the data are, if the disk is a real one.
    dir: Option<TempDir>,
}

impl TestBroker {
    /// With topic `t` of two partitions.
    pub(crate) async fn start() -> TestBroker {
        TestBroker::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> TestBroker {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data").display().to_string();
        let settings = [&[("log.dirs", &*data)], settings].concat();
        let mut started = TestBroker::open(Arc::new(RealDisk::default()), &settings).await;
        started.dir = Some(dir);
        started.create_test_topics().await;
        started
    }

    /// On a disk that is prepared by the test; nothing is created on it.
    pub(crate) async fn open(disk: Arc<dyn Disk>, settings: &[(&str, &str)]) -> TestBroker {
        record_log();
        let settings: Vec<_> = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let overrides = Overrides {
            set: settings.clone(),
            data_dir: None,
            listen: Some("localhost:0".to_string()),
        };
        let (config, _) = NodeConfig::load(None, &overrides).unwrap();
        let broker = Broker::start_on(Arc::clone(&disk), config).await.unwrap();
        TestBroker {
            broker,
            settings,
            disk,
            dir: None,
        }
    }

    pub(crate) async fn create_test_topics(&self) {
        self.create_topic("t", 2, &[]).await;
        self.create_topic(CANARY, 1, &[]).await;
    }

    /// Ends the broker in order, and starts another on its files.
    pub(crate) async fn restart(self) -> TestBroker {
        self.broker.shutdown().await;
        let settings: Vec<_> = self.settings.iter().map(|(key, value)| (&**key, &**value)).collect();
        TestBroker {
            dir: self.dir,
            ..TestBroker::open(self.disk, &settings).await
        }
    }

    pub(crate) async fn shutdown(self) -> Option<TempDir> {
        self.broker.shutdown().await;
        self.dir
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.broker.listeners()[0].1
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.broker.listeners().iter().map(|(_, address)| *address).collect()
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address()).await
    }

    pub(crate) async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: name.to_string(),
            value: Some(value.to_string()),
            ..CreatableTopicConfig::default()
        });
        let topic = CreatableTopic {
            name: name.to_string(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 10_000,
            ..CreateTopicsRequest::default()
        };
        let answer = self.connect().await.call(7, &request).await;
        assert_eq!(answer.topics[0].error_code, 0, "{:?}", answer.topics[0].error_message);
    }

    /// Another client can write and read as if nothing had happened.
    pub(crate) async fn canary(&self) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let value = format!("canary {}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut client = self.connect().await;
        let written = client.produce(CANARY, 0, batch_of(&[&value])).await;
        assert_eq!(written.error_code, 0);
        let read = client.fetch(CANARY, 0, written.base_offset).await;
        assert_eq!(values(read.records.unwrap()), [value]);
    }
}

/// One connection. Requests may be sent ahead of their answers.
pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Client {
        Client {
            stream: TcpStream::connect(address).await.unwrap(),
            correlation_id: 0,
        }
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let id = self.send(version, request).await;
        self.receive::<R>(version, id).await
    }

    /// Returns the correlation id.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation_id += 1;
        let rope = frame::request(version, self.correlation_id, Some("test"), request).unwrap();
        self.send_bytes(&rope.to_bytes()).await;
        self.correlation_id
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn receive<R: Request>(&mut self, version: i16, correlation_id: i32) -> R::Response {
        let frame = self.receive_frame().await.expect("an answer");
        let (header, response) = frame::read_response::<R>(frame, version).unwrap();
        assert_eq!(header.correlation_id, correlation_id, "answers leave in order");
        response
    }

    /// A whole answer without its length; `None` if the broker has closed the connection.
    pub(crate) async fn receive_frame(&mut self) -> Option<Bytes> {
        tokio::time::timeout(PATIENCE, async {
            let length = self.stream.read_u32().await.ok()?;
            let mut frame = vec![0; length as usize];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(frame.into())
        })
        .await
        .expect("an answer, or the end of the connection")
    }

    pub(crate) async fn assert_closed(&mut self) {
        assert_eq!(self.receive_frame().await, None, "the broker has not closed the connection");
    }

    pub(crate) async fn assert_silent(&mut self, duration: Duration) {
        let answer = tokio::time::timeout(duration, self.stream.read_u8()).await;
        assert!(answer.is_err(), "an answer, or the end of the connection: {answer:?}");
    }

    /// Version 9, acks -1.
    pub(crate) async fn produce(&mut self, topic: &str, partition: i32, records: Bytes) -> PartitionProduceResponse {
        self.produce_with(9, &produce_request(-1, topic, partition, Some(records))).await
    }

    pub(crate) async fn produce_with(&mut self, version: i16, request: &ProduceRequest) -> PartitionProduceResponse {
        let mut answer = self.call(version, request).await;
        answer.responses.remove(0).partition_responses.remove(0)
    }

    /// Version 12, without session, at most 10 s of waiting for one byte.
    pub(crate) async fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> PartitionData {
        let answer = self.call(12, &fetch_request(topic, partition, offset)).await;
        only_partition(answer)
    }

    pub(crate) async fn list_offset(&mut self, version: i16, topic: &str, partition: i32, timestamp: i64) -> (ErrorCode, i64, i64) {
        let partition = ListOffsetsPartition {
            partition_index: partition,
            timestamp,
            ..ListOffsetsPartition::default()
        };
        let topic = ListOffsetsTopic {
            name: topic.to_string(),
            partitions: vec![partition],
            ..ListOffsetsTopic::default()
        };
        let answer = self
            .call(
                version,
                &ListOffsetsRequest {
                    replica_id: -1,
                    topics: vec![topic],
                    ..ListOffsetsRequest::default()
                },
            )
            .await;
        let partition = &answer.topics[0].partitions[0];
        (ErrorCode::from_code(partition.error_code), partition.offset, partition.timestamp)
    }
}

pub(crate) fn produce_request(acks: i16, topic: &str, partition: i32, records: Option<Bytes>) -> ProduceRequest {
    let partition = PartitionProduceData {
        index: partition,
        records,
        ..PartitionProduceData::default()
    };
    let topic = TopicProduceData {
        name: topic.to_string(),
        partition_data: vec![partition],
        ..TopicProduceData::default()
    };
    ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: vec![topic],
        ..ProduceRequest::default()
    }
}

pub(crate) fn fetch_request(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    let partition = FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic {
        topic: topic.to_string(),
        partitions: vec![partition],
        ..FetchTopic::default()
    };
    FetchRequest {
        max_wait_ms: 10_000,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

pub(crate) fn delete_records_request(topic: &str, offset: i64) -> DeleteRecordsRequest {
    let partitions = vec![DeleteRecordsPartition {
        partition_index: 0,
        offset,
        ..DeleteRecordsPartition::default()
    }];
    let topic = DeleteRecordsTopic {
        name: topic.to_string(),
        partitions,
        ..DeleteRecordsTopic::default()
    };
    DeleteRecordsRequest {
        topics: vec![topic],
        timeout_ms: 1000,
        ..DeleteRecordsRequest::default()
    }
}

pub(crate) fn only_partition(mut answer: FetchResponse) -> PartitionData {
    assert_eq!(answer.error_code, 0);
    answer.responses.remove(0).partitions.remove(0)
}

pub(crate) fn error_of(code: i16) -> ErrorCode {
    ErrorCode::from_code(code)
}

/// An uncompressed batch of records without keys, with the timestamp 1000.
pub(crate) fn batch_of(values: &[&str]) -> Bytes {
    build(RecordBatchBuilder::new(), values)
}

pub(crate) fn build(mut builder: RecordBatchBuilder, values: &[&str]) -> Bytes {
    for value in values {
        builder.append(1000, None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

/// The batch with some bytes changed, and the checksum made right again.
pub(crate) fn forge(batch: &Bytes, change: impl FnOnce(&mut [u8])) -> Bytes {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    let crc = batch::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// The values of all records in batches.
pub(crate) fn values(records: Bytes) -> Vec<String> {
    let limits = DecodeLimits {
        decompressed_bytes_max: 64 << 20,
    };
    let records = batch::batches(records).flat_map(|batch| batch.unwrap().records(limits).unwrap());
    records
        .map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap())
        .collect()
}

/// All that the brokers of this process have logged.
pub(crate) fn log_text() -> String {
    String::from_utf8(LOG.lock().unwrap().clone()).unwrap()
}

/// The warnings that the broker has logged about a client.
pub(crate) fn warnings_about(client: SocketAddr) -> Vec<String> {
    let log = log_text();
    let peer = format!("peer={client} ");
    log.lines()
        .filter(|line| line.contains("WARN") && line.contains(&peer))
        .map(str::to_string)
        .collect()
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn record_log() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(|| LogWriter);
    // Another test of this process may have begun already.
    let _ = subscriber.try_init();
}

/// Memory of this process that is not swapped out.
pub(crate) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

pub(crate) fn raise_open_files_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .unwrap();
}
