//! LeaveGroup: members go, and the others take over at once.

use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let group = request.group_id.clone();
    let caller = client::anonymous(ctx);
    let asked = broker.groups.ask_named(&caller, &group, GroupRequest::Leave(request));
    let response = match asked.await {
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
