//! An async client for Kafka's protocol: connections, metadata, administration, an idempotent producer and a consumer.
//!
//! It must not know the broker, the disk, or any command line. It works against Apache Kafka and Dohle alike, and asks
//! each server which versions it speaks before anything else.
//!
//! Start at [`Cluster`] (which connection leads where), then [`Admin`], [`Producer`] or [`Consumer`];
//! [`connection`] is one socket with requests in flight.

pub mod admin;
pub mod cluster;
pub mod cluster_metadata;
pub mod config;
pub mod connection;
pub mod consumer;
mod coordinator;
pub mod error;
pub mod limits;
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
