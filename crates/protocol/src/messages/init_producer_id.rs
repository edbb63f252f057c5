//! InitProducerId (key 22): an id for an idempotent or transactional producer (KIP-98).

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

/// Asks for a new id, or for the next epoch of one (KIP-360).
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "2+")]
pub struct InitProducerIdRequest {
    /// Null if the producer is only idempotent.
    pub transactional_id: Option<String>,
    pub transaction_timeout_ms: i32,
    #[field(versions = "3+", default = -1)]
    pub producer_id: i64,
    #[field(versions = "3+", default = -1)]
    pub producer_epoch: i16,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for InitProducerIdRequest {
    const KEY: ApiKey = ApiKey::InitProducerId;
    type Response = InitProducerIdResponse;
}

/// The id and epoch to produce with.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "2+")]
pub struct InitProducerIdResponse {
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[field(default = -1)]
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub unknown_tagged_fields: TaggedFields,
}
