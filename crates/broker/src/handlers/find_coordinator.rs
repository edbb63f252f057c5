//! FindCoordinator: which broker a group talks to. The first call creates the topic that groups are kept in; until that is done the answer is
//! `COORDINATOR_NOT_AVAILABLE`, and clients ask again.

use std::sync::Arc;

use dohle_protocol::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::dispatch::RequestContext;
use crate::state::BrokerState;

/// From this version on a request names many groups.
const BATCHES_FROM: i16 = 4;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let key_type = request.key_type;
    if ctx.api_version >= BATCHES_FROM {
        let keys = request.coordinator_keys.into_iter();
        return FindCoordinatorResponse {
            coordinators: keys.map(|key| find(broker, ctx, key_type, key)).collect(),
            ..FindCoordinatorResponse::default()
        };
    }
    let found = find(broker, ctx, key_type, request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        // As in Kafka: the older versions say that there is no error.
        error_message: Some(match ErrorCode::from_code(found.error_code) {
            ErrorCode::None => ErrorCode::None.name().to_string(),
            error => error.message().to_string(),
        }),
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..FindCoordinatorResponse::default()
    }
}

fn find(broker: &Arc<BrokerState>, ctx: &RequestContext, key_type: i8, key: String) -> Coordinator {
    let found = match key_type {
        GROUP => broker.groups.coordinator_of(broker, &key, &ctx.connection),
        // There are no transactions yet: refused for good, as in InitProducerId, not with a code on which clients try again.
        TRANSACTION => Err(ErrorCode::UnsupportedVersion),
        _ => Err(ErrorCode::InvalidRequest),
    };
    match found {
        Ok((id, endpoint)) => Coordinator {
            key,
            node_id: id.0,
            host: endpoint.host,
            port: endpoint.port.into(),
            error_message: Some(String::new()),
            ..Coordinator::default()
        },
        Err(error) => {
            broker.metrics.error(ApiKey::FindCoordinator, error);
            let is_expected = error == ErrorCode::CoordinatorNotAvailable;
            Coordinator {
                key,
                node_id: -1,
                port: -1,
                error_code: error.code(),
                error_message: Some(if is_expected { String::new() } else { error.message().to_string() }),
                ..Coordinator::default()
            }
        }
    }
}
