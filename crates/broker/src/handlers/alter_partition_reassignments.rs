//! AlterPartitionReassignments: begins to move replicas, or stops; decided by the controller. It is answered when the move has begun.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::alter_partition_reassignments::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    _ctx: &RequestContext,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let timeout = controller::timeout(request.timeout_ms);
    let response = match controller::change(broker, ControllerRequest::AlterPartitionReassignments(request), timeout).await {
        Ok(ControllerReply::AlterPartitionReassignments(response)) => response,
        Ok(other) => unreachable!("the reply to AlterPartitionReassignments is not {other:?}"),
        Err(refusal) => AlterPartitionReassignmentsResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..AlterPartitionReassignmentsResponse::default()
        },
    };
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let errors = partitions.map(|result| result.error_code).chain([response.error_code]);
    broker.metrics.errors(ApiKey::AlterPartitionReassignments, errors);
    response
}
