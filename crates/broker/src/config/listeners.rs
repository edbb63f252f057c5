//! `listeners`, `advertised.listeners` and `listener.security.protocol.map`: parsing, and the rules among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use thiserror::Error;

use super::Roles;

/// An address as a person writes it: the host may be a name, or empty for "every interface".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    /// `HOST:PORT`, `[IPV6]:PORT` or `:PORT`.
    pub fn parse(text: &str) -> Option<Endpoint> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(bracketed) => bracketed.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        let is_host = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ':' | '%');
        host.chars().all(is_host).then_some(())?;
        Some(Endpoint {
            host: host.to_string(),
            port: port.parse().ok()?,
        })
    }

    /// What to bind. `localhost` is both loopback addresses, whatever the resolver says about it; an empty host is every interface.
    /// An IPv6 address that this machine lacks is for the caller to skip.
    pub fn socket_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        match self.host.as_str() {
            "" => Ok(vec![
                (Ipv4Addr::UNSPECIFIED, self.port).into(),
                (Ipv6Addr::UNSPECIFIED, self.port).into(),
            ]),
            "localhost" => Ok(vec![
                (Ipv4Addr::LOCALHOST, self.port).into(),
                (Ipv6Addr::LOCALHOST, self.port).into(),
            ]),
            host => {
                let resolved: BTreeSet<SocketAddr> = (host, self.port).to_socket_addrs()?.collect();
                Ok(resolved.into_iter().collect())
            }
        }
    }

    pub(crate) fn is_meta_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
    }

    /// Kafka lets two listeners share a port if one is IPv4 and the other IPv6.
    fn may_share_port_with(&self, other: &Endpoint) -> bool {
        match (self.host.parse::<IpAddr>(), other.host.parse::<IpAddr>()) {
            (Ok(mine), Ok(theirs)) => mine.is_ipv4() != theirs.is_ipv4(),
            _ => false,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A port that clients or other nodes connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Upper-case name, as in `PLAINTEXT://...`.
    pub name: String,
    pub bind: Endpoint,
    /// What is told to clients; `None`: the address that the client dialled.
    pub advertised: Option<Endpoint>,
    /// It is for controllers and those who ask them, not for clients.
    pub is_controller: bool,
}

/// The listeners of a node, checked against each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listeners {
    pub clients: Vec<Listener>,
    /// Listeners of the controller, for other nodes.
    pub controllers: Vec<Listener>,
    /// Name of the listener by which the brokers reach each other; empty on a node that is no broker, and is not told.
    pub inter_broker: String,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum ListenersError {
    #[error("{key}: \"{text}\" is not NAME://HOST:PORT")]
    NotAListener { key: &'static str, text: String },
    #[error("{key}: the name {name} is used twice")]
    DuplicateName { key: &'static str, name: String },
    #[error("listeners: {first} and {second} use the same port {port}")]
    DuplicatePort { first: String, second: String, port: u16 },
    #[error("listener.security.protocol.map: \"{text}\" is not NAME:PROTOCOL with one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL")]
    BadMapEntry { text: String },
    #[error("listener.security.protocol.map has no entry for the listener {name}")]
    NotInMap { name: String },
    #[error("listener {name} uses {protocol}, which is not supported yet; only PLAINTEXT is")]
    Unsupported { name: String, protocol: String },
    #[error("advertised.listeners names {name}, which is not one of listeners")]
    AdvertisedUnknown { name: String },
    #[error("advertised.listeners: {name} advertises {host}, which no client can connect to; give an address that can be routed")]
    AdvertisedMetaAddress { name: String, host: String },
    #[error("advertised.listeners: {name} has no host or no port; give both")]
    AdvertisedIncomplete { name: String },
    #[error("inter.broker.listener.name is {name}, which is not a listener for clients")]
    InterBrokerUnknown { name: String },
    #[error("listeners holds no listener for clients, only {controllers}")]
    NoClientListener { controllers: String },
    #[error(
        "process.roles=controller: listeners holds no listener of the controller; its names ({names}) are in controller.listener.names"
    )]
    NoControllerListener { names: String },
    #[error("process.roles=controller: {name} is a listener for clients; leave it away, or set process.roles=broker,controller")]
    ClientListenerOfController { name: String },
    #[error("process.roles=broker: {name} is a listener of the controller; leave it away, or set process.roles=broker,controller")]
    ControllerListenerOfBroker { name: String },
}

/// The texts of the keys that a node's listeners come from.
#[derive(Debug, Clone, Copy)]
pub struct ListenerKeys<'a> {
    pub roles: Roles,
    pub listeners: &'a str,
    pub advertised_listeners: Option<&'a str>,
    pub security_protocol_map: &'a str,
    pub controller_listener_names: &'a str,
    pub inter_broker_listener_name: Option<&'a str>,
}

