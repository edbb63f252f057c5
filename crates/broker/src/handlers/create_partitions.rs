//! CreatePartitions: decided by the controller; answered when the new partitions can be written to on this broker.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopicResult};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let named = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let timeout = controller::timeout(request.timeout_ms);
    let response = match controller::change(broker, ControllerRequest::CreatePartitions(request), timeout).await {
        Ok(ControllerReply::CreatePartitions(response)) => response,
        Ok(other) => unreachable!("the reply to CreatePartitions is not {other:?}"),
        Err(refusal) => refused(named, &refusal),
    };
    broker
        .metrics
        .errors(ApiKey::CreatePartitions, response.results.iter().map(|result| result.error_code));
    response
}

fn refused(named: Vec<String>, refusal: &Refusal) -> CreatePartitionsResponse {
    let results = named.into_iter().map(|name| CreatePartitionsTopicResult {
        name,
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..CreatePartitionsTopicResult::default()
    });
    CreatePartitionsResponse {
        results: results.collect(),
        ..CreatePartitionsResponse::default()
    }
}
