//! AlterPartition: the leader of partitions proposes who is in sync, by asking the controller itself.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::messages::alter_partition::{AlterPartitionRequest, AlterPartitionResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: AlterPartitionRequest) -> AlterPartitionResponse {
    match controller::decide_here(broker, ControllerRequest::AlterPartition(request)).await {
        Ok(ControllerReply::AlterPartition(response)) => response,
        Ok(other) => unreachable!("the reply to AlterPartition is not {other:?}"),
        Err(refusal) => AlterPartitionResponse {
            error_code: refusal.code.code(),
            ..AlterPartitionResponse::default()
        },
    }
}
