//! What is configured through the metadata: for topics, for single brokers, and for all brokers.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_protocol::id::BrokerId;

use super::shared_map::SharedMap;
use crate::config::resource::ConfigResource;
use crate::record::{ConfigRecord, MetadataRecord};

/// Key to value, of one topic, one broker, or all brokers.
pub type ConfigMap = Arc<BTreeMap<String, String>>;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigsImage {
    topics: SharedMap<Arc<str>, ConfigMap>,
    /// `None`: all brokers.
    brokers: SharedMap<Option<BrokerId>, ConfigMap>,
}

static NOTHING: BTreeMap<String, String> = BTreeMap::new();

impl ConfigsImage {
    /// What is set for a topic itself.
    pub fn topic(&self, name: &str) -> &BTreeMap<String, String> {
        self.topics.get(name).map_or(&NOTHING, |configs| configs)
    }

    /// What is set for one broker itself, or (`None`) for all.
    pub fn broker(&self, id: Option<BrokerId>) -> &BTreeMap<String, String> {
        self.brokers.get(&id).map_or(&NOTHING, |configs| configs)
    }

    pub fn of(&self, resource: &ConfigResource) -> &BTreeMap<String, String> {
        match resource {
            ConfigResource::Topic(name) => self.topic(name),
            ConfigResource::Broker(id) => self.broker(*id),
        }
    }

    pub(crate) fn topics(&self) -> &SharedMap<Arc<str>, ConfigMap> {
        &self.topics
    }

    pub(crate) fn brokers(&self) -> &SharedMap<Option<BrokerId>, ConfigMap> {
        &self.brokers
    }

    pub(super) fn set(&mut self, record: &ConfigRecord) {
        match ConfigResource::of_record(record).expect("the controller configures topics and brokers only") {
            ConfigResource::Topic(name) => set_in(&mut self.topics, &name.into(), record),
            ConfigResource::Broker(id) => set_in(&mut self.brokers, &id, record),
        }
    }

    pub(super) fn remove_topic(&mut self, name: &str) {
        self.topics.remove(name);
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        let topics = self
            .topics
            .iter()
            .map(|(name, configs)| (ConfigResource::Topic(name.to_string()), configs));
        let brokers = self.brokers.iter().map(|(id, configs)| (ConfigResource::Broker(*id), configs));
        for (resource, configs) in topics.chain(brokers) {
            records.extend(configs.iter().map(|(name, value)| resource.to_record(name, Some(value)).into()));
        }
    }
}

/// What has no configuration left has no entry either.
fn set_in<K: Ord + Clone>(map: &mut SharedMap<K, ConfigMap>, key: &K, record: &ConfigRecord) {
    if map.get(key).is_none() {
        map.insert(key.clone(), ConfigMap::default());
    }
    let configs = map.get_mut(key).map(Arc::make_mut).expect("it was just inserted");
    match &record.value {
        Some(value) => configs.insert(record.name.clone(), value.clone()),
        None => configs.remove(&record.name),
    };
    if configs.is_empty() {
        map.remove(key);
    }
}
