//! Joining the cluster at the start, and leaving it in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dohle_metadata::controller::{Controller, ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::id::BrokerId;
use dohle_protocol::messages::broker_heartbeat::BrokerHeartbeatRequest;
use dohle_protocol::messages::broker_registration::{BrokerRegistrationRequest, Listener};
use dohle_quorum::{Quorum, SubmitError};
use uuid::Uuid;

use crate::config::{self, NodeConfig};
use crate::net::listener::BoundListener;
use crate::state::BrokerState;

/// This broker cannot be part of the cluster.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    #[error("the controller refuses this broker: {0}")]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Quorum(#[from] SubmitError),
}

/// The controller of this node.
pub(crate) fn controller(config: &NodeConfig) -> Controller {
    let file: BTreeMap<String, String> = config.values.as_map().clone();
    Controller {
        file,
        broker_keys: config::BROKER_KEYS.to_vec(),
        ..Controller::new(BrokerId(config.node_id))
    }
}

/// Registers this broker; returns the epoch of the registration. The broker is fenced until [`unfence`].
pub(crate) async fn join(
    quorum: &Quorum,
    config: &NodeConfig,
    cluster_id: &str,
    bound: &[BoundListener],
) -> Result<i64, RegistrationError> {
    let listeners = bound.iter().map(|bound| {
        let listener = &bound.listener;
        let port = bound.addresses().first().map_or(0, SocketAddr::port);
        // Without a host, clients are told the address that they dialled.
        let (host, port) = listener
            .advertised
            .as_ref()
            .map_or((String::new(), port), |told| (told.host.clone(), told.port));
        Listener {
            name: listener.name.clone(),
            host,
            port,
            ..Listener::default()
        }
    });
    // The controller has fenced whoever ended in order.
    let previous = quorum
        .image()
        .broker(BrokerId(config.node_id))
        .filter(|broker| broker.fenced)
        .cloned();
    let registration = BrokerRegistrationRequest {
        broker_id: config.node_id,
        incarnation_id: Uuid::new_v4(),
        cluster_id: cluster_id.to_string(),
        listeners: listeners.collect(),
        rack: config.rack.clone(),
        previous_broker_epoch: previous.map_or(-1, |broker| broker.epoch),
        ..BrokerRegistrationRequest::default()
    };
    let reply = quorum.submit(ControllerRequest::RegisterBroker(registration)).await?;
    let ControllerReply::RegisterBroker(epoch) = reply else {
        unreachable!("the reply to RegisterBroker is not {reply:?}")
    };
    Ok(epoch?)
}

/// This broker holds what it is assigned, and may lead. When this returns it leads, and its logs can be read to their ends.
pub(crate) async fn unfence(broker: &Arc<BrokerState>) -> Result<(), RegistrationError> {
    heartbeat(broker, false).await?;
    broker.carried_out.reaches(broker.quorum.version().offset).await;
    let settling = Arc::clone(broker);
    if let Err(error) = tokio::task::spawn_blocking(move || settling.replicas.settle()).await {
        tracing::error!(%error, "the logs could not be made ready");
    }
    Ok(())
}

/// This broker is about to stop.
pub(crate) async fn leave(broker: &BrokerState) {
    if let Err(error) = heartbeat(broker, true).await {
        tracing::warn!("the controller could not be told that this broker stops: {error}");
    }
}

async fn heartbeat(broker: &BrokerState, want_shut_down: bool) -> Result<(), RegistrationError> {
    let heartbeat = BrokerHeartbeatRequest {
        broker_id: broker.config.node_id,
        broker_epoch: broker.broker_epoch(),
        current_metadata_offset: broker.quorum.version().offset.0,
        want_shut_down,
        ..BrokerHeartbeatRequest::default()
    };
    let reply = broker.quorum.submit(ControllerRequest::BrokerHeartbeat(heartbeat)).await?;
    let ControllerReply::BrokerHeartbeat(state) = reply else {
        unreachable!("the reply to BrokerHeartbeat is not {reply:?}")
    };
    state?;
    Ok(())
}
