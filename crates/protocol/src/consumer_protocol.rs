//! What members of a group of consumers tell each other through the coordinator: what they subscribe to, and what they are assigned.
//!
//! The coordinator passes these bytes on without reading them. A version stands in front of each; newer versions only append fields, so
//! a version that we do not know is read as the newest that we know.

use bytes::Bytes;

use crate::Message;
use crate::wire::{DecodeError, Decoder, Encoder};

/// The newest version of both structs.
pub const CONSUMER_PROTOCOL_VERSION_MAX: i16 = 3;

/// What a member wants, in JoinGroup.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-3")]
pub struct ConsumerProtocolSubscription {
    pub topics: Vec<String>,
    pub user_data: Option<Bytes>,
    /// What the member owns now (KIP-429).
    #[field(versions = "1+", ignorable)]
    pub owned_partitions: Vec<TopicPartition>,
    /// The generation in which it came to own that (KIP-792).
    #[field(versions = "2+", default = -1, ignorable)]
    pub generation_id: i32,
    #[field(versions = "3+", ignorable)]
    pub rack_id: Option<String>,
}

/// What a member gets, in SyncGroup.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-3")]
pub struct ConsumerProtocolAssignment {
    pub assigned_partitions: Vec<TopicPartition>,
    pub user_data: Option<Bytes>,
}

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicPartition {
    pub topic: String,
    pub partitions: Vec<i32>,
}

impl ConsumerProtocolSubscription {
    /// No topic name or rack may be longer than the protocol allows.
    pub fn encode(&self, version: i16) -> Bytes {
        with_version(self, version)
    }

    pub fn decode(bytes: Bytes) -> Result<ConsumerProtocolSubscription, DecodeError> {
        after_version(bytes)
    }
}

impl ConsumerProtocolAssignment {
    /// No topic name may be longer than the protocol allows.
    pub fn encode(&self, version: i16) -> Bytes {
        with_version(self, version)
    }

    pub fn decode(bytes: Bytes) -> Result<ConsumerProtocolAssignment, DecodeError> {
        after_version(bytes)
    }
}

fn with_version(message: &impl Message, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    encoder.i16(version);
    message
        .encode(&mut encoder, version)
        .expect("the version exists, and names of topics and racks are short");
    encoder.finish().to_bytes()
}

fn after_version<M: Message>(bytes: Bytes) -> Result<M, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let version = decoder.i16()?;
    M::decode(&mut decoder, version.min(CONSUMER_PROTOCOL_VERSION_MAX))
}
