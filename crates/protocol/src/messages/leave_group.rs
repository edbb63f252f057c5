//! LeaveGroup (key 13): members leave a group, or are removed from it (KIP-345).

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

/// One member up to version 2, any number of them from version 3 on.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "4+")]
pub struct LeaveGroupRequest {
    pub group_id: String,
    #[field(versions = "0-2")]
    pub member_id: String,
    #[field(versions = "3+")]
    pub members: Vec<MemberIdentity>,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for LeaveGroupRequest {
    const KEY: ApiKey = ApiKey::LeaveGroup;
    type Response = LeaveGroupResponse;
}

/// A static member may be named by its instance id alone.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "4+")]
pub struct MemberIdentity {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    #[field(versions = "5+", ignorable)]
    pub reason: Option<String>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "4+")]
pub struct LeaveGroupResponse {
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[field(versions = "3+")]
    pub members: Vec<MemberResponse>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "4+")]
pub struct MemberResponse {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub error_code: i16,
    pub unknown_tagged_fields: TaggedFields,
}
