//! Heartbeat (key 12): a member says that it is alive.

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "4+")]
pub struct HeartbeatRequest {
    pub group_id: String,
    pub generation_id: i32,
    pub member_id: String,
    #[field(versions = "3+")]
    pub group_instance_id: Option<String>,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for HeartbeatRequest {
    const KEY: ApiKey = ApiKey::Heartbeat;
    type Response = HeartbeatResponse;
}

/// REBALANCE_IN_PROGRESS calls the member to join again.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "4+")]
pub struct HeartbeatResponse {
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub unknown_tagged_fields: TaggedFields,
}
