//! ForwardToController (key 20001, not Kafka's): a node hands a request for a change of the metadata to the active controller.

use bytes::Bytes;

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ForwardToControllerRequest {
    pub request_api_key: i16,
    pub request_api_version: i16,
    /// The request in that version, without a header.
    pub body: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for ForwardToControllerRequest {
    const KEY: ApiKey = ApiKey::ForwardToController;
    type Response = ForwardToControllerResponse;
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub struct ForwardToControllerResponse {
    /// Not of the request: whether it was decided at all.
    pub error_code: i16,
    pub error_message: Option<String>,
    /// The metadata log up to here holds what was decided; -1: nothing was.
    #[field(default = -1)]
    pub metadata_offset: i64,
    /// The response in the version of the request, without a header.
    pub body: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}
