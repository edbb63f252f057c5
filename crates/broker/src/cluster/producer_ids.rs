//! Producer ids for idempotent producers: the controller gives them away in blocks, each id once for ever.

use dohle_metadata::controller::producer_ids::ProducerIdBlock;
use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::ErrorCode;
use dohle_protocol::id::ProducerId;
use dohle_protocol::messages::allocate_producer_ids::AllocateProducerIdsRequest;
use tokio::sync::Mutex;

use crate::cluster::controller;
use crate::limits::CONTROLLER_TIMEOUT_UNSAID;
use crate::state::BrokerState;

/// What is left of the last block.
#[derive(Debug)]
pub(crate) struct ProducerIds(Mutex<ProducerIdBlock>);

impl ProducerIds {
    pub(crate) fn new() -> ProducerIds {
        ProducerIds(Mutex::new(ProducerIdBlock {
            first: ProducerId(0),
            len: 0,
        }))
    }

    /// An id that nobody has had before. What is left of a block when the broker stops is never used.
    pub(crate) async fn next(&self, broker: &BrokerState) -> Result<ProducerId, ErrorCode> {
        // Held while the controller is asked: whoever else needs an id waits for the same block.
        let mut block = self.0.lock().await;
        if block.len == 0 {
            let request = AllocateProducerIdsRequest {
                broker_id: broker.config.node_id,
                broker_epoch: broker.broker_epoch(),
                ..AllocateProducerIdsRequest::default()
            };
            *block = allocate(broker, request).await.map_err(|refusal| {
                tracing::warn!("no producer ids: {refusal}");
                // Clients ask again.
                ErrorCode::CoordinatorLoadInProgress
            })?;
        }
        let id = block.first;
        *block = ProducerIdBlock {
            first: ProducerId(id.0 + 1),
            len: block.len - 1,
        };
        Ok(id)
    }
}

async fn allocate(broker: &BrokerState, request: AllocateProducerIdsRequest) -> Result<ProducerIdBlock, Refusal> {
    match controller::change(broker, ControllerRequest::AllocateProducerIds(request), CONTROLLER_TIMEOUT_UNSAID).await? {
        ControllerReply::AllocateProducerIds(allocated) => allocated,
        other => unreachable!("the reply to AllocateProducerIds is not {other:?}"),
    }
}
