//! AllocateProducerIds: a broker needs more producer ids, and asks the controller itself.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::messages::allocate_producer_ids::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};

use crate::cluster::{controller, forwarding};
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    _ctx: &RequestContext,
    request: AllocateProducerIdsRequest,
) -> AllocateProducerIdsResponse {
    let outcome = match controller::decide_here(broker, ControllerRequest::AllocateProducerIds(request)).await {
        Ok(ControllerReply::AllocateProducerIds(outcome)) => outcome,
        Ok(other) => unreachable!("the reply to AllocateProducerIds is not {other:?}"),
        Err(refusal) => Err(refusal),
    };
    forwarding::allocated(&outcome)
}
