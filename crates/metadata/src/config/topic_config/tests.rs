//! What settings come to, and how they are shown.

use super::*;
use crate::config::described::{DescribedConfig, describe_broker, describe_topic};
use crate::config::key::{ConfigKey, ConfigKind};
use crate::config::source::ConfigSource;

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

struct Layers {
    broker: BTreeMap<String, String>,
    cluster: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
}

impl Layers {
    fn of_file(entries: &[(&str, &str)]) -> Layers {
        Layers {
            broker: map(&[]),
            cluster: map(&[]),
            file: map(entries),
        }
    }

    fn view(&self) -> BrokerView<'_> {
        BrokerView {
            broker: &self.broker,
            cluster: &self.cluster,
            file: &self.file,
        }
    }
}

fn describe(overrides: &[(&str, &str)], layers: &Layers, name: &str) -> DescribedConfig {
    let all = describe_topic(&map(overrides), layers.view());
    all.into_iter().find(|config| config.name == name).unwrap()
}

#[test]
fn without_settings_a_topic_has_the_defaults() {
    let config = TopicConfig::resolve(&map(&[]), Layers::of_file(&[]).view());
    assert!(config.delete && !config.compact);
    assert_eq!(config.compression, TopicCompression::Producer);
    assert_eq!(
        (config.segment_bytes, config.max_message_bytes, config.index_interval_bytes),
        (1 << 30, 1_048_588, 65_536)
    );
    assert_eq!(
        (config.retention_ms, config.retention_bytes, config.segment_ms),
        (604_800_000, -1, 604_800_000)
    );
    assert_eq!((config.flush_policy, config.flush_ms), (FlushPolicy::Commit, 1000));
    assert_eq!(config.timestamp_after_max_ms, 3_600_000);
    assert!(config.strict_validation);
    let lazy = TopicConfig::resolve(&map(&[("strict.validation", "false")]), Layers::of_file(&[]).view());
    assert!(!lazy.strict_validation);
}

#[test]
fn the_topic_comes_before_the_broker_and_milliseconds_before_hours() {
    let file = Layers::of_file(&[
        ("log.retention.hours", "2"),
        ("log.segment.bytes", "2097152"),
        ("log.roll.jitter.hours", "1"),
    ]);
    let config = TopicConfig::resolve(
        &map(&[("segment.bytes", "1048576"), ("cleanup.policy", "compact, delete")]),
        file.view(),
    );
    assert_eq!(
        (config.retention_ms, config.segment_bytes, config.segment_jitter_ms),
        (7_200_000, 1_048_576, 3_600_000)
    );
    assert!(config.compact && config.delete);

    let minutes = Layers::of_file(&[("log.retention.hours", "2"), ("log.retention.minutes", "-1")]);
    assert_eq!(TopicConfig::resolve(&map(&[]), minutes.view()).retention_ms, -1);
    let mut dynamic = Layers::of_file(&[("log.retention.ms", "5")]);
    dynamic.cluster = map(&[("log.retention.ms", "6")]);
    assert_eq!(TopicConfig::resolve(&map(&[]), dynamic.view()).retention_ms, 6);
    dynamic.broker = map(&[("log.retention.ms", "7")]);
    assert_eq!(TopicConfig::resolve(&map(&[]), dynamic.view()).retention_ms, 7);
}

#[test]
fn codecs_take_their_level() {
    let resolve = |overrides| TopicConfig::resolve(&map(overrides), Layers::of_file(&[]).view()).compression;
    assert_eq!(
        resolve(&[("compression.type", "gzip")]),
        TopicCompression::Codec(Compression::Gzip, None)
    );
    let zstd = resolve(&[("compression.type", "zstd"), ("compression.zstd.level", "7")]);
    assert_eq!(zstd, TopicCompression::Codec(Compression::Zstd, Some(7)));
    assert_eq!(
        resolve(&[("compression.type", "uncompressed")]),
        TopicCompression::Codec(Compression::None, None)
    );
}

#[test]
fn what_a_topic_cannot_have_is_refused_with_the_reason() {
    let table = [
        ("retention.msec", "1", "Unknown topic config name: retention.msec"),
        ("segment.bytes", "-1", "a whole number from 1048576"),
        ("compression.gzip.level", "0", "from 1 to 9, or -1"),
        ("remote.storage.enable", "true", "Tiered Storage functionality is disabled"),
        ("leader.replication.throttled.replicas", "1:x", "partition:broker"),
        ("flush.policy", "never", "one of commit, interval, os"),
        ("cleanup.policy", "shred", "any of compact, delete"),
    ];
    for (name, value, text) in table {
        let error = TopicConfig::validate(&map(&[(name, value)])).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let too_long = TopicConfig::validate(&map(&[("leader.replication.throttled.replicas", &"1:1,".repeat(10_000))]));
    assert!(matches!(too_long, Err(TopicConfigError::TooLong(_))), "{too_long:?}");
    let fine = [
        ("leader.replication.throttled.replicas", "0:1,1:2"),
        ("cleanup.policy", ""),
        ("remote.storage.enable", "false"),
    ];
    assert_eq!(TopicConfig::validate(&map(&fine)), Ok(()));
}

#[test]
fn describe_lists_synonyms_from_strong_to_weak() {
    let mut layers = Layers::of_file(&[("log.segment.bytes", "2000000")]);
    layers.cluster = map(&[("log.segment.bytes", "3000000")]);
    layers.broker = map(&[("log.segment.bytes", "4000000")]);
    let config = describe(&[("segment.bytes", "5000000")], &layers, "segment.bytes");
    assert_eq!(
        (config.value.as_deref(), config.source, config.wire_type),
        (Some("5000000"), ConfigSource::Topic, 3)
    );
    assert!(!config.read_only && !config.sensitive);
    let synonyms: Vec<_> = config
        .synonyms
        .iter()
        .map(|synonym| (synonym.source.code(), synonym.name, synonym.value.as_deref()))
        .collect();
    let expected = [
        (1, "segment.bytes", Some("5000000")),
        (2, "log.segment.bytes", Some("4000000")),
        (3, "log.segment.bytes", Some("3000000")),
        (4, "log.segment.bytes", Some("2000000")),
        (5, "log.segment.bytes", Some("1073741824")),
    ];
    assert_eq!(synonyms, expected);
}

#[test]
fn a_default_in_hours_is_shown_as_kafka_shows_it() {
    let layers = Layers::of_file(&[("log.retention.hours", "24")]);
    let config = describe(&[], &layers, "retention.ms");
    assert_eq!((config.value.as_deref(), config.source), (Some("86400000"), ConfigSource::Default));
    assert_eq!(config.synonyms, []);
}

#[test]
fn a_password_is_never_shown() {
    let key = ConfigKey::new("ssl.key.password", ConfigKind::Password, None, "For the test.");
    let described = describe_broker([&key], Layers::of_file(&[("ssl.key.password", "hunter2")]).view()).remove(0);
    assert_eq!(
        (described.value, described.sensitive, described.source),
        (None, true, ConfigSource::StaticBroker)
    );
    assert_eq!(described.synonyms[0].value, None);
}
