//! CreatePartitions: decided by the controller; answered when the new partitions can be written to on this broker.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopicResult};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let timeout = controller::timeout(request.timeout_ms);
    let refusal = match controller::change(broker, ControllerRequest::CreatePartitions(request), timeout).await {
        Ok(ControllerReply::CreatePartitions(response)) => return response,
        Ok(other) => unreachable!("the reply to CreatePartitions is not {other:?}"),
        Err(refusal) => refusal,
    };
    let refused = names.into_iter().map(|name| CreatePartitionsTopicResult {
        name,
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..CreatePartitionsTopicResult::default()
    });
    CreatePartitionsResponse {
        results: refused.collect(),
        ..CreatePartitionsResponse::default()
    }
}