impl Listeners {
    pub fn resolve(keys: ListenerKeys<'_>) -> Result<Listeners, ListenersError> {
        let protocols = parse_map(keys.security_protocol_map)?;
        let controller_names: BTreeSet<String> = list(keys.controller_listener_names).map(str::to_uppercase).collect();
        let bound = parse_list("listeners", keys.listeners)?;
        let mut advertised: BTreeMap<String, Endpoint> = parse_list("advertised.listeners", keys.advertised_listeners.unwrap_or_default())?
            .into_iter()
            .collect();
        check_ports(&bound)?;
        check_advertised(&advertised)?;
        let mut listeners = Listeners::default();
        for (name, bind) in bound {
            let is_controller = controller_names.contains(&name);
            match protocols.get(&name).map(String::as_str) {
                Some("PLAINTEXT") => {}
                Some(protocol) => {
                    return Err(ListenersError::Unsupported {
                        name,
                        protocol: protocol.to_string(),
                    });
                }
                None if is_controller => {}
                None => return Err(ListenersError::NotInMap { name }),
            }
            let listener = Listener {
                advertised: advertised.remove(&name),
                name,
                bind,
                is_controller,
            };
            if is_controller {
                &mut listeners.controllers
            } else {
                &mut listeners.clients
            }
            .push(listener);
        }
        // A controller listener may be advertised without being bound here, as Kafka's own sample file shows.
        if let Some(name) = advertised.into_keys().find(|name| !controller_names.contains(name)) {
            return Err(ListenersError::AdvertisedUnknown { name });
        }
        listeners.check_roles(&keys)?;
        let inter_broker = keys.inter_broker_listener_name.map(str::to_uppercase);
        listeners.inter_broker = match (inter_broker, listeners.clients.first()) {
            (Some(name), None) => name,
            (None, first) => first.map(|listener| listener.name.clone()).unwrap_or_default(),
            (Some(name), Some(_)) if listeners.clients.iter().any(|listener| listener.name == name) => name,
            (Some(name), Some(_)) => return Err(ListenersError::InterBrokerUnknown { name }),
        };
        Ok(listeners)
    }

