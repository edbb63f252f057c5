//! What a node is told by its `server.properties` and command line: read once, checked at once, one clear sentence for what is wrong.

pub(crate) mod docs;
mod known_keys;
mod listeners;
mod properties;
mod quorum_keys;
mod registry;
pub(crate) mod settings;

pub use docs::render_docs;
pub use listeners::{Endpoint, Listener, Listeners, ListenersError};
pub use properties::PropertiesError;
pub use quorum_keys::Roles;
pub(crate) use quorum_keys::{QuorumKeys, Voters, parse_voters};
pub(crate) use registry::{BROKER_KEYS, broker_keys_in_order};

use crate::limits::LEADER_BALANCE_INTERVAL_MAX;
use dohle_metadata::config::key::ConfigError as ValueError;
use known_keys::Known;
use listeners::ListenerKeys;
use settings::StaticValues;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// A node's configuration as far as it is fixed for the life of the process; what may change meanwhile is in [`settings`].
#[derive(Debug, Clone)]
pub struct NodeConfig {
    pub node_id: i32,
    pub roles: Roles,
    pub rack: Option<String>,
    pub listeners: Listeners,
    /// At least one. The first also holds the metadata log.
    pub log_dirs: Vec<PathBuf>,
    /// The HTTP port for `/metrics` and `/health`.
    pub metrics_listener: Option<Endpoint>,
    pub(crate) quorum: QuorumKeys,
    pub(crate) values: StaticValues,
}

/// What the command line says over the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `key=value`, in the order given.
    pub set: Vec<(String, String)>,
    /// For `log.dirs`.
    pub data_dir: Option<PathBuf>,
    /// `HOST:PORT` for `listeners`.
    pub listen: Option<String>,
}

#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Syntax { path: PathBuf, source: PropertiesError },
    #[error("{origin}: there is no configuration key {key}{}", nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default())]
    UnknownKey {
        origin: String,
        key: String,
        nearest: Option<&'static str>,
    },
    #[error("{key}={value}: it must be {allowed}")]
    BadValue {
        key: &'static str,
        value: String,
        allowed: &'static str,
    },
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Listeners(#[from] ListenersError),
    #[error("{0}")]
    Rule(String),
}

impl NodeConfig {
    /// Reads a file, if there is one, and what the command line sets over it. Also returns what a person should be warned of.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<(NodeConfig, Vec<String>), ConfigError> {
        let mut warnings = Vec::new();
        let mut texts = match file {
            Some(path) => read_file(path, &mut warnings)?,
            None => BTreeMap::new(),
        };
        for (key, value) in overrides.as_pairs() {
            if key == "listeners" && overrides.listen.is_some() {
                texts.remove("advertised.listeners");
            }
            texts.insert(key, (value, "command line".to_string()));
        }
        let mut values = BTreeMap::new();
        let mut not_acted_on = Vec::new();
        for (key, (value, origin)) in texts {
            match known_keys::look_up(&key) {
                Known::ToKafka => not_acted_on.push(key),
                Known::Here => {
                    if registry::not_acted_on(&key).is_some() {
                        not_acted_on.push(key.clone());
                    }
                    values.insert(key, value);
                }
                Known::No { nearest } => return Err(ConfigError::UnknownKey { origin, key, nearest }),
            }
        }
        if !not_acted_on.is_empty() {
            warnings.push(format!("known to Kafka, not acted on: {}", not_acted_on.join(", ")));
        }
        let config = NodeConfig::resolve(StaticValues::check(values)?)?;
        Ok((config, warnings))
    }

    /// What was given under `rest.`, without that; nothing if no REST proxy is asked for.
    pub fn rest(&self) -> Option<BTreeMap<&str, &str>> {
        self.values.optional("rest.listeners")?;
        let keys = self.values.as_map().iter().filter(|(_, value)| !value.trim().is_empty());
        Some(
            keys.filter_map(|(key, value)| Some((key.strip_prefix("rest.")?, value.trim())))
                .collect(),
        )
    }

    /// The number of this node as the quorum has it.
    pub(crate) fn quorum_id(&self) -> u64 {
        u64::try_from(self.node_id).unwrap_or_default()
    }

    /// A broker that the controller has not heard of for this long is fenced.
    pub(crate) fn broker_session_timeout(&self) -> Duration {
        self.values.milliseconds("broker.session.timeout.ms")
    }

    pub(crate) fn broker_heartbeat_interval(&self) -> Duration {
        self.values.milliseconds("broker.heartbeat.interval.ms")
    }

    /// How often the controller looks whether preferred replicas lead.
    pub(crate) fn leader_balance_interval(&self) -> Duration {
        let seconds = self.values.number("leader.imbalance.check.interval.seconds");
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default()).min(LEADER_BALANCE_INTERVAL_MAX)
    }

    fn resolve(values: StaticValues) -> Result<NodeConfig, ConfigError> {
        let node_id = node_id(&values)?;
        let roles = Roles::resolve(&values)?;
        check_session(&values)?;
        let listeners = Listeners::resolve(ListenerKeys {
            roles,
            listeners: values.text("listeners"),
            advertised_listeners: values.optional("advertised.listeners"),
            security_protocol_map: values.text("listener.security.protocol.map"),
            controller_listener_names: values.text("controller.listener.names"),
            inter_broker_listener_name: values.optional("inter.broker.listener.name"),
        })?;
        let quorum = QuorumKeys::resolve(&values, node_id, roles, &listeners)?;
        let metrics_listener = values
            .optional("metrics.listener")
            .map(|text| Endpoint::parse(text).ok_or_else(|| bad_value("metrics.listener", text, "HOST:PORT")));
        let dirs = values.optional("log.dirs").unwrap_or_else(|| values.text("log.dir"));
        let log_dirs: Vec<PathBuf> = list(dirs).map(PathBuf::from).collect();
        if log_dirs.is_empty() {
            return Err(ConfigError::Rule("log.dirs names no directory".to_string()));
        }
        Ok(NodeConfig {
            node_id,
            roles,
            rack: values.optional("broker.rack").map(str::to_string),
            listeners,
            log_dirs,
            metrics_listener: metrics_listener.transpose()?,
            quorum,
            values,
        })
    }
}

