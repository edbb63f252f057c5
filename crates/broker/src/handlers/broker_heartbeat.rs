//! BrokerHeartbeat: a broker is there. When the connection by which it said so breaks, the controller looks what has become of it.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest, brokers};
use dohle_protocol::id::BrokerId;
use dohle_protocol::messages::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: BrokerHeartbeatRequest) -> BrokerHeartbeatResponse {
    let process = (BrokerId(request.broker_id), request.broker_epoch);
    let outcome = match controller::decide_here(broker, ControllerRequest::BrokerHeartbeat(request)).await {
        Ok(ControllerReply::BrokerHeartbeat(outcome)) => outcome,
        Ok(other) => unreachable!("the reply to BrokerHeartbeat is not {other:?}"),
        Err(refusal) => Err(refusal),
    };
    if outcome.is_ok() {
        *ctx.connection.heard_of.lock() = Some(process);
        broker.suspicion.is_alive(process.0);
    }
    brokers::heartbeat_response(&outcome)
}
