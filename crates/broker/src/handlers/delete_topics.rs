//! DeleteTopics: decided by the controller; answered when the partitions are gone from this broker. Versions 1 to 5 name topics in a list
//! of names, version 6 by name or id.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::messages::delete_topics::{DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse};
use dohle_protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = request.topic_names.iter().map(|name| (Some(name.clone()), Uuid::nil()));
    let named: Vec<_> = by_name
        .chain(request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id)))
        .collect();
    let timeout = controller::timeout(request.timeout_ms);
    let outcome = if broker.settings.load().delete_topics {
        controller::change(broker, ControllerRequest::DeleteTopics(request), timeout).await
    } else {
        let code = if ctx.api_version < 3 {
            ErrorCode::InvalidRequest
        } else {
            ErrorCode::TopicDeletionDisabled
        };
        Err(Refusal::new(code, "delete.topic.enable is false"))
    };
    let response = match outcome {
        Ok(ControllerReply::DeleteTopics(response)) => response,
        Ok(other) => unreachable!("the reply to DeleteTopics is not {other:?}"),
        Err(refusal) => refused(named, &refusal),
    };
    broker
        .metrics
        .errors(ApiKey::DeleteTopics, response.responses.iter().map(|result| result.error_code));
    response
}

fn refused(named: Vec<(Option<String>, Uuid)>, refusal: &Refusal) -> DeleteTopicsResponse {
    let results = named.into_iter().map(|(name, topic_id)| DeletableTopicResult {
        name,
        topic_id,
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..DeletableTopicResult::default()
    });
    DeleteTopicsResponse {
        responses: results.collect(),
        ..DeleteTopicsResponse::default()
    }
}
