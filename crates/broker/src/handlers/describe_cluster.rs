//! DescribeCluster: the brokers, or the controllers, and what the client may do.

use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_cluster::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse};

use crate::cluster::endpoints;
use crate::dispatch::RequestContext;
use crate::handlers::authorized_operations;
use crate::state::BrokerState;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let (error, message) = match request.endpoint_type {
        BROKERS => (ErrorCode::None, None),
        // Kafka answers so too on a listener for clients.
        CONTROLLERS => (
            ErrorCode::MismatchedEndpointType,
            Some("controllers are described by a listener of the controller".to_string()),
        ),
        other => (
            ErrorCode::UnsupportedEndpointType,
            Some(format!("there is no endpoint type {other}")),
        ),
    };
    if error != ErrorCode::None {
        return DescribeClusterResponse {
            error_code: error.code(),
            error_message: message,
            ..DescribeClusterResponse::default()
        };
    }
    let image = broker.quorum.image();
    let listed = image
        .brokers()
        .iter()
        .filter(|registered| !registered.fenced || request.include_fenced_brokers);
    let brokers = listed.filter_map(|registered| {
        let endpoint = endpoints::reached_by(registered, &ctx.connection)?;
        Some(DescribeClusterBroker {
            broker_id: registered.id.0,
            host: endpoint.host,
            port: endpoint.port.into(),
            rack: registered.rack.clone(),
            is_fenced: registered.fenced,
            ..DescribeClusterBroker::default()
        })
    });
    DescribeClusterResponse {
        endpoint_type: request.endpoint_type,
        cluster_id: broker.cluster_id.to_string(),
        controller_id: broker.config.node_id,
        brokers: brokers.collect(),
        cluster_authorized_operations: authorized_operations::cluster(request.include_cluster_authorized_operations),
        ..DescribeClusterResponse::default()
    }
}
