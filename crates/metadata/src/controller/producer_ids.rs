//! Giving away producer ids, in blocks, each once.

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, ProducerId};

use super::brokers::check_epoch;
use super::draft::Draft;
use super::refusal::Refusal;
use crate::limits::PRODUCER_IDS_PER_BLOCK;
use crate::record::ProducerIdsRecord;

/// A registered broker needs more ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdsRequest {
    pub broker_id: BrokerId,
    pub broker_epoch: i64,
}

/// Ids that belong to one broker from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: ProducerId,
    pub len: i64,
}

pub(super) fn allocate(draft: &mut Draft, request: ProducerIdsRequest) -> Result<ProducerIdBlock, Refusal> {
    check_epoch(draft.image(), request.broker_id, request.broker_epoch)?;
    let first = draft.image().next_producer_id();
    let next_producer_id = first.0.checked_add(PRODUCER_IDS_PER_BLOCK).ok_or_else(|| {
        let message = "All producer ids are given away.";
        Refusal::new(ErrorCode::UnknownServerError, message)
    })?;
    let (broker_id, broker_epoch) = (request.broker_id.0, request.broker_epoch);
    draft.push(ProducerIdsRecord {
        broker_id,
        broker_epoch,
        next_producer_id,
        ..Default::default()
    });
    Ok(ProducerIdBlock {
        first,
        len: PRODUCER_IDS_PER_BLOCK,
    })
}
