//! DescribeGroups (key 15): state and members of classic groups.

use bytes::Bytes;

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-6", flexible = "5+")]
pub struct DescribeGroupsRequest {
    pub groups: Vec<String>,
    #[field(versions = "3+")]
    pub include_authorized_operations: bool,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for DescribeGroupsRequest {
    const KEY: ApiKey = ApiKey::DescribeGroups;
    type Response = DescribeGroupsResponse;
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-6", flexible = "5+")]
pub struct DescribeGroupsResponse {
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub groups: Vec<DescribedGroup>,
    pub unknown_tagged_fields: TaggedFields,
}

/// A group that does not exist is dead; from version 6 on it is an error (KIP-1043).
#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "5+")]
pub struct DescribedGroup {
    pub error_code: i16,
    #[field(versions = "6+", ignorable)]
    pub error_message: Option<String>,
    pub group_id: String,
    pub group_state: String,
    pub protocol_type: String,
    /// The protocol that was chosen; empty unless the group is stable.
    pub protocol_data: String,
    pub members: Vec<DescribedGroupMember>,
    /// One bit per operation; `i32::MIN` if not asked for.
    #[field(versions = "3+", default = i32::MIN)]
    pub authorized_operations: i32,
    pub unknown_tagged_fields: TaggedFields,
}

/// Metadata and assignment are empty unless the group is stable.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "5+")]
pub struct DescribedGroupMember {
    pub member_id: String,
    #[field(versions = "4+", ignorable)]
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub member_metadata: Bytes,
    pub member_assignment: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}
