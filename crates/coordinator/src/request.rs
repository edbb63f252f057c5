//! Requests and responses, in the structs of the wire.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_groups::DescribedGroup;
use dohle_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use dohle_protocol::messages::list_groups::ListedGroup;
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use dohle_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

/// Who asks, and in which version of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub client_id: String,
    /// As Java prints an address: `/127.0.0.1`.
    pub client_host: String,
    pub api_version: i16,
}

/// Topics of offset requests carry their names: the shell has resolved ids, and puts ids back into the response (it keeps their order).
#[derive(Debug, Clone, PartialEq)]
pub enum GroupRequest {
    Join(JoinGroupRequest),
    Sync(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveGroupRequest),
    CommitOffsets(OffsetCommitRequest),
    FetchOffsets(OffsetFetchRequestGroup),
    DeleteOffsets(OffsetDeleteRequest),
    DeleteGroup(String),
    DescribeGroup(String),
    ListGroups { states: Vec<String>, types: Vec<String> },
}

/// The response to the request of the same name.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupResponse {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    Leave(LeaveGroupResponse),
    CommitOffsets(OffsetCommitResponse),
    FetchOffsets(OffsetFetchResponseGroup),
    DeleteOffsets(OffsetDeleteResponse),
    DeleteGroup(ErrorCode),
    DescribeGroup(DescribedGroup),
    ListGroups(Vec<ListedGroup>),
}
