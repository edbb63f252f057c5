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
        let dialled = connection.local_addr;
        return Some(Endpoint {
            host: dialled.ip().to_canonical().to_string(),
            port: dialled.port(),
        });
    }
    Some(Endpoint {
        host: registered.host.clone(),
        port: registered.port,
    })
}

/// `host:port` by which other nodes reach a broker; `None`: it is not registered, or has not said where it is.
pub(crate) fn inter_broker(image: &ClusterImage, config: &NodeConfig, id: BrokerId) -> Option<String> {
    let broker = image.broker(id)?;
    // Its own file may name the listener otherwise than ours.
    let registered = broker.endpoint(&config.listeners.inter_broker).or(broker.endpoints.first())?;
    let (host, port) = (registered.host.clone(), registered.port);
    (!host.is_empty()).then(|| Endpoint { host, port }.to_string())
}
