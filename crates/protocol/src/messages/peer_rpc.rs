//! PeerRpc (key 20000, not Kafka's): what the members of the metadata quorum say to each other, in a form that is theirs alone.

use bytes::Bytes;

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct PeerRpcRequest {
    pub body: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for PeerRpcRequest {
    const KEY: ApiKey = ApiKey::PeerRpc;
    type Response = PeerRpcResponse;
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct PeerRpcResponse {
    /// There is no quorum here (yet); the body is empty then.
    pub error_code: i16,
    pub body: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}
