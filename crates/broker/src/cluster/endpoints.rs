//! Where a broker is reached: by clients through the listener they came by, and, if nothing is advertised, at the address they dialled;
//! by other brokers through the listener that is theirs.

use dohle_metadata::image::ClusterImage;
use dohle_metadata::image::brokers::BrokerImage;
use dohle_protocol::id::BrokerId;

use crate::config::{Endpoint, NodeConfig};
use crate::dispatch::ConnectionInfo;

/// `None`: the broker has no listener of that name.
pub(crate) fn reached_by(broker: &BrokerImage, connection: &ConnectionInfo) -> Option<Endpoint> {
    let registered = broker.endpoint(&connection.listener.name)?;
    if registered.host.is_empty() {
        return Some(dialled(connection));
    }
    Some(Endpoint {
        host: registered.host.clone(),
        port: registered.port,
    })
}

/// The address of this node that a client has dialled.
pub(crate) fn dialled(connection: &ConnectionInfo) -> Endpoint {
    let address = connection.local_addr;
    Endpoint {
        host: address.ip().to_canonical().to_string(),
        port: address.port(),
    }
}

/// `host:port` by which other nodes reach a broker; `None`: it is not registered, or has not said where it is.
pub(crate) fn inter_broker(image: &ClusterImage, config: &NodeConfig, id: BrokerId) -> Option<String> {
    let broker = image.broker(id)?;
    // Its own file may name the listener otherwise than ours.
    let registered = broker.endpoint(&config.listeners.inter_broker).or(broker.endpoints.first())?;
    let (host, port) = (registered.host.clone(), registered.port);
    (!host.is_empty()).then(|| Endpoint { host, port }.to_string())
}
