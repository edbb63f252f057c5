//! BrokerRegistration: a broker joins, by asking the controller itself.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest, brokers};
use dohle_protocol::messages::broker_registration::{BrokerRegistrationRequest, BrokerRegistrationResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    _ctx: &RequestContext,
    request: BrokerRegistrationRequest,
) -> BrokerRegistrationResponse {
    let outcome = match controller::decide_here(broker, ControllerRequest::RegisterBroker(request)).await {
        Ok(ControllerReply::RegisterBroker(outcome)) => outcome,
        Ok(other) => unreachable!("the reply to RegisterBroker is not {other:?}"),
        Err(refusal) => Err(refusal),
    };
    brokers::registration_response(&outcome)
}
