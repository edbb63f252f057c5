//! The producer: gathers records into batches per partition and delivers them, in order and (unless told otherwise) exactly once.
//!
//! `send` puts a record into the [`accumulator`]; one [`sender`] task takes batches that are due, numbers them, hands them to one
//! task per node and judges the answers. Ordering and numbering of one partition live in `partition_queue`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::record::Header;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::cluster_metadata::{Topic, TopicPartition};
use crate::config::ProducerConfig;
use crate::error::ClientError;

mod accumulator;
mod batch;
mod delivery;
mod node_link;
mod partition_queue;
pub mod partitioner;
mod sender;
mod verdict;

use accumulator::Accumulator;
pub use delivery::{Delivery, RecordMetadata};
use partitioner::{StickyPartition, partition_for_key};

/// What is sent.
#[derive(Debug, Clone)]
pub struct ProducerRecord {
    pub topic: Arc<str>,
    /// `None`: chosen by the key's hash, or for a record without key by what fills batches.
    pub partition: Option<i32>,
    /// `None`: now.
    pub timestamp_ms: Option<i64>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

impl ProducerRecord {
    pub fn new(topic: impl Into<Arc<str>>, key: Option<Bytes>, value: Option<Bytes>) -> ProducerRecord {
        ProducerRecord {
            topic: topic.into(),
            partition: None,
            timestamp_ms: None,
            key,
            value,
            headers: Vec::new(),
        }
    }
}

/// Why a record was not delivered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProduceError {
    #[error(
        "The message is {size} bytes when serialized which is larger than {max}, which is the value of the max.request.size configuration."
    )]
    TooLarge { size: usize, max: usize },
    #[error("{message}")]
    Refused { code: ErrorCode, message: String },
    #[error("Expiring {records} record(s) for {partition}: {waited_ms} ms have passed since batch creation; the last error was: {last}")]
    Expired {
        records: usize,
        partition: TopicPartition,
        waited_ms: u128,
        last: String,
    },
    #[error("Topic {topic} has no partition {partition}, its number of partitions is {partitions}.")]
    NoSuchPartition {
        topic: Arc<str>,
        partition: i32,
        partitions: usize,
    },
    #[error("No room for the record within {waited_ms} ms: buffer.memory is full.")]
    BufferFull { waited_ms: u128 },
    #[error("The producer is closed.")]
    Closed,
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A running producer. Call [`Producer::close`]: what is not yet delivered when it is dropped is lost.
pub struct Producer {
    cluster: Arc<Cluster>,
    config: Arc<ProducerConfig>,
    accumulator: Arc<Accumulator>,
    sticky: Mutex<HashMap<Arc<str>, StickyPartition>>,
    sender: JoinHandle<()>,
}

impl Producer {
    pub async fn connect(config: ProducerConfig) -> Result<Producer, ClientError> {
        let cluster = Cluster::connect(config.client.clone()).await?;
        Ok(Producer::new(cluster, config))
    }

    pub fn new(cluster: Arc<Cluster>, config: ProducerConfig) -> Producer {
        let config = Arc::new(config);
        let accumulator = Arc::new(Accumulator::new(config.clone()));
        let sender = tokio::spawn(sender::Sender::new(cluster.clone(), config.clone(), accumulator.clone()).run());
        Producer {
            cluster,
            config,
            accumulator,
            sticky: Mutex::new(HashMap::new()),
            sender,
        }
    }

    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Queues a record. Waits for the topic's metadata and for room in the buffer, at most `max.block.ms`; the delivery is waited
    /// for separately. Records of one partition are delivered in the order of these calls.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, ProduceError> {
        let size = batch::batch_bytes_of(&record);
        if size > self.config.request_bytes_max {
            return Err(ProduceError::TooLarge {
                size,
                max: self.config.request_bytes_max,
            });
        }
        let partition = match self.choose_partition(&record, size) {
            Some(chosen) => chosen?,
            None => {
                self.cluster.wait_for_topic(&record.topic, true, self.config.block_max).await?;
                self.choose_partition(&record, size).ok_or(ProduceError::Closed)??
            }
        };
        let tp = TopicPartition {
            topic: record.topic.clone(),
            partition,
        };
        self.accumulator
            .append(tp, &record, record.timestamp_ms.unwrap_or_else(now_ms))
            .await
    }

    /// `None` while nothing is known about the topic.
    fn choose_partition(&self, record: &ProducerRecord, size: usize) -> Option<Result<i32, ProduceError>> {
        let metadata = self.cluster.metadata();
        let topic = metadata.topic(&record.topic).filter(|topic| !topic.partitions.is_empty())?;
        let partitions = topic.partitions.len();
        Some(match (record.partition, &record.key) {
            (Some(partition), _) if usize::try_from(partition).is_ok_and(|p| p < partitions) => Ok(partition),
            (Some(partition), _) => Err(ProduceError::NoSuchPartition {
                topic: record.topic.clone(),
                partition,
                partitions,
            }),
            (None, Some(key)) => Ok(partition_for_key(key, partitions)),
            (None, None) => Ok(self.stick(topic, size)),
        })
    }

    fn stick(&self, topic: &Topic, size: usize) -> i32 {
        let mut sticky = self.sticky.lock();
        sticky
            .entry(topic.name.clone())
            .or_default()
            .next(topic, size, self.config.batch_bytes)
    }

    /// Sends what is queued without lingering, and waits until nothing is outstanding.
    pub async fn flush(&self) {
        self.accumulator.flush().await;
    }

    /// Delivers (or fails) all that was sent, then stops.
    pub async fn close(mut self) {
        self.accumulator.close();
        // A sender that panicked has nothing left to deliver.
        let _ = (&mut self.sender).await;
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}
