//! Where a controller is reached, as its `server.properties` say.

use anyhow::Context;
use dohle_client::Properties;
use dohle_protocol::messages::add_raft_voter::Listener;

/// As advertised, or else where it listens, in the order of `controller.listener.names`.
pub(crate) fn controller_listeners(properties: &Properties) -> anyhow::Result<Vec<Listener>> {
    let mut known = Vec::new();
    for key in ["advertised.listeners", "listeners"] {
        for text in list(properties.get(key).unwrap_or_default()) {
            known.push(parse_listener(text).with_context(|| format!("{key}: {text} is not NAME://HOST:PORT"))?);
        }
    }
    let names = properties.get("controller.listener.names").unwrap_or("CONTROLLER");
    let find = |name: &str| {
        let name = name.to_uppercase();
        let found = known.iter().find(|listener| listener.name == name).cloned();
        found.with_context(|| format!("Cannot find information about controller listener name: {name}"))
    };
    list(names).map(find).collect()
}

fn parse_listener(text: &str) -> Option<Listener> {
    let (name, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(Listener {
        name: name.to_uppercase(),
        host: if host.is_empty() { "localhost" } else { host }.to_owned(),
        port: port.parse().ok()?,
        ..Default::default()
    })
}

/// The items between commas.
pub(crate) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn address(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
