//! OffsetCommit (key 8): a group remembers how far it has read.

use uuid::Uuid;

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

/// A generation of -1 and no member id: a consumer that assigns itself its partitions, or a tool.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-10", flexible = "8+")]
pub struct OffsetCommitRequest {
    pub group_id: String,
    #[field(default = -1)]
    pub generation_id_or_member_epoch: i32,
    pub member_id: String,
    #[field(versions = "7+")]
    pub group_instance_id: Option<String>,
    #[field(versions = "2-4", default = -1, ignorable)]
    pub retention_time_ms: i64,
    pub topics: Vec<OffsetCommitRequestTopic>,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for OffsetCommitRequest {
    const KEY: ApiKey = ApiKey::OffsetCommit;
    type Response = OffsetCommitResponse;
}

/// Named up to version 9, identified from version 10 on.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "8+")]
pub struct OffsetCommitRequestTopic {
    #[field(versions = "2-9", ignorable)]
    pub name: String,
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<OffsetCommitRequestPartition>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "8+")]
pub struct OffsetCommitRequestPartition {
    pub partition_index: i32,
    pub committed_offset: i64,
    #[field(versions = "6+", default = -1, ignorable)]
    pub committed_leader_epoch: i32,
    pub committed_metadata: Option<String>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2-10", flexible = "8+")]
pub struct OffsetCommitResponse {
    #[field(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    pub topics: Vec<OffsetCommitResponseTopic>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "8+")]
pub struct OffsetCommitResponseTopic {
    #[field(versions = "2-9", ignorable)]
    pub name: String,
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    pub partitions: Vec<OffsetCommitResponsePartition>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "8+")]
pub struct OffsetCommitResponsePartition {
    pub partition_index: i32,
    pub error_code: i16,
    pub unknown_tagged_fields: TaggedFields,
}
