//! JoinGroup: a member enters a group, or its next generation. The answer comes when all members are there, or their time is over.

use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

/// From this version on the name of the protocol may be null.
const NULL_PROTOCOL_FROM: i16 = 7;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: JoinGroupRequest) -> JoinGroupResponse {
    let member_id = request.member_id.clone();
    let group = request.group_id.clone();
    let caller = client::named(ctx);
    let asked = broker.groups.ask_named(&caller, &group, GroupRequest::Join(request));
    let response = match asked.await {
        Ok(GroupResponse::Join(response)) => response,
        Ok(other) => unreachable!("the response to Join is not {other:?}"),
        Err(error) => JoinGroupResponse {
            error_code: error.code(),
            member_id,
            protocol_name: (ctx.api_version < NULL_PROTOCOL_FROM).then(String::new),
            ..JoinGroupResponse::default()
        },
    };
    broker.metrics.errors(ApiKey::JoinGroup, [response.error_code]);
    response
}
