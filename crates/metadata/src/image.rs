//! What the cluster is: the sum of all metadata records so far.
//!
//! An image changes only by applying a record. A copy costs nothing (see [`shared_map`]), so every version of it can be handed out.

pub mod brokers;
pub mod configs;
pub mod features;
pub mod producer_ids;
pub mod shared_map;
pub mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_protocol::id::{BrokerId, PartitionIndex, ProducerId, TopicId};

use crate::record::{ClusterRecord, MetadataRecord};
use brokers::{BrokerImage, BrokersImage};
use configs::ConfigsImage;
use features::FeaturesImage;
use producer_ids::ProducerIdsImage;
use topics::{PartitionImage, TopicImage, TopicsImage};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterImage {
    cluster_id: Option<Arc<str>>,
    features: FeaturesImage,
    topics: TopicsImage,
    brokers: BrokersImage,
    configs: ConfigsImage,
    producer_ids: ProducerIdsImage,
}

impl ClusterImage {
    /// The image that the records amount to.
    pub fn from_records<'a>(records: impl IntoIterator<Item = &'a MetadataRecord>) -> ClusterImage {
        let mut image = ClusterImage::default();
        records.into_iter().for_each(|record| image.apply(record));
        image
    }

    /// Takes over a committed record.
    ///
    /// # Panics
    /// If the record speaks of a topic, partition or broker that does not exist: the controller never writes such a record.
    pub fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Cluster(record) => self.cluster_id = Some(record.cluster_id.as_str().into()),
            MetadataRecord::FeatureLevel(record) => self.features.set(record),
            MetadataRecord::Topic(record) => self.topics.create(record),
            MetadataRecord::Partition(record) => self.topics.create_partition(record),
            MetadataRecord::PartitionChange(record) => self.topics.change_partition(record),
            MetadataRecord::RemoveTopic(record) => {
                let topic = self.topics.remove(record);
                self.configs.remove_topic(&topic.name);
            }
            MetadataRecord::Config(record) => self.configs.set(record),
            MetadataRecord::RegisterBroker(record) => self.brokers.register(record),
            MetadataRecord::BrokerChange(record) => self.brokers.change(record),
            MetadataRecord::UnregisterBroker(record) => self.brokers.unregister(record),
            MetadataRecord::ProducerIds(record) => self.producer_ids.set(record),
            MetadataRecord::NoOp(_) => {}
        }
    }

    /// The shortest list of records that makes this image.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        records.extend(self.cluster_id().map(|id| {
            ClusterRecord {
                cluster_id: id.to_owned(),
                ..Default::default()
            }
            .into()
        }));
        self.features.write(&mut records);
        self.brokers.write(&mut records);
        self.topics.write(&mut records);
        self.configs.write(&mut records);
        self.producer_ids.write(&mut records);
        records
    }

    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    pub fn features(&self) -> &FeaturesImage {
        &self.features
    }

    pub fn topics(&self) -> &TopicsImage {
        &self.topics
    }

    pub fn brokers(&self) -> &BrokersImage {
        &self.brokers
    }

    pub fn configs(&self) -> &ConfigsImage {
        &self.configs
    }

    /// The first producer id that was not given away yet.
    pub fn next_producer_id(&self) -> ProducerId {
        self.producer_ids.next()
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get_by_id(id)
    }

    pub fn partition(&self, topic: &str, index: PartitionIndex) -> Option<&PartitionImage> {
        self.topics.get(topic)?.partitions.get(&index)
    }

    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerImage>> {
        self.brokers.get(id)
    }

    /// What is set for the topic itself.
    pub fn topic_config(&self, topic: &str) -> &BTreeMap<String, String> {
        self.configs.topic(topic)
    }
}

#[cfg(test)]
mod tests;
