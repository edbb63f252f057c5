//! Who votes on the metadata, as far as this node is told when the quorum is formed, and who of them is missing when nothing can be decided.

use std::fmt::Write;
use std::net::UdpSocket;
use std::sync::Arc;

use dohle_quorum::Role;
use dohle_storage::{Disk, initial_controllers};

use crate::config::{Endpoint, Listener, NodeConfig, Voters, parse_voters};
use crate::limits;
use crate::net::listener::BoundListener;
use crate::state::BrokerState;

/// What this node is to the quorum, and what it knows of the others before it has asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Voting {
    pub(crate) role: Role,
    pub(crate) voters: Voters,
    pub(crate) bootstrap: Vec<String>,
}

/// What the directory was formatted with does not fit this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VotersError(String);

impl Voting {
    /// A controller that is told of nobody else votes alone.
    pub(crate) fn of(config: &NodeConfig, disk: &dyn Disk, controllers: &[BoundListener]) -> Result<Voting, VotersError> {
        let bootstrap = config.quorum.bootstrap.iter().map(Endpoint::to_string).collect();
        let voters = config.quorum.voters.clone();
        if !config.roles.controller {
            let role = Role::Observer;
            return Ok(Voting { role, voters, bootstrap });
        }
        let told = if voters.is_empty() {
            formatted(config, disk)?
        } else {
            Some(voters)
        };
        let voters = match told {
            Some(voters) => voters,
            None if is_told_of_others(config) => Voters::new(),
            None => Voters::from([(config.quorum_id(), own_address(config, controllers))]),
        };
        let role = Role::Voter;
        Ok(Voting { role, voters, bootstrap })
    }

    /// Nobody else votes.
    pub(crate) fn is_alone(&self) -> bool {
        self.role == Role::Voter && self.voters.len() == 1
    }
}

/// The voters that the first directory was formatted with.
fn formatted(config: &NodeConfig, disk: &dyn Disk) -> Result<Option<Voters>, VotersError> {
    let dir = &config.log_dirs[0];
    let read = initial_controllers::read(disk, dir).map_err(|error| VotersError(format!("{}: {error}", dir.display())))?;
    let Some(text) = read else { return Ok(None) };
    let wrong = |what: &str| {
        VotersError(format!(
            "{} was formatted with the initial controllers {text}: {what}",
            dir.display()
        ))
    };
    let voters = parse_voters(&text).ok_or_else(|| wrong("this is not ID@HOST:PORT,..."))?;
    if !voters.contains_key(&config.quorum_id()) {
        return Err(wrong(&format!(
            "this node is {} and has the role controller, but is not among them",
            config.node_id
        )));
    }
    if voters.len() > 1 && config.listeners.controllers.is_empty() {
        return Err(wrong(
            "the others cannot reach this node, because it has no listener of the controller",
        ));
    }
    Ok(Some(voters))
}

/// Whether the servers to ask are others than this node.
fn is_told_of_others(config: &NodeConfig) -> bool {
    let controllers = &config.listeners.controllers;
    match config.quorum.bootstrap.as_slice() {
        [] => false,
        [only] => {
            let is_own_port = |listener: &Listener| {
                let advertised = listener.advertised.as_ref();
                listener.bind.port == only.port || advertised.is_some_and(|endpoint| endpoint.port == only.port)
            };
            let is_this_node = controllers.iter().any(is_own_port) && is_of_this_machine(only);
            !controllers.is_empty() && !is_this_node
        }
        _ => true,
    }
}

/// Only an address of this machine can be bound.
fn is_of_this_machine(endpoint: &Endpoint) -> bool {
    let addresses = endpoint.socket_addresses().unwrap_or_default();
    addresses.iter().any(|address| UdpSocket::bind((address.ip(), 0)).is_ok())
}

/// Where other nodes reach the controller of this one; empty if they cannot.
fn own_address(config: &NodeConfig, controllers: &[BoundListener]) -> String {
    let Some(bound) = controllers.first() else {
        return String::new();
    };
    match (&bound.listener.advertised, config.quorum.bootstrap.first()) {
        (Some(advertised), _) => advertised.to_string(),
        (None, Some(server)) => server.to_string(),
        (None, None) => bound.reachable().to_string(),
    }
}

/// Says who is missing, for as long as the other future takes.
pub(crate) async fn waiting<T>(broker: &Arc<BrokerState>, what: impl Future<Output = T>) -> T {
    let mut what = std::pin::pin!(what);
    loop {
        match tokio::time::timeout(limits::WAITING_SAID_EVERY, &mut what).await {
            Ok(done) => return done,
            Err(_) => tracing::warn!("waiting: {}", why_no_controller(broker)),
        }
    }
}

/// Why nobody decides.
pub(crate) fn why_no_controller(broker: &BrokerState) -> String {
    if let Some(missing) = missing(broker) {
        return format!("there is no active controller. {missing}");
    }
    match broker.quorum.leader() {
        Some(leader) => format!("the controller, node {} at {}, does not answer", leader.node_id, leader.address),
        None => "there is no active controller (yet)".to_owned(),
    }
}

/// Which voters cannot be reached from this node; `None` if there is nothing to complain about.
pub(crate) fn missing(broker: &BrokerState) -> Option<String> {
    let me = broker.config.quorum_id();
    let status = broker.quorum.status();
    let known = status.voters.into_iter().map(|voter| (voter.node_id, voter.address));
    let mut voters: Voters = known.collect();
    if voters.is_empty() {
        voters = broker.config.quorum.voters.clone();
    }
    if voters.is_empty() {
        return Some(nobody_known(broker));
    }
    let others = voters.iter().filter(|(id, _)| **id != me);
    let missing: Vec<String> = others
        .filter_map(|(id, address)| Some(format!("{id} ({})", broker.peers.failure(address)?)))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let (all, majority) = (voters.len(), voters.len() / 2 + 1);
    let reached = all - missing.len();
    let mut text = format!("Of {all} controllers {reached} can be reached from this node, and {majority} are a majority; missing: ");
    write!(text, "{}", missing.join(", ")).expect("a string takes any text");
    Some(text)
}

/// A node that has not heard who votes.
fn nobody_known(broker: &BrokerState) -> String {
    if broker.config.roles.controller {
        return "This controller knows no voters: it waits to be made one, by metadata-quorum add-controller".to_owned();
    }
    let servers = broker.config.quorum.bootstrap.iter().map(|server| {
        let address = server.to_string();
        let failure = broker.peers.failure(&address).unwrap_or_else(|| "no answer".to_owned());
        format!("{address} ({failure})")
    });
    let servers: Vec<String> = servers.collect();
    format!(
        "None of controller.quorum.bootstrap.servers has told who the controllers are: {}",
        servers.join(", ")
    )
}