    fn check_roles(&self, keys: &ListenerKeys<'_>) -> Result<(), ListenersError> {
        let first_name = |listeners: &[Listener]| listeners.first().map(|listener| listener.name.clone());
        let (client, controller) = (first_name(&self.clients), first_name(&self.controllers));
        match (keys.roles.broker, client, controller) {
            (false, Some(name), _) => Err(ListenersError::ClientListenerOfController { name }),
            (false, None, None) => Err(ListenersError::NoControllerListener {
                names: keys.controller_listener_names.to_string(),
            }),
            (true, _, Some(name)) if !keys.roles.controller => Err(ListenersError::ControllerListenerOfBroker { name }),
            (true, None, _) => {
                let names: Vec<&str> = self.controllers.iter().map(|listener| listener.name.as_str()).collect();
                let controllers = names.join(", ");
                Err(ListenersError::NoClientListener { controllers })
            }
            _ => Ok(()),
        }
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn parse_list(key: &'static str, text: &str) -> Result<Vec<(String, Endpoint)>, ListenersError> {
    let mut found: Vec<(String, Endpoint)> = Vec::new();
    for item in list(text) {
        let parsed = item
            .split_once("://")
            .and_then(|(name, address)| Some((name.to_uppercase(), Endpoint::parse(address)?)));
        let Some((name, endpoint)) = parsed.filter(|(name, _)| !name.is_empty()) else {
            return Err(ListenersError::NotAListener {
                key,
                text: item.to_string(),
            });
        };
        if found.iter().any(|(other, _)| *other == name) {
            return Err(ListenersError::DuplicateName { key, name });
        }
        found.push((name, endpoint));
    }
    Ok(found)
}

fn parse_map(text: &str) -> Result<BTreeMap<String, String>, ListenersError> {
    list(text)
        .map(|item| {
            let bad = || ListenersError::BadMapEntry { text: item.to_string() };
            let (name, protocol) = item.split_once(':').ok_or_else(bad)?;
            let protocol = protocol.trim().to_uppercase();
            let is_known = matches!(protocol.as_str(), "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL");
            if is_known {
                Ok((name.trim().to_uppercase(), protocol))
            } else {
                Err(bad())
            }
        })
        .collect()
}

fn check_ports(bound: &[(String, Endpoint)]) -> Result<(), ListenersError> {
    for (index, (first, one)) in bound.iter().enumerate() {
        for (second, other) in &bound[..index] {
            if one.port == other.port && one.port != 0 && !one.may_share_port_with(other) {
                return Err(ListenersError::DuplicatePort {
                    first: second.clone(),
                    second: first.clone(),
                    port: one.port,
                });
            }
        }
    }
    Ok(())
}

fn check_advertised(advertised: &BTreeMap<String, Endpoint>) -> Result<(), ListenersError> {
    for (name, endpoint) in advertised {
        if endpoint.is_meta_address() {
            return Err(ListenersError::AdvertisedMetaAddress {
                name: name.clone(),
                host: endpoint.host.clone(),
            });
        }
        if endpoint.host.is_empty() || endpoint.port == 0 {
            return Err(ListenersError::AdvertisedIncomplete { name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Roles = Roles {
        broker: true,
        controller: true,
    };
    const MAP: &str = "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT";

    fn keys<'a>(listeners: &'a str, advertised: &'a str) -> ListenerKeys<'a> {
        ListenerKeys {
            roles: BOTH,
            listeners,
            advertised_listeners: Some(advertised),
            security_protocol_map: MAP,
            controller_listener_names: "CONTROLLER",
            inter_broker_listener_name: None,
        }
    }

    fn error(keys: ListenerKeys<'_>) -> String {
        Listeners::resolve(keys).unwrap_err().to_string()
    }

    #[test]
    fn listeners_of_kafkas_sample_file() {
        let found = Listeners::resolve(keys(
            "PLAINTEXT://:9092,CONTROLLER://:9093",
            "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
        ))
        .unwrap();
        assert_eq!(found.clients.len(), 1);
        assert_eq!(
            found.clients[0].bind.socket_addresses().unwrap(),
            ["0.0.0.0:9092".parse().unwrap(), "[::]:9092".parse().unwrap()]
        );
        assert_eq!(found.clients[0].advertised, Endpoint::parse("localhost:9092"));
        assert_eq!(found.controllers[0].name, "CONTROLLER");
    }

    #[test]
    fn localhost_is_both_loopback_addresses() {
        let found = Listeners::resolve(keys("PLAINTEXT://localhost:9092", "")).unwrap();
        let addresses = found.clients[0].bind.socket_addresses().unwrap();
        assert_eq!(addresses, ["127.0.0.1:9092".parse().unwrap(), "[::1]:9092".parse().unwrap()]);
        assert_eq!(found.clients[0].advertised, None);
    }

    #[test]
    fn g4_an_address_that_cannot_be_routed_is_not_advertised() {
        assert!(error(keys("PLAINTEXT://:9092", "PLAINTEXT://0.0.0.0:9092")).contains("PLAINTEXT advertises 0.0.0.0"));
        assert!(error(keys("PLAINTEXT://:9092", "PLAINTEXT://[::]:9092")).contains("advertises ::"));
        assert!(error(keys("PLAINTEXT://:9092", "PLAINTEXT://:9092")).contains("no host"));
        assert!(error(keys("PLAINTEXT://:9092", "OTHER://a:9092")).contains("OTHER"));
    }

    #[test]
    fn g4_the_rules_among_listeners() {
        assert!(error(keys("A://:9092", "")).contains("no entry for the listener A"));
        assert!(error(keys("localhost:9092", "")).contains("is not NAME://HOST:PORT"));
        assert!(error(keys("PLAINTEXT://:99999", "")).contains("is not NAME://HOST:PORT"));
        assert!(error(keys("PLAINTEXT://:1,PLAINTEXT://:2", "")).contains("used twice"));
        assert!(error(keys("PLAINTEXT://:1,CONTROLLER://:1", "")).contains("same port 1"));
        assert!(error(keys("CONTROLLER://:1", "")).contains("no listener for clients"));
        assert!(
            error(ListenerKeys {
                security_protocol_map: "A:TLS",
                ..keys("A://:1", "")
            })
            .contains("A:TLS")
        );
        assert!(
            error(ListenerKeys {
                inter_broker_listener_name: Some("X"),
                ..keys("PLAINTEXT://:1", "")
            })
            .contains("X")
        );
        let mut shared = keys("A://127.0.0.1:1,B://[::1]:1", "");
        shared.security_protocol_map = "A:PLAINTEXT,B:PLAINTEXT";
        assert_eq!(Listeners::resolve(shared).unwrap().clients.len(), 2);
    }

    #[test]
    fn listeners_fit_the_roles() {
        let with = |broker, controller, listeners| {
            Listeners::resolve(ListenerKeys {
                roles: Roles { broker, controller },
                ..keys(listeners, "")
            })
        };
        let refused = |broker, controller, listeners| with(broker, controller, listeners).unwrap_err().to_string();
        assert_eq!(with(false, true, "CONTROLLER://:1").unwrap().controllers.len(), 1);
        assert!(refused(false, true, "PLAINTEXT://:1,CONTROLLER://:2").contains("PLAINTEXT is a listener for clients"));
        assert!(refused(false, true, "").contains("no listener of the controller"));
        assert!(refused(true, false, "PLAINTEXT://:1,CONTROLLER://:2").contains("CONTROLLER is a listener of the controller"));
        assert_eq!(
            with(true, false, "A://:1,PLAINTEXT://:2").err().map(|error| error.to_string()),
            Some("listener.security.protocol.map has no entry for the listener A".to_string())
        );
        assert_eq!(with(true, false, "PLAINTEXT://:2").unwrap().inter_broker, "PLAINTEXT");
    }

    #[test]
    fn encrypted_listeners_are_refused_with_a_reason() {
        assert!(error(keys("SSL://:9093", "")).contains("uses SSL, which is not supported yet"));
        assert!(error(keys("SASL_PLAINTEXT://:9093", "")).contains("uses SASL_PLAINTEXT, which is not supported yet"));
    }
}
