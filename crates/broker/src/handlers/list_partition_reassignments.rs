//! ListPartitionReassignments: which replicas are on the move, as the controller sees it. While there is none, as this broker knows it.

use std::sync::Arc;

use dohle_metadata::controller::reassignments::list_reassignments;
use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::messages::list_partition_reassignments::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::limits::CONTROLLER_TIMEOUT_MIN;
use crate::state::BrokerState;

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    _ctx: &RequestContext,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let asked = ControllerRequest::ListPartitionReassignments(request.clone());
    match controller::change(broker, asked, CONTROLLER_TIMEOUT_MIN).await {
        Ok(ControllerReply::ListPartitionReassignments(response)) => response,
        Ok(other) => unreachable!("the reply to ListPartitionReassignments is not {other:?}"),
        Err(_) => list_reassignments(&broker.quorum.image(), &request),
    }
}
