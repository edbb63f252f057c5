//! `process.roles` and the keys that say who the controllers are, with the rules among them.

use std::collections::BTreeMap;

use super::{ConfigError, Endpoint, Listeners, StaticValues, bad_value, list};

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    pub broker: bool,
    pub controller: bool,
}

/// Voters of the metadata quorum by their numbers, and where they are reached.
pub(crate) type Voters = BTreeMap<u64, String>;

/// Who the controllers are, as far as file and command line say so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct QuorumKeys {
    /// `controller.quorum.voters`; empty if it is not set.
    pub(crate) voters: Voters,
    /// `controller.quorum.bootstrap.servers`.
    pub(crate) bootstrap: Vec<Endpoint>,
}

impl Roles {
    pub(super) fn resolve(values: &StaticValues) -> Result<Roles, ConfigError> {
        let text = values.text("process.roles");
        let mut roles: Vec<&str> = list(text).collect();
        roles.sort_unstable();
        let (broker, controller) = match roles.as_slice() {
            ["broker", "controller"] => (true, true),
            ["broker"] => (true, false),
            ["controller"] => (false, true),
            _ => return Err(bad_value("process.roles", text, "broker, controller, or broker,controller")),
        };
        Ok(Roles { broker, controller })
    }
}

impl QuorumKeys {
    pub(super) fn resolve(values: &StaticValues, node_id: i32, roles: Roles, listeners: &Listeners) -> Result<QuorumKeys, ConfigError> {
        let text = values.optional("controller.quorum.voters").unwrap_or_default();
        let voters = parse_voters(text).ok_or_else(|| bad_value("controller.quorum.voters", text, "ID@HOST:PORT, each ID once"))?;
        let servers = values.optional("controller.quorum.bootstrap.servers").unwrap_or_default();
        let bootstrap: Option<Vec<Endpoint>> = list(servers).map(Endpoint::parse).collect();
        let bootstrap = bootstrap.ok_or_else(|| bad_value("controller.quorum.bootstrap.servers", servers, "HOST:PORT"))?;
        let is_voter = voters.contains_key(&(node_id as u64));
        let wrong = match roles.controller {
            true if !voters.is_empty() && !is_voter => format!(
                "controller.quorum.voters={text}: this node is {node_id} and has the role controller, but is not among the voters. Add \
                 {node_id}@HOST:PORT to the list of all nodes, or set process.roles=broker"
            ),
            true if voters.len() > 1 && listeners.controllers.is_empty() => format!(
                "controller.quorum.voters={text}: the other voters cannot reach this node, because listeners holds no listener of \
                 controller.listener.names ({}); add one",
                values.text("controller.listener.names")
            ),
            false if is_voter => format!(
                "controller.quorum.voters={text} names this node ({node_id}), which does not have the role controller. Set \
                 process.roles=broker,controller, or take it off the list of all nodes"
            ),
            false if voters.is_empty() && bootstrap.is_empty() => {
                "process.roles=broker: this node has to be told who the controllers are, \
                 by controller.quorum.voters or controller.quorum.bootstrap.servers"
                    .to_string()
            }
            _ => return Ok(QuorumKeys { voters, bootstrap }),
        };
        Err(ConfigError::Rule(wrong))
    }
}

/// `ID@HOST:PORT,...`; `None` if it is something else, or has an id twice.
pub(crate) fn parse_voters(text: &str) -> Option<Voters> {
    let mut voters = Voters::new();
    for item in list(text) {
        let (id, address) = item.split_once('@')?;
        let endpoint = Endpoint::parse(address).filter(|endpoint| !endpoint.host.is_empty())?;
        let id: u64 = id.trim().parse().ok().filter(|id| *id <= i32::MAX as u64)?;
        if voters.insert(id, endpoint.to_string()).is_some() {
            return None;
        }
    }
    Some(voters)
}
