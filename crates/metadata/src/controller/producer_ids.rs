//! Giving away producer ids, in blocks, each once.

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, ProducerId};
use dohle_protocol::messages::allocate_producer_ids::AllocateProducerIdsRequest;

use super::brokers::registered;
use super::draft::Draft;
use super::refusal::Refusal;
use crate::limits::PRODUCER_IDS_PER_BLOCK;
use crate::record::ProducerIdsRecord;

/// Ids that belong to one broker from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: ProducerId,
    pub len: i64,
}

pub(super) fn allocate(draft: &mut Draft, request: &AllocateProducerIdsRequest) -> Result<ProducerIdBlock, Refusal> {
    registered(draft.image(), BrokerId(request.broker_id), request.broker_epoch)?;
    let first = draft.image().next_producer_id();
    let next_producer_id = first.0.checked_add(PRODUCER_IDS_PER_BLOCK).ok_or_else(|| {
        let message = "All producer ids are given away.";
        Refusal::new(ErrorCode::UnknownServerError, message)
    })?;
    draft.push(ProducerIdsRecord {
        broker_id: request.broker_id,
        broker_epoch: request.broker_epoch,
        next_producer_id,
        ..Default::default()
    });
    Ok(ProducerIdBlock {
        first,
        len: PRODUCER_IDS_PER_BLOCK,
    })
}
