//! SyncGroup: the leader of a generation hands in the assignments, and every member gets its own once they are durable.

use std::sync::Arc;

use bytes::Bytes;
use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, mut request: SyncGroupRequest) -> SyncGroupResponse {
    for assigned in &mut request.assignments {
        // The group keeps it, and must not keep the request.
        assigned.assignment = Bytes::copy_from_slice(&assigned.assignment);
    }
    let group = request.group_id.clone();
    let answer = if group.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else {
        broker
            .groups
            .ask(&client::anonymous(ctx), &group, GroupRequest::Sync(request))
            .await
    };
    let response = match answer {
        Ok(GroupResponse::Sync(response)) => response,
        Ok(other) => unreachable!("the response to Sync is not {other:?}"),
        Err(error) => SyncGroupResponse {
            error_code: error.code(),
            ..SyncGroupResponse::default()
        },
    };
    broker.metrics.errors(ApiKey::SyncGroup, [response.error_code]);
    response
}
