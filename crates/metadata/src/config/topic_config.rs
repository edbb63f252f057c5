//! The configuration of one topic as values: what is set for it, over the defaults of the broker.

use std::collections::BTreeMap;

use dohle_protocol::batch::TimestampType;
use dohle_protocol::compression::Compression;

use super::broker::BrokerView;
use super::key::{ConfigError, ConfigValue};
use super::topic::topic_key;
use crate::limits::CONFIG_VALUE_BYTES_MAX;

/// What an acknowledged write is worth on the machine that acknowledged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlushPolicy {
    /// Synced to disk. With several replicas only if somebody has set it: otherwise in the memory of all replicas in sync.
    #[default]
    Commit,
    /// Synced some time later, see `flush.ms` and `flush.messages`.
    Interval,
    /// Synced when the operating system sees fit.
    Os,
}

impl FlushPolicy {
    pub fn name(self) -> &'static str {
        match self {
            FlushPolicy::Commit => "commit",
            FlushPolicy::Interval => "interval",
            FlushPolicy::Os => "os",
        }
    }
}

/// The codec of the batches in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicCompression {
    /// What the producer chose.
    Producer,
    /// `None`: the codec's own level.
    Codec(Compression, Option<i32>),
}

/// All that is acted on.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicConfig {
    pub compact: bool,
    pub delete: bool,
    pub compression: TopicCompression,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub flush_policy: FlushPolicy,
    pub index_interval_bytes: i32,
    pub max_compaction_lag_ms: i64,
    pub max_message_bytes: i32,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub timestamp_before_max_ms: i64,
    pub timestamp_type: TimestampType,
    pub min_insync_replicas: i32,
    /// -1: no limit.
    pub retention_bytes: i64,
    /// -1: no limit.
    pub retention_ms: i64,
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub strict_validation: bool,
}

/// Why a topic cannot have a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicConfigError {
    #[error("Unknown topic config name: {0}")]
    Unknown(String),
    #[error(transparent)]
    Value(#[from] ConfigError),
    #[error("The value of {0} is longer than {CONFIG_VALUE_BYTES_MAX} bytes.")]
    TooLong(&'static str),
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage (remote.storage.enable)."
    )]
    RemoteStorage,
}

impl TopicConfig {
    /// Of a topic with these settings of its own. Values that do not fit (a newer version may have stored them) do not count.
    pub fn resolve(overrides: &BTreeMap<String, String>, broker: BrokerView<'_>) -> TopicConfig {
        let values = Resolved { overrides, broker };
        let policies = values.get("cleanup.policy");
        let has_policy = |name: &str| policies.as_list().is_some_and(|list| list.iter().any(|policy| policy == name));
        TopicConfig {
            compact: has_policy("compact"),
            delete: has_policy("delete"),
            compression: values.compression(),
            delete_retention_ms: values.long("delete.retention.ms"),
            file_delete_delay_ms: values.long("file.delete.delay.ms"),
            flush_messages: values.long("flush.messages"),
            flush_ms: values.long("flush.ms"),
            flush_policy: values.flush_policy(),
            index_interval_bytes: values.int("index.interval.bytes"),
            max_compaction_lag_ms: values.long("max.compaction.lag.ms"),
            max_message_bytes: values.int("max.message.bytes"),
            min_cleanable_dirty_ratio: values.double("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: values.long("min.compaction.lag.ms"),
            timestamp_after_max_ms: values.long("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: values.long("message.timestamp.before.max.ms"),
            timestamp_type: values.timestamp_type(),
            min_insync_replicas: values.int("min.insync.replicas"),
            retention_bytes: values.long("retention.bytes"),
            retention_ms: values.long("retention.ms"),
            segment_bytes: values.int("segment.bytes"),
            segment_index_bytes: values.int("segment.index.bytes"),
            segment_jitter_ms: values.long("segment.jitter.ms"),
            segment_ms: values.long("segment.ms"),
            strict_validation: values.get("strict.validation").as_bool() == Some(true),
        }
    }

    /// Whether a topic may have these settings of its own.
    pub fn validate(overrides: &BTreeMap<String, String>) -> Result<(), TopicConfigError> {
        for (name, text) in overrides {
            let key = topic_key(name).ok_or_else(|| TopicConfigError::Unknown(name.clone()))?.key;
            if text.len() > CONFIG_VALUE_BYTES_MAX {
                return Err(TopicConfigError::TooLong(key.name));
            }
            let value = key.parse(text)?;
            let allowed = match key.name {
                "remote.storage.enable" if value == ConfigValue::Boolean(true) => return Err(TopicConfigError::RemoteStorage),
                "compression.gzip.level" if value == ConfigValue::Int(0) => "a whole number from 1 to 9, or -1",
                "leader.replication.throttled.replicas" | "follower.replication.throttled.replicas" if !is_replica_list(&value) => {
                    "* or a list of partition:broker pairs"
                }
                _ => continue,
            };
            return Err(ConfigError {
                name: name.clone(),
                value: text.clone(),
                allowed: allowed.to_owned(),
            }
            .into());
        }
        Ok(())
    }
}

fn is_replica_list(value: &ConfigValue) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_pair = |item: &String| {
        item.split_once(':')
            .is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    value.as_list().is_some_and(|items| items == ["*"] || items.iter().all(is_pair))
}

/// Values by name; a name that is not registered is a mistake of ours.
struct Resolved<'a> {
    overrides: &'a BTreeMap<String, String>,
    broker: BrokerView<'a>,
}

impl Resolved<'_> {
    fn get(&self, name: &str) -> ConfigValue {
        let topic_key = topic_key(name).expect("the name of a registered key");
        let set = self.overrides.get(name).and_then(|text| topic_key.key.parse(text).ok());
        let inherited = || topic_key.key.parse(&self.broker.topic_default(topic_key)).ok();
        set.or_else(inherited)
            .or_else(|| topic_key.key.default_value())
            .expect("every topic key has a default")
    }

    fn long(&self, name: &str) -> i64 {
        self.get(name).as_long().expect("the key is of type long")
    }

    fn int(&self, name: &str) -> i32 {
        self.get(name).as_int().expect("the key is of type int")
    }

    fn double(&self, name: &str) -> f64 {
        self.get(name).as_double().expect("the key is of type double")
    }

    fn text(&self, name: &str) -> String {
        let ConfigValue::String(text) = self.get(name) else {
            unreachable!("the key {name} is of type string")
        };
        text
    }

    fn compression(&self) -> TopicCompression {
        match self.text("compression.type").as_str() {
            "gzip" => {
                let level = Some(self.int("compression.gzip.level")).filter(|level| *level > 0);
                TopicCompression::Codec(Compression::Gzip, level)
            }
            "lz4" => TopicCompression::Codec(Compression::Lz4, None),
            "snappy" => TopicCompression::Codec(Compression::Snappy, None),
            "zstd" => TopicCompression::Codec(Compression::Zstd, Some(self.int("compression.zstd.level"))),
            "uncompressed" => TopicCompression::Codec(Compression::None, None),
            _ => TopicCompression::Producer,
        }
    }

    fn flush_policy(&self) -> FlushPolicy {
        match self.text("flush.policy").as_str() {
            "interval" => FlushPolicy::Interval,
            "os" => FlushPolicy::Os,
            _ => FlushPolicy::Commit,
        }
    }

    fn timestamp_type(&self) -> TimestampType {
        if self.text("message.timestamp.type") == "LogAppendTime" {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }
}

#[cfg(test)]
mod tests;
