//! BrokerHeartbeat (key 63): a registered broker is alive, and says what it wants to be (KIP-631).

use uuid::Uuid;

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

/// Versions 1 and 2 tell of log directories (KIP-858, KIP-1066).
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct BrokerHeartbeatRequest {
    pub broker_id: i32,
    /// From the registration.
    #[field(default = -1)]
    pub broker_epoch: i64,
    /// The last offset of the metadata log that the broker acts on.
    pub current_metadata_offset: i64,
    /// Lead nothing (yet).
    pub want_fence: bool,
    /// Stop, as soon as others lead what they can.
    pub want_shut_down: bool,
    #[field(versions = "1+", tag = 0)]
    pub offline_log_dirs: Vec<Uuid>,
    #[field(versions = "2+", tag = 1, ignorable)]
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for BrokerHeartbeatRequest {
    const KEY: ApiKey = ApiKey::BrokerHeartbeat;
    type Response = BrokerHeartbeatResponse;
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "0+")]
pub struct BrokerHeartbeatResponse {
    pub throttle_time_ms: i32,
    pub error_code: i16,
    /// The broker has read the metadata up to its own registration.
    pub is_caught_up: bool,
    #[field(default = true)]
    pub is_fenced: bool,
    /// Nothing keeps the broker from stopping.
    pub should_shut_down: bool,
    pub unknown_tagged_fields: TaggedFields,
}