impl Overrides {
    /// All as keys and values; `--set` comes last and wins.
    fn as_pairs(&self) -> impl Iterator<Item = (String, String)> {
        let data_dir = self
            .data_dir
            .as_ref()
            .map(|dir| ("log.dirs".to_string(), dir.to_string_lossy().into_owned()));
        let listen = self
            .listen
            .as_ref()
            .map(|address| ("listeners".to_string(), format!("PLAINTEXT://{address}")));
        data_dir.into_iter().chain(listen).chain(self.set.iter().cloned())
    }
}

/// Value and origin of each key of a file; the last of two wins.
fn read_file(path: &Path, warnings: &mut Vec<String>) -> Result<BTreeMap<String, (String, String)>, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::File {
        path: path.to_path_buf(),
        source,
    })?;
    let found = properties::parse(&bytes).map_err(|source| ConfigError::Syntax {
        path: path.to_path_buf(),
        source,
    })?;
    let mut texts = BTreeMap::new();
    for properties::Property { key, value, line } in found {
        let origin = format!("{} line {line}", path.display());
        if let Some((_, earlier)) = texts.insert(key.clone(), (value, origin.clone())) {
            warnings.push(format!("{origin}: {key} was set before ({earlier}); the last value is used"));
        }
    }
    Ok(texts)
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn bad_value(key: &'static str, value: &str, allowed: &'static str) -> ConfigError {
    ConfigError::BadValue {
        key,
        value: value.to_string(),
        allowed,
    }
}

/// `node.id`, or `broker.id`, which is its older name; -1 there means unset.
fn node_id(values: &StaticValues) -> Result<i32, ConfigError> {
    let older = values.explicit("broker.id").filter(|id| *id != "-1");
    match (values.explicit("node.id"), older) {
        (Some(node), Some(broker)) if node != broker => Err(ConfigError::Rule(format!(
            "node.id={node} and broker.id={broker} must be equal; broker.id is the older name"
        ))),
        (None, Some(broker)) => Ok(broker.parse().expect("a checked number")),
        _ => Ok(values.text("node.id").parse().expect("a checked number")),
    }
}

/// A broker may miss one heartbeat.
fn check_session(values: &StaticValues) -> Result<(), ConfigError> {
    let (session, heartbeat) = ("broker.session.timeout.ms", "broker.heartbeat.interval.ms");
    let (session_ms, heartbeat_ms) = (values.number(session), values.number(heartbeat));
    if 2 * heartbeat_ms > session_ms {
        return Err(ConfigError::Rule(format!(
            "{heartbeat}={heartbeat_ms} must be at most half of {session}={session_ms}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
