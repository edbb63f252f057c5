//! DeleteGroups (key 42): groups without members are removed with all that they have committed (KIP-229).

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "2+")]
pub struct DeleteGroupsRequest {
    pub groups_names: Vec<String>,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for DeleteGroupsRequest {
    const KEY: ApiKey = ApiKey::DeleteGroups;
    type Response = DeleteGroupsResponse;
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-2", flexible = "2+")]
pub struct DeleteGroupsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<DeletableGroupResult>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "2+")]
pub struct DeletableGroupResult {
    pub group_id: String,
    pub error_code: i16,
    pub unknown_tagged_fields: TaggedFields,
}
