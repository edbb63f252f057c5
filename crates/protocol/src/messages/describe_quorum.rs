//! DescribeQuorum (key 55): the state of the metadata quorum (KIP-595).

use uuid::Uuid;

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

/// Partitions of the quorum; there is only `__cluster_metadata-0`.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct DescribeQuorumRequest {
    pub topics: Vec<RequestTopicData>,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for DescribeQuorumRequest {
    const KEY: ApiKey = ApiKey::DescribeQuorum;
    type Response = DescribeQuorumResponse;
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub struct RequestTopicData {
    pub topic_name: String,
    pub partitions: Vec<RequestPartitionData>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub struct RequestPartitionData {
    pub partition_index: i32,
    pub unknown_tagged_fields: TaggedFields,
}

/// Leader, voters and observers with how far each has come. Versions 1 and 2 add times (KIP-836) and directories (KIP-853).
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct DescribeQuorumResponse {
    pub error_code: i16,
    #[field(versions = "2+", ignorable)]
    pub error_message: Option<String>,
    pub topics: Vec<TopicData>,
    #[field(versions = "2+")]
    pub nodes: Vec<Node>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub struct TopicData {
    pub topic_name: String,
    pub partitions: Vec<PartitionData>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub struct PartitionData {
    pub partition_index: i32,
    pub error_code: i16,
    #[field(versions = "2+", ignorable)]
    pub error_message: Option<String>,
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub high_watermark: i64,
    pub current_voters: Vec<ReplicaState>,
    pub observers: Vec<ReplicaState>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub struct ReplicaState {
    pub replica_id: i32,
    #[field(versions = "2+")]
    pub replica_directory_id: Uuid,
    pub log_end_offset: i64,
    /// Milliseconds on the clock of the leader; -1 if unknown.
    #[field(versions = "1+", default = -1, ignorable)]
    pub last_fetch_timestamp: i64,
    #[field(versions = "1+", default = -1, ignorable)]
    pub last_caught_up_timestamp: i64,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub struct Node {
    pub node_id: i32,
    pub listeners: Vec<Listener>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub struct Listener {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub unknown_tagged_fields: TaggedFields,
}
