//! SyncGroup: the leader of a generation hands in the assignments, and every member gets its own once they are durable.

use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: SyncGroupRequest) -> SyncGroupResponse {
    let group = request.group_id.clone();
    let caller = client::anonymous(ctx);
    let asked = broker.groups.ask_named(&caller, &group, GroupRequest::Sync(request));
    let response = match asked.await {
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
