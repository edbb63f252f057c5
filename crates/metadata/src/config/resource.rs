//! What a configuration belongs to.

use dohle_protocol::id::BrokerId;

use crate::record::ConfigRecord;

/// What has a configuration of its own in the metadata.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    Topic(String),
    /// `None`: all brokers.
    Broker(Option<BrokerId>),
}

impl ConfigResource {
    pub const TOPIC: i8 = 2;
    pub const BROKER: i8 = 4;
    pub const BROKER_LOGGER: i8 = 8;
    pub const CLIENT_METRICS: i8 = 16;
    pub const GROUP: i8 = 32;

    /// The number of the kind, as in requests.
    pub fn type_id(&self) -> i8 {
        match self {
            ConfigResource::Topic(_) => ConfigResource::TOPIC,
            ConfigResource::Broker(_) => ConfigResource::BROKER,
        }
    }

    /// The name, as in requests.
    pub fn name(&self) -> String {
        match self {
            ConfigResource::Topic(name) => name.clone(),
            ConfigResource::Broker(id) => id.map_or_else(String::new, |id| id.to_string()),
        }
    }

    pub(crate) fn to_record(&self, name: &str, value: Option<&str>) -> ConfigRecord {
        ConfigRecord {
            resource_type: self.type_id(),
            resource_name: self.name(),
            name: name.to_owned(),
            value: value.map(str::to_owned),
            ..Default::default()
        }
    }

    pub(crate) fn of_record(record: &ConfigRecord) -> Option<ConfigResource> {
        match record.resource_type {
            ConfigResource::TOPIC => Some(ConfigResource::Topic(record.resource_name.clone())),
            ConfigResource::BROKER if record.resource_name.is_empty() => Some(ConfigResource::Broker(None)),
            ConfigResource::BROKER => record
                .resource_name
                .parse()
                .ok()
                .map(|id| ConfigResource::Broker(Some(BrokerId(id)))),
            _ => None,
        }
    }
}
