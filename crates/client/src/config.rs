//! Kafka's client settings under Kafka's names, read from [`Properties`].
//!
//! A key that is not known here is named in one warning and otherwise ignored, as Kafka's own clients do.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::properties::Properties;
use crate::retry::Backoff;

mod consumer;
mod producer;

pub use consumer::{ConsumerConfig, GroupConfig, IsolationLevel, OffsetReset};
pub use producer::{Acks, ProducerConfig};

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error("Invalid value {value} for configuration {key}: {reason}")]
    Invalid { key: String, value: String, reason: String },
    #[error("{0}")]
    Conflict(String),
}

/// What every kind of client needs.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `host:port` of the nodes that are asked first.
    pub bootstrap_servers: Vec<String>,
    /// These are controllers: no broker is asked at all.
    pub to_controllers: bool,
    pub client_id: String,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
    /// How long an administrative call is retried.
    pub api_timeout: Duration,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub metadata_max_age: Duration,
}

impl ClientConfig {
    /// Reads the settings of an administrative client and warns of the rest.
    pub fn from_properties(properties: &Properties) -> Result<ClientConfig, ConfigError> {
        let mut reader = Reader::new(properties);
        let controllers = reader.text("bootstrap.controllers", "");
        if !controllers.is_empty() {
            if properties.get("bootstrap.servers").is_some() {
                let message = "bootstrap.servers and bootstrap.controllers cannot both be set";
                return Err(ConfigError::Conflict(message.to_owned()));
            }
            reader.left.set("bootstrap.servers", controllers.as_str());
        }
        let mut config = ClientConfig::read(&mut reader, 30_000)?;
        config.to_controllers = !controllers.is_empty();
        reader.warn_of_unused();
        Ok(config)
    }

    /// The defaults, against `bootstrap_servers` in the form `host:port,host:port`.
    pub fn for_servers(bootstrap_servers: &str) -> Result<ClientConfig, ConfigError> {
        let mut properties = Properties::default();
        properties.set("bootstrap.servers", bootstrap_servers);
        ClientConfig::from_properties(&properties)
    }

    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.retry_backoff, self.retry_backoff_max)
    }

    fn read(reader: &mut Reader, request_timeout_ms: u64) -> Result<ClientConfig, ConfigError> {
        let protocol = reader.text("security.protocol", "PLAINTEXT");
        if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
            return Err(invalid(
                "security.protocol",
                &protocol,
                "only PLAINTEXT is supported by this client",
            ));
        }
        let bootstrap_servers = read_servers(&reader.text("bootstrap.servers", ""))?;
        Ok(ClientConfig {
            bootstrap_servers,
            to_controllers: false,
            client_id: reader.text("client.id", "dohle"),
            connect_timeout: reader.millis("socket.connection.setup.timeout.ms", 10_000)?,
            request_timeout: reader.millis("request.timeout.ms", request_timeout_ms)?,
            api_timeout: reader.millis("default.api.timeout.ms", 60_000)?,
            retry_backoff: reader.millis("retry.backoff.ms", 100)?,
            retry_backoff_max: reader.millis("retry.backoff.max.ms", 1_000)?,
            metadata_max_age: reader.millis("metadata.max.age.ms", 300_000)?,
        })
    }
}

/// `host:port` pairs between commas.
fn read_servers(text: &str) -> Result<Vec<String>, ConfigError> {
    let servers: Vec<String> = text
        .split(',')
        .map(str::trim)
        .filter(|server| !server.is_empty())
        .map(str::to_owned)
        .collect();
    if servers.is_empty() {
        return Err(ConfigError::Conflict("No bootstrap server is given".to_owned()));
    }
    for server in &servers {
        let port = server.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        if port.and_then(|port| port.parse::<u16>().ok()).is_none() {
            return Err(invalid("bootstrap.servers", server, "it must have the form host:port"));
        }
    }
    Ok(servers)
}

fn invalid(key: &str, value: &str, reason: impl Display) -> ConfigError {
    ConfigError::Invalid {
        key: key.to_owned(),
        value: value.to_owned(),
        reason: reason.to_string(),
    }
}

/// Takes known keys out of a set of properties, so that what is left over is unknown.
struct Reader {
    left: Properties,
}

impl Reader {
    fn new(properties: &Properties) -> Reader {
        Reader { left: properties.clone() }
    }

    fn text(&mut self, key: &str, default: &str) -> String {
        self.left
            .remove(key)
            .map_or_else(|| default.to_owned(), |value| value.trim().to_owned())
    }

    fn number<T>(&mut self, key: &str, default: T, range: RangeInclusive<T>) -> Result<T, ConfigError>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let Some(value) = self.left.remove(key) else { return Ok(default) };
        let number: T = value
            .trim()
            .parse()
            .map_err(|_| invalid(key, &value, "Not a number of the expected size"))?;
        if range.contains(&number) {
            return Ok(number);
        }
        Err(invalid(
            key,
            &value,
            format!("Value must be between {} and {}", range.start(), range.end()),
        ))
    }

    fn millis(&mut self, key: &str, default: u64) -> Result<Duration, ConfigError> {
        self.number(key, default, 0..=i64::MAX as u64).map(Duration::from_millis)
    }

    fn optional_bool(&mut self, key: &str) -> Result<Option<bool>, ConfigError> {
        let Some(value) = self.left.remove(key) else { return Ok(None) };
        match value.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(invalid(key, &value, "Expected value to be either true or false")),
        }
    }

    fn warn_of_unused(&self) {
        let unused: Vec<&str> = self.left.keys().collect();
        if !unused.is_empty() {
            tracing::warn!("These configurations '{unused:?}' were supplied but are not used.");
        }
    }
}

#[cfg(test)]
mod tests;
