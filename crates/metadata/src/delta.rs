//! What changed between two images, in terms of what a broker does about it.

use std::sync::Arc;

use dohle_protocol::id::{BrokerId, PartitionIndex, TopicId};

use crate::image::ClusterImage;
use crate::image::shared_map::{Difference, SharedMap};
use crate::image::topics::{PartitionImage, TopicImage};

/// Everything is in the order of names, indexes and ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    /// A topic that was deleted and created again under the same name is in both lists.
    pub topics_deleted: Vec<Arc<TopicImage>>,
    /// Their partitions are among [`Delta::partitions`] too.
    pub topics_created: Vec<Arc<TopicImage>>,
    /// Created or changed.
    pub partitions: Vec<PartitionDelta>,
    /// Topics with another configuration than before, by name; not those that were deleted.
    pub topic_configs: Vec<Arc<str>>,
    /// Brokers with another configuration than before; `None` stands for what is configured for all brokers.
    pub broker_configs: Vec<Option<BrokerId>>,
    /// Registered, changed, or gone.
    pub brokers: Vec<BrokerId>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PartitionDelta {
    pub topic: Arc<str>,
    pub topic_id: TopicId,
    pub index: PartitionIndex,
    /// `None`: the partition is new.
    pub before: Option<PartitionImage>,
    pub now: PartitionImage,
}

impl PartitionDelta {
    /// Whether committed records may be missing from here on: the leader was elected uncleanly, or the last replica in sync was restarted
    /// after a crash.
    pub fn may_have_lost_records(&self) -> bool {
        self.now.recovering && self.before.as_ref().is_some_and(|before| !before.recovering)
    }
}

impl Delta {
    pub fn between(before: &ClusterImage, now: &ClusterImage) -> Delta {
        let mut delta = Delta {
            broker_configs: changed_keys(before.configs().brokers(), now.configs().brokers()),
            brokers: changed_keys(before.brokers().by_id(), now.brokers().by_id()),
            ..Delta::default()
        };
        for difference in before.topics().by_name().differences(now.topics().by_name()) {
            match difference {
                Difference::Added(_, topic) => delta.created(topic),
                Difference::Removed(_, topic) => delta.topics_deleted.push(Arc::clone(topic)),
                Difference::Changed { before, now, .. } if before.id != now.id => {
                    delta.topics_deleted.push(Arc::clone(before));
                    delta.created(now);
                }
                Difference::Changed { before, now, .. } => delta.partitions_of(now, &before.partitions),
            }
        }
        delta.topic_configs = changed_keys(before.configs().topics(), now.configs().topics());
        delta.topic_configs.retain(|name| now.topic(name).is_some());
        delta
    }

    pub fn is_empty(&self) -> bool {
        *self == Delta::default()
    }

    fn created(&mut self, topic: &Arc<TopicImage>) {
        self.topics_created.push(Arc::clone(topic));
        self.partitions_of(topic, &SharedMap::default());
    }

    fn partitions_of(&mut self, topic: &TopicImage, before: &SharedMap<PartitionIndex, PartitionImage>) {
        self.partitions
            .extend(before.differences(&topic.partitions).into_iter().map(|difference| {
                let (index, before, now) = match difference {
                    Difference::Added(index, now) => (index, None, now),
                    Difference::Changed { key, before, now } => (key, Some(before.clone()), now),
                    Difference::Removed(index, _) => unreachable!("partition {}-{index} cannot go without its topic", topic.name),
                };
                PartitionDelta {
                    topic: Arc::clone(&topic.name),
                    topic_id: topic.id,
                    index: *index,
                    before,
                    now: now.clone(),
                }
            }));
    }
}

fn changed_keys<K: Ord + Clone, V: PartialEq>(before: &SharedMap<K, V>, now: &SharedMap<K, V>) -> Vec<K> {
    let key_of = |difference| match difference {
        Difference::Added(key, _) | Difference::Removed(key, _) | Difference::Changed { key, .. } => K::clone(key),
    };
    before.differences(now).into_iter().map(key_of).collect()
}
