//! Where clients reach a broker: by the listener they came through, and, if nothing is advertised, at the address they dialled.

use dohle_metadata::image::brokers::BrokerImage;

use crate::config::Endpoint;
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
