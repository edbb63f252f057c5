//! ListGroups (key 16): the groups that one broker coordinates.

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

/// Empty filters let everything pass.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct ListGroupsRequest {
    #[field(versions = "4+")]
    pub states_filter: Vec<String>,
    #[field(versions = "5+")]
    pub types_filter: Vec<String>,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for ListGroupsRequest {
    const KEY: ApiKey = ApiKey::ListGroups;
    type Response = ListGroupsResponse;
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct ListGroupsResponse {
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub groups: Vec<ListedGroup>,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "3+")]
pub struct ListedGroup {
    pub group_id: String,
    pub protocol_type: String,
    #[field(versions = "4+", ignorable)]
    pub group_state: String,
    #[field(versions = "5+", ignorable)]
    pub group_type: String,
    pub unknown_tagged_fields: TaggedFields,
}
