//! JoinGroup (key 11): enter a group, or stay in it through a rebalance.

use bytes::Bytes;

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

/// A member and the protocols (assignors) that it speaks, in the order of its preference.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-9", flexible = "6+")]
pub struct JoinGroupRequest {
    pub group_id: String,
    pub session_timeout_ms: i32,
    /// -1 in version 0: the session timeout counts for both.
    #[field(versions = "1+", default = -1, ignorable)]
    pub rebalance_timeout_ms: i32,
    /// Empty on the first attempt.
    pub member_id: String,
    /// Not null for a static member (KIP-345).
    #[field(versions = "5+")]
    pub group_instance_id: Option<String>,
    pub protocol_type: String,
    pub protocols: Vec<JoinGroupRequestProtocol>,
    #[field(versions = "8+", ignorable)]
    pub reason: Option<String>,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for JoinGroupRequest {
    const KEY: ApiKey = ApiKey::JoinGroup;
    type Response = JoinGroupResponse;
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "6+")]
pub struct JoinGroupRequestProtocol {
    pub name: String,
    /// For the consumer protocol a [`ConsumerProtocolSubscription`](crate::consumer_protocol::ConsumerProtocolSubscription).
    pub metadata: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}

/// The generation that the member is in. Only the leader is told who else is.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-9", flexible = "6+")]
pub struct JoinGroupResponse {
    #[field(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[field(default = -1)]
    pub generation_id: i32,
    #[field(versions = "7+", ignorable)]
    pub protocol_type: Option<String>,
    #[field(nullable = "7+")]
    pub protocol_name: Option<String>,
    pub leader: String,
    /// The leader is to keep the assignment as it is: a static leader has come back.
    #[field(versions = "9+")]
    pub skip_assignment: bool,
    pub member_id: String,
    pub members: Vec<JoinGroupResponseMember>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "6+")]
pub struct JoinGroupResponseMember {
    pub member_id: String,
    #[field(versions = "5+", ignorable)]
    pub group_instance_id: Option<String>,
    pub metadata: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}
