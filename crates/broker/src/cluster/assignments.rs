//! What the metadata assign to this broker, in the terms of the replica table.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dohle_metadata::config::broker::BrokerView;
use dohle_metadata::config::topic_config::{self, TopicCompression, TopicConfig};
use dohle_metadata::image::ClusterImage;
use dohle_metadata::image::topics::{PartitionImage, TopicImage};
use dohle_protocol::id::{BrokerId, PartitionIndex};
use dohle_replication::Assignment;
use dohle_storage::{CompressionSetting, LogConfig};

use crate::config::NodeConfig;
use crate::config::settings::Settings;
use crate::limits::FLUSH_INTERVAL_MAX;
use crate::replica::table::TopicAssignment;
use crate::replica::topic_settings::{FlushPolicy, ReplicationSettings, TopicSettings};

/// Translates one version of the metadata.
pub(crate) struct Assignments<'a> {
    image: &'a ClusterImage,
    me: BrokerId,
    view: BrokerView<'a>,
    producer_id_expiration_ms: i64,
    replica_lag_time_ms_max: i64,
    /// Of all topics that have no configuration of their own.
    default_settings: OnceCell<TopicSettings>,
}

impl<'a> Assignments<'a> {
    pub(crate) fn new(image: &'a ClusterImage, config: &'a NodeConfig) -> Assignments<'a> {
        let me = BrokerId(config.node_id);
        let expiration = Settings::of(image, me, &config.values).producer_id_expiration;
        Assignments {
            image,
            me,
            view: BrokerView::of(image, me, config.values.as_map()),
            producer_id_expiration_ms: i64::try_from(expiration.as_millis()).unwrap_or(i64::MAX),
            replica_lag_time_ms_max: config.values.number("replica.lag.time.max.ms"),
            default_settings: OnceCell::new(),
        }
    }

    /// Every topic that has partitions here, with all of them.
    pub(crate) fn all(&self) -> Vec<TopicAssignment> {
        let all = self.image.topics().iter().map(|topic| self.of_topic(topic));
        all.filter(|assignment| !assignment.partitions.is_empty()).collect()
    }

    /// One topic with all its partitions.
    pub(crate) fn of_topic(&self, topic: &TopicImage) -> TopicAssignment {
        self.of_partitions(topic, topic.partitions.iter().map(|(index, partition)| (*index, partition)))
    }

    /// One topic with some of its partitions.
    pub(crate) fn of_partitions<'p>(
        &self,
        topic: &TopicImage,
        partitions: impl Iterator<Item = (PartitionIndex, &'p PartitionImage)>,
    ) -> TopicAssignment {
        let mine = partitions.filter(|(_, partition)| partition.replicas.contains(&self.me));
        let assigned = mine.map(|(index, partition)| {
            let assignment = Assignment {
                leader: partition.leader,
                leader_epoch: partition.leader_epoch,
                partition_epoch: partition.partition_epoch,
                replicas: partition.replicas.clone(),
                isr: partition.isr.clone(),
            };
            (index, assignment)
        });
        TopicAssignment {
            name: Arc::clone(&topic.name),
            id: topic.id,
            settings: self.settings(&topic.name),
            partitions: assigned.collect(),
        }
    }

    /// As it is configured; see [`ReplicationSettings`] for what it means to partitions with several replicas.
    pub(crate) fn flush_policy(&self, topic: &str) -> topic_config::FlushPolicy {
        TopicConfig::resolve(self.image.topic_config(topic), self.view).flush_policy
    }

    pub(crate) fn min_insync_replicas(&self, topic: &str) -> usize {
        self.settings(topic).replication.min_insync_replicas
    }

    pub(crate) fn settings(&self, topic: &str) -> TopicSettings {
        let overrides = self.image.topic_config(topic);
        if overrides.is_empty() {
            return self.default_settings.get_or_init(|| self.resolve(overrides)).clone();
        }
        self.resolve(overrides)
    }

    fn resolve(&self, overrides: &BTreeMap<String, String>) -> TopicSettings {
        let config = TopicConfig::resolve(overrides, self.view);
        TopicSettings {
            log: Arc::new(self.log_config(&config)),
            replication: self.replication(&config, overrides),
        }
    }

    fn replication(&self, config: &TopicConfig, overrides: &BTreeMap<String, String>) -> ReplicationSettings {
        let flush = flush_policy(config);
        let is_asked_for = overrides.contains_key("flush.policy") || self.view.get("log.flush.policy").is_some();
        ReplicationSettings {
            flush_alone: flush,
            flush_replicated: if is_asked_for { flush } else { FlushPolicy::Os },
            min_insync_replicas: usize::try_from(config.min_insync_replicas).unwrap_or(1),
            replica_lag_time_ms_max: self.replica_lag_time_ms_max,
        }
    }

    fn log_config(&self, config: &TopicConfig) -> LogConfig {
        let size = |bytes: i32| u32::try_from(bytes).unwrap_or_default();
        LogConfig {
            segment_bytes: size(config.segment_bytes),
            segment_ms: config.segment_ms,
            segment_jitter_ms: config.segment_jitter_ms,
            segment_index_bytes: size(config.segment_index_bytes),
            index_interval_bytes: size(config.index_interval_bytes),
            retention_ms: config.retention_ms,
            retention_bytes: config.retention_bytes,
            max_message_bytes: size(config.max_message_bytes),
            strict_validation: config.strict_validation,
            timestamp_type: config.timestamp_type,
            timestamp_before_max_ms: config.timestamp_before_max_ms,
            timestamp_after_max_ms: config.timestamp_after_max_ms,
            compression: match config.compression {
                TopicCompression::Producer => CompressionSetting::Producer,
                TopicCompression::Codec(codec, level) => CompressionSetting::Codec(codec, level),
            },
            compact: config.compact,
            delete_retention_ms: config.delete_retention_ms,
            min_compaction_lag_ms: config.min_compaction_lag_ms,
            max_compaction_lag_ms: config.max_compaction_lag_ms,
            min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
            delete: config.delete,
            file_delete_delay_ms: config.file_delete_delay_ms,
            producer_id_expiration_ms: self.producer_id_expiration_ms,
        }
    }
}

fn flush_policy(config: &TopicConfig) -> FlushPolicy {
    match config.flush_policy {
        topic_config::FlushPolicy::Commit => FlushPolicy::Commit,
        topic_config::FlushPolicy::Os => FlushPolicy::Os,
        topic_config::FlushPolicy::Interval => {
            let interval = Duration::from_millis(u64::try_from(config.flush_ms).unwrap_or_default());
            FlushPolicy::Interval {
                after: interval.min(FLUSH_INTERVAL_MAX),
                records_max: config.flush_messages,
            }
        }
    }
}
