//! LeaveGroup: members go, and the others take over at once.

use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let group = request.group_id.clone();
    let answer = if group.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else {
        broker
            .groups
            .ask(&client::anonymous(ctx), &group, GroupRequest::Leave(request))
            .await
    };
    let response = match answer {
        Ok(GroupResponse::Leave(response)) => response,
        Ok(other) => unreachable!("the response to Leave is not {other:?}"),
        Err(error) => LeaveGroupResponse {
            error_code: error.code(),
            ..LeaveGroupResponse::default()
        },
    };
    let of_members = response.members.iter().map(|member| member.error_code);
    broker.metrics.errors(ApiKey::LeaveGroup, of_members.chain([response.error_code]));
    response
}
