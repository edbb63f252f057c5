//! JoinGroup: a member enters a group, or its next generation. The answer comes when all members are there, or their time is over.

use std::sync::Arc;

use bytes::Bytes;
use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

/// From this version on the name of the protocol may be null.
const NULL_PROTOCOL_FROM: i16 = 7;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, mut request: JoinGroupRequest) -> JoinGroupResponse {
    for protocol in &mut request.protocols {
        // The group keeps it, and must not keep the request.
        protocol.metadata = Bytes::copy_from_slice(&protocol.metadata);
    }
    let member_id = request.member_id.clone();
    let group = request.group_id.clone();
    let answer = if group.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else {
        broker.groups.ask(&client::named(ctx), &group, GroupRequest::Join(request)).await
    };
    let mut response = match answer {
        Ok(GroupResponse::Join(response)) => response,
        Ok(other) => unreachable!("the response to Join is not {other:?}"),
        Err(error) => JoinGroupResponse {
            error_code: error.code(),
            member_id,
            ..JoinGroupResponse::default()
        },
    };
    if ctx.api_version < NULL_PROTOCOL_FROM {
        response.protocol_name.get_or_insert_default();
    }
    broker.metrics.errors(ApiKey::JoinGroup, [response.error_code]);
    response
}
