//! The values of the broker's keys: what file and command line set, and over it what was altered while the broker ran.

use super::ConfigError;
use super::registry::{BROKER_KEYS, broker_key};
use dohle_metadata::config::broker::BrokerView;
use dohle_metadata::config::key::ConfigValue;
use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::BrokerId;
use std::collections::BTreeMap;
use std::time::Duration;

const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";

/// Values by key, all checked.
pub(crate) type Values = BTreeMap<String, String>;

/// Values given at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StaticValues(Values);

impl StaticValues {
    pub(crate) fn check(values: Values) -> Result<StaticValues, ConfigError> {
        for (name, value) in &values {
            if let Some(key) = broker_key(name) {
                key.parse(value)?;
            }
        }
        Ok(StaticValues(values))
    }

    pub(crate) fn as_map(&self) -> &Values {
        &self.0
    }

    /// What was given, without spaces around it.
    pub(crate) fn explicit(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// The value, or the default; `None` if there is neither, or if the value is empty.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.explicit(name)
            .or(broker_key(name).and_then(|key| key.default))
            .filter(|value| !value.is_empty())
    }

    /// For keys that have a default.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.optional(name).unwrap_or_default()
    }

    /// For keys that are whole numbers and have a default.
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.text(name).parse().expect("a checked number")
    }

    pub(crate) fn milliseconds(&self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.number(name)).unwrap_or_default())
    }
}

/// The keys of one broker at one time, as far as they may change or are needed often; replaced as a whole when one is altered.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) auto_create_topics: bool,
    pub(crate) delete_topics: bool,
    pub(crate) fetch_max_bytes: i32,
    pub(crate) fetch_sessions_max: usize,
    pub(crate) described_partitions_max: usize,
    pub(crate) request_bytes_max: usize,
    /// `None`: our own default.
    pub(crate) queued_request_bytes_max: Option<usize>,
    pub(crate) connections_max: usize,
    pub(crate) connections_per_ip_max: usize,
    /// `None`: for ever.
    pub(crate) connection_idle_max: Option<Duration>,
    pub(crate) producer_id_expiration: Duration,
    pub(crate) retention_check_interval: Duration,
    pub(crate) checkpoint_interval: Duration,
    /// Of throttled replicas; `None`: no limit.
    pub(crate) follower_bytes_per_second_max: Option<u64>,
    pub(crate) groups: GroupSettings,
    pub(crate) cleaner: CleanerSettings,
}

/// Keys of compaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CleanerSettings {
    pub(crate) enabled: bool,
    pub(crate) threads: usize,
    pub(crate) backoff: Duration,
    pub(crate) key_bytes_max: usize,
    pub(crate) load_factor: f64,
    pub(crate) bytes_per_second_max: f64,
}

/// Keys of consumer groups and of the topic that holds them.
#[derive(Debug, Clone)]
pub(crate) struct GroupSettings {
    pub(crate) session_timeout_ms_min: i32,
    pub(crate) session_timeout_ms_max: i32,
    pub(crate) initial_rebalance_delay_ms: i32,
    pub(crate) size_max: usize,
    pub(crate) offset_metadata_bytes_max: usize,
    pub(crate) offsets_retention: Duration,
    pub(crate) offsets_retention_check_interval: Duration,
    pub(crate) load_buffer_bytes: usize,
    pub(crate) topic_partitions: i32,
    pub(crate) topic_replication_factor: i16,
    pub(crate) topic_segment_bytes: i32,
}

impl Settings {
    pub(crate) fn of(image: &ClusterImage, broker: BrokerId, at_start: &StaticValues) -> Settings {
        Settings::resolve(BrokerView::of(image, broker, &at_start.0))
    }

    pub(crate) fn resolve(view: BrokerView<'_>) -> Settings {
        let value = |name: &str| -> ConfigValue {
            let key = BROKER_KEYS
                .iter()
                .find(|key| key.name == name)
                .expect("the name of a registered key");
            // What does not fit may have been stored by a newer version.
            let set = view.get(name).and_then(|text| key.parse(text).ok());
            set.or_else(|| key.default_value()).expect("only keys with a default are resolved")
        };
        let boolean = |name: &str| value(name).as_bool().expect("a boolean");
        let number = |name: &str| value(name).as_long().expect("a number");
        let ratio = |name: &str| value(name).as_double().expect("a number");
        let size = |name: &str| usize::try_from(number(name)).unwrap_or_default();
        let milliseconds = |name: &str| Duration::from_millis(u64::try_from(number(name)).unwrap_or_default());
        Settings {
            auto_create_topics: boolean("auto.create.topics.enable"),
            delete_topics: boolean("delete.topic.enable"),
            fetch_max_bytes: number("fetch.max.bytes") as i32,
            fetch_sessions_max: size("max.incremental.fetch.session.cache.slots"),
            described_partitions_max: size("max.request.partition.size.limit"),
            request_bytes_max: size("socket.request.max.bytes"),
            queued_request_bytes_max: usize::try_from(number("queued.max.request.bytes")).ok(),
            connections_max: size("max.connections"),
            connections_per_ip_max: size("max.connections.per.ip"),
            connection_idle_max: (number("connections.max.idle.ms") >= 0).then(|| milliseconds("connections.max.idle.ms")),
            producer_id_expiration: milliseconds("producer.id.expiration.ms"),
            retention_check_interval: milliseconds("log.retention.check.interval.ms"),
            checkpoint_interval: milliseconds("log.flush.offset.checkpoint.interval.ms"),
            follower_bytes_per_second_max: u64::try_from(number(FOLLOWER_RATE)).ok().filter(|rate| *rate < i64::MAX as u64),
            cleaner: CleanerSettings {
                enabled: boolean("log.cleaner.enable"),
                threads: size("log.cleaner.threads"),
                backoff: milliseconds("log.cleaner.backoff.ms"),
                key_bytes_max: size("log.cleaner.dedupe.buffer.size"),
                load_factor: ratio("log.cleaner.io.buffer.load.factor"),
                bytes_per_second_max: ratio("log.cleaner.io.max.bytes.per.second"),
            },
            groups: GroupSettings {
                session_timeout_ms_min: number("group.min.session.timeout.ms") as i32,
                session_timeout_ms_max: number("group.max.session.timeout.ms") as i32,
                initial_rebalance_delay_ms: number("group.initial.rebalance.delay.ms") as i32,
                size_max: size("group.max.size"),
                offset_metadata_bytes_max: size("offset.metadata.max.bytes"),
                offsets_retention: Duration::from_secs(60 * size("offsets.retention.minutes") as u64),
                offsets_retention_check_interval: milliseconds("offsets.retention.check.interval.ms"),
                load_buffer_bytes: size("offsets.load.buffer.size"),
                topic_partitions: number("offsets.topic.num.partitions") as i32,
                topic_replication_factor: number("offsets.topic.replication.factor") as i16,
                topic_segment_bytes: number("offsets.topic.segment.bytes") as i32,
            },
        }
    }
}
