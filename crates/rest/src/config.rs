//! What the proxy is told at its start, under the names of Confluent's REST proxy; within a node's configuration each has `rest.` before it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use dohle_client::Properties;

use crate::limits;

#[derive(Debug, Clone)]
pub struct RestConfig {
    pub listeners: Vec<Listener>,
    /// What `base_uri` begins with; it never comes from a request.
    pub advertised: String,
    /// Part of the names that the proxy gives to instances.
    pub id: Option<String>,
    /// Which clients of the cluster get: `bootstrap.servers`, and what stands behind `client.`.
    pub client: Properties,
    pub instance_timeout: Duration,
    pub request_timeout: Duration,
    pub instances_max: usize,
    pub allowed_origins: Vec<String>,
    pub headers_timeout: Duration,
    pub body_timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Empty: every interface.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RestConfigError {
    #[error("{key}={value}: it must be {allowed}")]
    BadValue { key: String, value: String, allowed: &'static str },
    #[error("there is no configuration key {0}")]
    Unknown(String),
}

const URLS: &str = "http://HOST:PORT, several between commas";

impl RestConfig {
    pub fn from_properties(properties: &Properties) -> Result<RestConfig, RestConfigError> {
        let mut left = properties.clone();
        let mut take = |key: &str, default: &str| left.remove(key).map_or_else(|| default.to_owned(), |value| value.trim().to_owned());
        let listeners_text = take("listeners", "http://localhost:8082");
        let listeners = list(&listeners_text)
            .map(|url| Listener::parse(url).ok_or_else(|| bad("listeners", &listeners_text, URLS)))
            .collect::<Result<Vec<_>, _>>()?;
        let first = listeners.first().ok_or_else(|| bad("listeners", &listeners_text, URLS))?;
        let advertised_text = take("advertised.listeners", "");
        let advertised = match list(&advertised_text).next() {
            Some(url) if is_url(url) => url.trim_end_matches('/').to_owned(),
            Some(_) => {
                return Err(bad(
                    "advertised.listeners",
                    &advertised_text,
                    "a URL such as https://events.example.org",
                ));
            }
            None => first.advertised(),
        };
        let id = Some(take("id", "")).filter(|id| !id.is_empty());
        let mut client = Properties::default();
        client.set(
            "bootstrap.servers",
            take("bootstrap.servers", "localhost:9092").replace("PLAINTEXT://", ""),
        );
        let millis = |key: &str, text: String| {
            text.parse()
                .map(Duration::from_millis)
                .map_err(|_| bad(key, &text, "a number of milliseconds"))
        };
        let default_ms = |duration: Duration| duration.as_millis().to_string();
        let config = RestConfig {
            advertised,
            id,
            instance_timeout: millis("consumer.instance.timeout.ms", take("consumer.instance.timeout.ms", "300000"))?,
            request_timeout: millis("consumer.request.timeout.ms", take("consumer.request.timeout.ms", "1000"))?,
            instances_max: {
                let text = take("consumer.instances.max", &limits::INSTANCES_MAX.to_string());
                text.parse().map_err(|_| bad("consumer.instances.max", &text, "a number"))?
            },
            allowed_origins: list(&take("access.control.allow.origin", "")).map(str::to_owned).collect(),
            headers_timeout: millis(
                "headers.timeout.ms",
                take("headers.timeout.ms", &default_ms(limits::HEADERS_TIMEOUT)),
            )?,
            body_timeout: millis("body.timeout.ms", take("body.timeout.ms", &default_ms(limits::BODY_TIMEOUT)))?,
            client: {
                let passed: Vec<String> = left.keys().filter(|key| key.starts_with("client.")).map(str::to_owned).collect();
                for key in passed {
                    let value = left.remove(&key).unwrap_or_default();
                    client.set(&key["client.".len()..], value);
                }
                client
            },
            listeners,
        };
        match left.keys().next() {
            Some(unknown) => Err(RestConfigError::Unknown(unknown.to_owned())),
            None => Ok(config),
        }
    }
}

impl Listener {
    fn parse(url: &str) -> Option<Listener> {
        let address = url.strip_prefix("http://")?.trim_end_matches('/');
        let (host, port) = address.rsplit_once(':')?;
        Some(Listener {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().ok()?,
        })
    }

    pub(crate) fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        match self.host.as_str() {
            "" => Ok(vec![SocketAddr::from(([0, 0, 0, 0], self.port))]),
            host => Ok((host, self.port).to_socket_addrs()?.collect()),
        }
    }

    /// An address that stands for every interface is no use to others: the name of the machine is.
    fn advertised(&self) -> String {
        let host = match self.host.as_str() {
            "" | "0.0.0.0" | "::" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            host if host.contains(':') => format!("[{host}]"),
            host => host.to_owned(),
        };
        format!("http://{host}:{}", self.port)
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or(text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn bad(key: &str, value: &str, allowed: &'static str) -> RestConfigError {
    RestConfigError::BadValue {
        key: key.to_owned(),
        value: value.to_owned(),
        allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<RestConfig, RestConfigError> {
        let mut properties = Properties::default();
        pairs.iter().for_each(|(key, value)| properties.set(*key, *value));
        RestConfig::from_properties(&properties)
    }

    #[test]
    fn what_is_advertised_is_configured_or_the_first_listener() {
        assert_eq!(config(&[]).unwrap().advertised, "http://localhost:8082");
        let behind = config(&[
            ("listeners", "http://0.0.0.0:8082,http://[::1]:8083"),
            ("advertised.listeners", "https://events.example.org/"),
        ])
        .unwrap();
        assert_eq!(behind.advertised, "https://events.example.org");
        assert_eq!(
            behind.listeners[1],
            Listener {
                host: "::1".into(),
                port: 8083
            }
        );
        assert!(
            !config(&[("listeners", "http://0.0.0.0:8082")])
                .unwrap()
                .advertised
                .contains("0.0.0.0")
        );
    }

    #[test]
    fn wrong_settings_are_named() {
        for (key, value) in [
            ("listeners", "localhost:8082"),
            ("listeners", ""),
            ("consumer.request.timeout.ms", "soon"),
            ("nonsense", "1"),
        ] {
            let error = config(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        let passed = config(&[("client.retry.backoff.ms", "5"), ("bootstrap.servers", "PLAINTEXT://a:1")])
            .unwrap()
            .client;
        assert_eq!(
            (passed.get("retry.backoff.ms"), passed.get("bootstrap.servers")),
            (Some("5"), Some("a:1"))
        );
    }
}
