//! The configuration of a broker, as far as topics and descriptions depend on it: values by key, in layers.

use std::collections::BTreeMap;

use dohle_protocol::id::BrokerId;

use super::source::ConfigSource;
use super::topic::TopicKey;
use crate::image::ClusterImage;

/// What is set for a broker, from the strongest layer to the weakest. Values are checked before they get here.
#[derive(Debug, Clone, Copy)]
pub struct BrokerView<'a> {
    /// Altered for this broker.
    pub broker: &'a BTreeMap<String, String>,
    /// Altered for all brokers.
    pub cluster: &'a BTreeMap<String, String>,
    /// From the file and the command line.
    pub file: &'a BTreeMap<String, String>,
}

impl<'a> BrokerView<'a> {
    pub fn of(image: &'a ClusterImage, id: BrokerId, file: &'a BTreeMap<String, String>) -> BrokerView<'a> {
        BrokerView {
            broker: image.configs().broker(Some(id)),
            cluster: image.configs().broker(None),
            file,
        }
    }

    pub(crate) fn layers(&self) -> [(ConfigSource, &'a BTreeMap<String, String>); 3] {
        [
            (ConfigSource::DynamicBroker, self.broker),
            (ConfigSource::DynamicDefaultBroker, self.cluster),
            (ConfigSource::StaticBroker, self.file),
        ]
    }

    /// The strongest value.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.layers()
            .into_iter()
            .find_map(|(_, values)| values.get(name))
            .map(|value| value.trim())
    }

    /// The default of a topic key on this broker.
    pub fn topic_default(&self, topic_key: &TopicKey) -> String {
        let set = topic_key.synonyms.iter().find_map(|synonym| {
            let value = self.get(synonym.name)?;
            if synonym.factor == 1 {
                Some(value.to_owned())
            } else {
                in_ms(value, synonym.factor)
            }
        });
        set.unwrap_or_else(|| topic_key.key.default.unwrap_or_default().to_owned())
    }
}

/// Any negative time is no limit.
fn in_ms(value: &str, factor: i64) -> Option<String> {
    let units: i64 = value.parse().ok()?;
    Some(if units < 0 { -1 } else { units.saturating_mul(factor) }.to_string())
}
