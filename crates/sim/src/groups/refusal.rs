//! What a node answers that coordinates nothing at the moment.

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_groups::DescribedGroup;
use dohle_protocol::messages::heartbeat::HeartbeatResponse;
use dohle_protocol::messages::join_group::JoinGroupResponse;
use dohle_protocol::messages::leave_group::LeaveGroupResponse;
use dohle_protocol::messages::offset_commit::{OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use dohle_protocol::messages::offset_delete::OffsetDeleteResponse;
use dohle_protocol::messages::offset_fetch::OffsetFetchResponseGroup;
use dohle_protocol::messages::sync_group::SyncGroupResponse;

pub(super) fn refuse(request: &GroupRequest, error: ErrorCode) -> GroupResponse {
    let error_code = error.code();
    match request {
        GroupRequest::Join(_) => GroupResponse::Join(JoinGroupResponse {
            error_code,
            ..Default::default()
        }),
        GroupRequest::Sync(_) => GroupResponse::Sync(SyncGroupResponse {
            error_code,
            ..Default::default()
        }),
        GroupRequest::Heartbeat(_) => GroupResponse::Heartbeat(HeartbeatResponse {
            error_code,
            ..Default::default()
        }),
        GroupRequest::Leave(_) => GroupResponse::Leave(LeaveGroupResponse {
            error_code,
            ..Default::default()
        }),
        GroupRequest::CommitOffsets(request) => {
            let partition = OffsetCommitResponsePartition {
                error_code,
                ..Default::default()
            };
            let topic = OffsetCommitResponseTopic {
                partitions: vec![partition],
                ..Default::default()
            };
            GroupResponse::CommitOffsets(OffsetCommitResponse {
                topics: vec![topic; request.topics.len()],
                ..Default::default()
            })
        }
        GroupRequest::FetchOffsets(_) => GroupResponse::FetchOffsets(OffsetFetchResponseGroup {
            error_code,
            ..Default::default()
        }),
        GroupRequest::DeleteOffsets(_) => GroupResponse::DeleteOffsets(OffsetDeleteResponse {
            error_code,
            ..Default::default()
        }),
        GroupRequest::DeleteGroup(_) => GroupResponse::DeleteGroup(error),
        GroupRequest::DescribeGroup(_) => GroupResponse::DescribeGroup(DescribedGroup {
            error_code,
            ..Default::default()
        }),
        GroupRequest::ListGroups { .. } => GroupResponse::ListGroups(Vec::new()),
    }
}
