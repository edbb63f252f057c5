//! InitProducerId: an id for an idempotent producer.
//!
//! There are no transactions yet: a request with a transactional id is refused for good (`UNSUPPORTED_VERSION`, not a code on which clients
//! try again). A producer that names the id and epoch it had gets a new id, as from Kafka: only transactional ones keep theirs (KIP-360).

use std::sync::Arc;

use dohle_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let has_id = request.producer_id >= 0;
    let has_epoch = request.producer_epoch >= 0;
    let refused = match request.transactional_id.as_deref() {
        _ if has_id != has_epoch => Some(ErrorCode::InvalidRequest),
        Some("") => Some(ErrorCode::InvalidRequest),
        Some(_) => Some(ErrorCode::UnsupportedVersion),
        None => None,
    };
    let given = match refused {
        Some(error) => Err(error),
        None => broker.producer_ids.next(broker).await,
    };
    match given {
        Ok(id) => InitProducerIdResponse {
            producer_id: id.0,
            ..InitProducerIdResponse::default()
        },
        Err(error) => {
            broker.metrics.error(ApiKey::InitProducerId, error);
            InitProducerIdResponse {
                error_code: error.code(),
                producer_epoch: -1,
                ..InitProducerIdResponse::default()
            }
        }
    }
}
