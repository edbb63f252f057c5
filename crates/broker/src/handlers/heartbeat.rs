//! Heartbeat: a member is there, and learns whether its group rebalances.

use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: HeartbeatRequest) -> HeartbeatResponse {
    let group = request.group_id.clone();
    let caller = client::anonymous(ctx);
    let asked = broker.groups.ask_named(&caller, &group, GroupRequest::Heartbeat(request));
    let response = match asked.await {
        Ok(GroupResponse::Heartbeat(response)) => response,
        Ok(other) => unreachable!("the response to Heartbeat is not {other:?}"),
        // As in Kafka: nobody is thrown out while groups are loaded, and members need not be told to wait for that.
        Err(ErrorCode::CoordinatorLoadInProgress) => HeartbeatResponse::default(),
        Err(error) => HeartbeatResponse {
            error_code: error.code(),
            ..HeartbeatResponse::default()
        },
    };
    broker.metrics.errors(ApiKey::Heartbeat, [response.error_code]);
    response
}
