//! SyncGroup (key 14): the leader hands out the assignments, every member receives its own.

use bytes::Bytes;

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

/// Assignments are filled in by the leader only.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "4+")]
pub struct SyncGroupRequest {
    pub group_id: String,
    pub generation_id: i32,
    pub member_id: String,
    #[field(versions = "3+")]
    pub group_instance_id: Option<String>,
    #[field(versions = "5+", ignorable)]
    pub protocol_type: Option<String>,
    #[field(versions = "5+", ignorable)]
    pub protocol_name: Option<String>,
    pub assignments: Vec<SyncGroupRequestAssignment>,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for SyncGroupRequest {
    const KEY: ApiKey = ApiKey::SyncGroup;
    type Response = SyncGroupResponse;
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "4+")]
pub struct SyncGroupRequestAssignment {
    pub member_id: String,
    /// For the consumer protocol a [`ConsumerProtocolAssignment`](crate::consumer_protocol::ConsumerProtocolAssignment).
    pub assignment: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}

/// The assignment of the member that asked.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "4+")]
pub struct SyncGroupResponse {
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[field(versions = "5+", ignorable)]
    pub protocol_type: Option<String>,
    #[field(versions = "5+", ignorable)]
    pub protocol_name: Option<String>,
    pub assignment: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}
