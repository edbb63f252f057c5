//! Who asks, as groups record it.

use std::net::{IpAddr, SocketAddr};

use dohle_coordinator::Caller;

use crate::dispatch::RequestContext;

/// The client of a request that makes it a member: its name and address are shown by tools.
pub(crate) fn named(ctx: &RequestContext) -> Caller {
    Caller {
        client_id: ctx.client_id.clone().unwrap_or_default(),
        client_host: host(ctx.connection.peer_addr),
        api_version: ctx.api_version,
    }
}

/// The client of any other request.
pub(crate) fn anonymous(ctx: &RequestContext) -> Caller {
    Caller {
        client_id: String::new(),
        client_host: String::new(),
        api_version: ctx.api_version,
    }
}

/// As Java prints an address, which is what tools show beside members of Kafka's coordinator.
fn host(address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => format!("/{ip}"),
        IpAddr::V6(ip) => {
            let groups: Vec<String> = ip.segments().iter().map(|group| format!("{group:x}")).collect();
            format!("/{}", groups.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_printed_as_java_does() {
        assert_eq!(host("127.0.0.1:1".parse().unwrap()), "/127.0.0.1");
        assert_eq!(host("[::ffff:10.0.0.1]:1".parse().unwrap()), "/10.0.0.1");
        assert_eq!(host("[::1]:1".parse().unwrap()), "/0:0:0:0:0:0:0:1");
    }
}
