//! CreateTopics: decided by the controller; answered when the new partitions can be written to on this broker.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::messages::create_topics::{CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let timeout = controller::timeout(request.timeout_ms);
    let refusal = match controller::change(broker, ControllerRequest::CreateTopics(request), timeout).await {
        Ok(ControllerReply::CreateTopics(response)) => return response,
        Ok(other) => unreachable!("the reply to CreateTopics is not {other:?}"),
        Err(refusal) => refusal,
    };
    let refused = names.into_iter().map(|name| CreatableTopicResult {
        name,
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..CreatableTopicResult::default()
    });
    CreateTopicsResponse {
        topics: refused.collect(),
        ..CreateTopicsResponse::default()
    }
}
