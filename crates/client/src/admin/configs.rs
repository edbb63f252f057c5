//! Configurations of topics and brokers.

use dohle_protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult};
use dohle_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest};

use super::Admin;
use crate::error::ClientError;

/// What has a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    Topic(String),
    Broker(i32),
    /// The default of every broker.
    BrokerDefault,
}

impl Resource {
    fn kind(&self) -> i8 {
        match self {
            Resource::Topic(_) => 2,
            Resource::Broker(_) | Resource::BrokerDefault => 4,
        }
    }

    fn name(&self) -> String {
        match self {
            Resource::Topic(name) => name.clone(),
            Resource::Broker(id) => id.to_string(),
            Resource::BrokerDefault => String::new(),
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    Unknown,
    Topic,
    Broker,
    BrokerDefault,
    StaticBroker,
    Default,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl ConfigSource {
    fn from_wire(source: i8) -> ConfigSource {
        match source {
            1 => ConfigSource::Topic,
            2 => ConfigSource::Broker,
            3 => ConfigSource::BrokerDefault,
            4 => ConfigSource::StaticBroker,
            5 => ConfigSource::Default,
            6 => ConfigSource::BrokerLogger,
            7 => ConfigSource::ClientMetrics,
            8 => ConfigSource::Group,
            _ => ConfigSource::Unknown,
        }
    }

    /// As Kafka's tools print it.
    pub fn name(self) -> &'static str {
        match self {
            ConfigSource::Unknown => "UNKNOWN",
            ConfigSource::Topic => "DYNAMIC_TOPIC_CONFIG",
            ConfigSource::Broker => "DYNAMIC_BROKER_CONFIG",
            ConfigSource::BrokerDefault => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
            ConfigSource::Default => "DEFAULT_CONFIG",
            ConfigSource::BrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
            ConfigSource::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
            ConfigSource::Group => "DYNAMIC_GROUP_CONFIG",
        }
    }
}

#[derive(Debug, Clone)]
pub struct ConfigEntry {
    pub name: String,
    /// `None`: not set, or not told because it is sensitive.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_sensitive: bool,
    pub is_read_only: bool,
    pub synonyms: Vec<ConfigSynonym>,
}

impl ConfigEntry {
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::Default
    }
}

/// One of the places a value may come from, the deciding one first.
#[derive(Debug, Clone)]
pub struct ConfigSynonym {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    Set(String, String),
    Delete(String),
}

impl Admin {
    /// The configuration of each resource, in the order given.
    pub async fn describe_configs(&self, resources: &[Resource], with_synonyms: bool) -> Result<Vec<Vec<ConfigEntry>>, ClientError> {
        let mut described = Vec::with_capacity(resources.len());
        // Brokers answer only for themselves; topics may be asked of anyone, together.
        let together = resources.iter().all(|resource| matches!(resource, Resource::Topic(_)));
        let groups = if together {
            resources.chunks(resources.len().max(1))
        } else {
            resources.chunks(1)
        };
        for group in groups {
            let request = DescribeConfigsRequest {
                resources: group.iter().map(whole).collect(),
                include_synonyms: with_synonyms,
                ..Default::default()
            };
            let response = match group {
                [Resource::Broker(id)] => self.cluster.call_node(*id, &request).await?,
                _ => self.cluster.call_any(&request).await?,
            };
            for resource in group {
                let name = resource.name();
                let result = response
                    .results
                    .iter()
                    .find(|r| r.resource_type == resource.kind() && r.resource_name == name);
                let result = result.ok_or_else(|| ClientError::Incomplete(format!("the server's answer does not mention '{name}'")))?;
                ClientError::check(result.error_code, result.error_message.clone())?;
                described.push(result.configs.iter().cloned().map(read_entry).collect());
            }
        }
        Ok(described)
    }

    pub async fn alter_configs(&self, resource: &Resource, changes: &[ConfigChange]) -> Result<(), ClientError> {
        self.alter_or_validate_configs(resource, changes, false).await
    }

    /// Whether the changes could be made. None is.
    pub async fn validate_configs(&self, resource: &Resource, changes: &[ConfigChange]) -> Result<(), ClientError> {
        self.alter_or_validate_configs(resource, changes, true).await
    }

    async fn alter_or_validate_configs(
        &self,
        resource: &Resource,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let configs = changes.iter().map(|change| match change {
            ConfigChange::Set(name, value) => alterable(name, 0, Some(value.clone())),
            ConfigChange::Delete(name) => alterable(name, 1, None),
        });
        let altered = AlterConfigsResource {
            resource_type: resource.kind(),
            resource_name: resource.name(),
            configs: configs.collect(),
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![altered],
            validate_only,
            ..Default::default()
        };
        let response = match resource {
            Resource::Broker(id) => self.cluster.call_node(*id, &request).await?,
            Resource::Topic(_) | Resource::BrokerDefault => self.cluster.call_any(&request).await?,
        };
        let mut results = response.responses.into_iter();
        results.try_for_each(|result| ClientError::check(result.error_code, result.error_message))
    }
}

fn whole(resource: &Resource) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type: resource.kind(),
        resource_name: resource.name(),
        configuration_keys: None,
        ..Default::default()
    }
}

fn alterable(name: &str, config_operation: i8, value: Option<String>) -> AlterableConfig {
    AlterableConfig {
        name: name.to_owned(),
        config_operation,
        value,
        ..Default::default()
    }
}

fn read_entry(entry: DescribeConfigsResourceResult) -> ConfigEntry {
    let synonyms = entry.synonyms.into_iter().map(|synonym| ConfigSynonym {
        name: synonym.name,
        value: synonym.value,
        source: ConfigSource::from_wire(synonym.source),
    });
    ConfigEntry {
        name: entry.name,
        value: entry.value,
        source: ConfigSource::from_wire(entry.config_source),
        is_sensitive: entry.is_sensitive,
        is_read_only: entry.read_only,
        synonyms: synonyms.collect(),
    }
}
