//! ListPartitionReassignments: which replicas are on the move, as the controller sees it.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::list_partition_reassignments::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    _ctx: &RequestContext,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let timeout = controller::timeout(request.timeout_ms);
    let response = match controller::change(broker, ControllerRequest::ListPartitionReassignments(request), timeout).await {
        Ok(ControllerReply::ListPartitionReassignments(response)) => response,
        Ok(other) => unreachable!("the reply to ListPartitionReassignments is not {other:?}"),
        Err(refusal) => ListPartitionReassignmentsResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..ListPartitionReassignmentsResponse::default()
        },
    };
    broker.metrics.errors(ApiKey::ListPartitionReassignments, [response.error_code]);
    response
}
