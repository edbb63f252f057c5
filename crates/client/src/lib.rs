//! An async client for Kafka's protocol: connections, metadata, administration, an idempotent producer, and a consumer that reads alone
//! or as a member of a group.
//!
//! It must not know the broker, the disk, or any command line. It works against Apache Kafka and Dohle alike, and asks
//! each server which versions it speaks before anything else.
//!
//! Start at [`Cluster`] (which connection leads where), then [`Admin`], [`Producer`] or [`Consumer`];
//! [`connection`] is one socket with requests in flight.
//!
//! A member of a group: its partitions come and go within `poll`, its positions are committed every five seconds, before partitions are
//! given up, and when it is closed. All settings have Kafka's names ([`config`]).
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use dohle_client::{Consumer, ConsumerConfig, Properties};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut properties = Properties::default();
//! properties.set("bootstrap.servers", "localhost:9092");
//! properties.set("group.id", "readers");
//! properties.set("auto.offset.reset", "earliest");
//! let mut consumer = Consumer::connect(ConsumerConfig::from_properties(&properties)?).await?;
//! consumer.subscribe(["events"])?;
//! for _ in 0..100 {
//!     for record in consumer.poll(Duration::from_secs(1)).await? {
//!         println!("{}-{} at {}: {:?}", record.topic, record.partition, record.offset, record.value);
//!     }
//! }
//! consumer.close(Duration::from_secs(30)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! With `enable.auto.commit=false` the application commits: [`Consumer::commit`], [`Consumer::commit_offsets`], or without waiting
//! [`Consumer::start_commit`]. What happens in a rebalance is told to a [`RebalanceListener`](consumer::RebalanceListener); whatever it
//! puts into the offsets is committed before the partitions go. With `group.instance.id` a member keeps its partitions through a restart
//! that is shorter than its session. Without a `group.id`, [`Consumer::assign`] names the partitions to read.

pub mod admin;
pub mod cluster;
pub mod cluster_metadata;
pub mod config;
pub mod connection;
pub mod consumer;
mod coordinator;
pub mod error;
pub mod limits;
mod offset_fetch;
pub mod producer;
pub mod properties;
pub mod retry;
pub mod server_versions;

pub use admin::Admin;
pub use cluster::Cluster;
pub use cluster_metadata::{ClusterMetadata, TopicPartition};
pub use config::{ClientConfig, ConsumerConfig, ProducerConfig};
pub use connection::Connection;
pub use consumer::{Consumer, ConsumerRecord};
pub use error::ClientError;
pub use producer::{Producer, ProducerRecord};
pub use properties::Properties;
