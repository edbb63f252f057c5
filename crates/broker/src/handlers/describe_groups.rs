//! DescribeGroups: state and members of groups. A group that does not exist is `Dead`; from version 6 on that is an error.

use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::handlers::authorized_operations;
use crate::limits;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let mut groups: Vec<DescribedGroup> = Vec::new();
    let mut bytes = 0;
    for id in request.groups {
        // One at a time: a request may name the largest group many times over.
        let mut group = if bytes < limits::GROUP_RESPONSE_BYTES_MAX {
            describe(broker, ctx, id).await
        } else {
            refused(id, ErrorCode::CoordinatorNotAvailable)
        };
        if request.include_authorized_operations && group.error_code == ErrorCode::None.code() {
            group.authorized_operations = authorized_operations::GROUP;
        }
        let of_members = group
            .members
            .iter()
            .map(|member| member.member_metadata.len() + member.member_assignment.len());
        bytes += of_members.sum::<usize>();
        groups.push(group);
    }
    broker
        .metrics
        .errors(ApiKey::DescribeGroups, groups.iter().map(|group| group.error_code));
    DescribeGroupsResponse {
        groups,
        ..DescribeGroupsResponse::default()
    }
}

async fn describe(broker: &BrokerState, ctx: &RequestContext, id: String) -> DescribedGroup {
    let request = GroupRequest::DescribeGroup(id.clone());
    match broker.groups.ask(&client::anonymous(ctx), &id, request).await {
        Ok(GroupResponse::DescribeGroup(group)) => group,
        Ok(other) => unreachable!("the response to DescribeGroup is not {other:?}"),
        Err(error) => refused(id, error),
    }
}

fn refused(group_id: String, error: ErrorCode) -> DescribedGroup {
    DescribedGroup {
        error_code: error.code(),
        group_id,
        ..DescribedGroup::default()
    }
}
