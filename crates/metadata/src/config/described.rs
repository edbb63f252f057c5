//! Configuration as DescribeConfigs shows it: each value with where it comes from, and what stands behind it.

use std::collections::BTreeMap;

use super::broker::BrokerView;
use super::key::ConfigKey;
use super::source::ConfigSource;
use super::topic::{TOPIC_KEYS, TopicKey};

#[derive(Debug, Clone, PartialEq)]
pub struct DescribedConfig {
    pub name: &'static str,
    /// `None`: unset, or not for anybody's eyes.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub read_only: bool,
    pub sensitive: bool,
    /// The number of the type in DescribeConfigs.
    pub wire_type: i8,
    pub doc: &'static str,
    /// What would count if what stands before it were not set; the first is what counts.
    pub synonyms: Vec<DescribedSynonym>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedSynonym {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// All keys of a topic, in the order of their names.
pub fn describe_topic(overrides: &BTreeMap<String, String>, broker: BrokerView<'_>) -> Vec<DescribedConfig> {
    TOPIC_KEYS
        .iter()
        .map(|topic_key| describe_topic_key(topic_key, overrides, broker))
        .collect()
}

fn describe_topic_key(topic_key: &TopicKey, overrides: &BTreeMap<String, String>, broker: BrokerView<'_>) -> DescribedConfig {
    let key = topic_key.key;
    let set = overrides.get(key.name);
    let own = set.map(|value| DescribedSynonym {
        name: key.name,
        value: Some(value.clone()),
        source: ConfigSource::Topic,
    });
    // A default that comes from a broker key in another unit, or from a second broker key, is not listed, as in Kafka.
    let default = topic_key.key.default.filter(|_| topic_key.synonyms.len() == 1);
    let inherited = topic_key
        .first_synonym()
        .map_or_else(Vec::new, |name| broker_synonyms(name, default, broker));
    let value = set.cloned().unwrap_or_else(|| broker.topic_default(topic_key));
    described(&key, Some(value), own.into_iter().chain(inherited).collect())
}

/// The given keys of a broker, in their order.
pub fn describe_broker<'k>(keys: impl IntoIterator<Item = &'k ConfigKey>, broker: BrokerView<'_>) -> Vec<DescribedConfig> {
    let describe = |key: &ConfigKey| {
        let synonyms = broker_synonyms(key.name, key.default, broker);
        described(key, synonyms.first().and_then(|strongest| strongest.value.clone()), synonyms)
    };
    keys.into_iter().map(describe).collect()
}

fn broker_synonyms(name: &'static str, default: Option<&str>, broker: BrokerView<'_>) -> Vec<DescribedSynonym> {
    let set = broker
        .layers()
        .into_iter()
        .filter_map(|(source, values)| Some((source, values.get(name)?.trim())));
    let all = set.chain(default.map(|default| (ConfigSource::Default, default)));
    all.map(|(source, value)| DescribedSynonym {
        name,
        value: Some(value.to_owned()),
        source,
    })
    .collect()
}

fn described(key: &ConfigKey, value: Option<String>, mut synonyms: Vec<DescribedSynonym>) -> DescribedConfig {
    let sensitive = key.is_sensitive();
    if sensitive {
        synonyms.iter_mut().for_each(|synonym| synonym.value = None);
    }
    DescribedConfig {
        name: key.name,
        value: value.filter(|_| !sensitive),
        source: synonyms.first().map_or(ConfigSource::Default, |strongest| strongest.source),
        read_only: key.is_read_only(),
        sensitive,
        wire_type: key.kind.wire_type(),
        doc: key.doc,
        synonyms,
    }
}
