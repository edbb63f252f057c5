//! UnregisterBroker: a broker will not come back; its replicas count no more where there are others.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::limits::CONTROLLER_TIMEOUT_UNSAID;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
    let outcome = match controller::change(broker, ControllerRequest::UnregisterBroker(request), CONTROLLER_TIMEOUT_UNSAID).await {
        Ok(ControllerReply::UnregisterBroker(outcome)) => outcome,
        Ok(other) => unreachable!("the reply to UnregisterBroker is not {other:?}"),
        Err(refusal) => Err(refusal),
    };
    let response = match outcome {
        Ok(()) => UnregisterBrokerResponse::default(),
        Err(refusal) => UnregisterBrokerResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..UnregisterBrokerResponse::default()
        },
    };
    broker.metrics.errors(ApiKey::UnregisterBroker, [response.error_code]);
    response
}
