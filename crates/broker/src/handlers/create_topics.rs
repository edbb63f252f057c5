//! CreateTopics: decided by the controller; answered when the new partitions can be written to on this broker.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::create_topics::{CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let named = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let timeout = controller::timeout(request.timeout_ms);
    let response = match controller::change(broker, ControllerRequest::CreateTopics(request), timeout).await {
        Ok(ControllerReply::CreateTopics(response)) => response,
        Ok(other) => unreachable!("the reply to CreateTopics is not {other:?}"),
        Err(refusal) => refused(named, &refusal),
    };
    broker
        .metrics
        .errors(ApiKey::CreateTopics, response.topics.iter().map(|result| result.error_code));
    response
}

fn refused(named: Vec<String>, refusal: &Refusal) -> CreateTopicsResponse {
    let results = named.into_iter().map(|name| CreatableTopicResult {
        name,
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..CreatableTopicResult::default()
    });
    CreateTopicsResponse {
        topics: results.collect(),
        ..CreateTopicsResponse::default()
    }
}
