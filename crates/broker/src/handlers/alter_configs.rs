//! AlterConfigs: replaces the whole configuration of topics and brokers; decided by the controller, answered when it is in effect here.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::alter_configs::{AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::limits::CONTROLLER_TIMEOUT_UNSAID;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let named = request
        .resources
        .iter()
        .map(|resource| (resource.resource_type, resource.resource_name.clone()))
        .collect();
    let response = match controller::change(broker, ControllerRequest::AlterConfigs(request), CONTROLLER_TIMEOUT_UNSAID).await {
        Ok(ControllerReply::AlterConfigs(response)) => response,
        Ok(other) => unreachable!("the reply to AlterConfigs is not {other:?}"),
        Err(refusal) => refused(named, &refusal),
    };
    broker
        .metrics
        .errors(ApiKey::AlterConfigs, response.responses.iter().map(|result| result.error_code));
    response
}

fn refused(named: Vec<(i8, String)>, refusal: &Refusal) -> AlterConfigsResponse {
    let results = named
        .into_iter()
        .map(|(resource_type, resource_name)| AlterConfigsResourceResponse {
            resource_type,
            resource_name,
            error_code: refusal.code.code(),
            error_message: Some(refusal.message.clone()),
            ..AlterConfigsResourceResponse::default()
        });
    AlterConfigsResponse {
        responses: results.collect(),
        ..AlterConfigsResponse::default()
    }
}
