//! DescribeCluster: the brokers, or the controllers, and what the client may do.

use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_cluster::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse};

use crate::cluster::endpoints;
use crate::dispatch::RequestContext;
use crate::handlers::authorized_operations;
use crate::handlers::describe_quorum::address_of;
use crate::state::BrokerState;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let is_controller = ctx.connection.listener.is_controller;
    let (error, message) = match request.endpoint_type {
        BROKERS if !is_controller => (ErrorCode::None, None),
        CONTROLLERS if is_controller => return controllers(broker, ctx, &request),
        BROKERS => (
            ErrorCode::MismatchedEndpointType,
            Some("brokers are described by a listener for clients".to_string()),
        ),
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
        cluster_id: broker.cluster_id(),
        controller_id: broker.config.node_id,
        brokers: brokers.collect(),
        cluster_authorized_operations: authorized_operations::cluster(request.include_cluster_authorized_operations),
        ..DescribeClusterResponse::default()
    }
}

/// The voters of the metadata quorum, by the listeners through which they reach each other.
fn controllers(broker: &BrokerState, ctx: &RequestContext, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let status = broker.quorum.status();
    let voters = status.voters.iter().map(|voter| {
        // One that votes alone may not have been told its own address.
        let endpoint = address_of(voter).unwrap_or_else(|| endpoints::dialled(&ctx.connection));
        DescribeClusterBroker {
            broker_id: voter.node_id as i32,
            host: endpoint.host,
            port: endpoint.port.into(),
            ..DescribeClusterBroker::default()
        }
    });
    DescribeClusterResponse {
        endpoint_type: CONTROLLERS,
        cluster_id: broker.cluster_id(),
        controller_id: status.leader.map_or(-1, |leader| leader as i32),
        brokers: voters.collect(),
        cluster_authorized_operations: authorized_operations::cluster(request.include_cluster_authorized_operations),
        ..DescribeClusterResponse::default()
    }
}
