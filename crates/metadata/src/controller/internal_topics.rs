//! Topics that brokers keep for themselves: how many replicas they get, and that they get more when more brokers come.

use dohle_protocol::id::BrokerId;

use super::Controller;
use super::draft::Draft;
use super::partition_change::PartitionChange;
use super::placement::place;
use super::random::Random;
use super::reassignments::head_for;
use crate::image::ClusterImage;
use crate::limits::INTERNAL_REPLICATION_FACTOR;
use crate::record::MetadataRecord;
use crate::topic_name;

/// The topics that grow, and the keys of their replication factors.
const GROWING: [(&str, &str); 2] = [
    (topic_name::CONSUMER_OFFSETS, "offsets.topic.replication.factor"),
    (topic_name::TRANSACTION_STATE, "transaction.state.log.replication.factor"),
];

/// As many as are safe, or as there are brokers.
pub fn internal_replication_factor(image: &ClusterImage, configured: Option<i16>) -> i16 {
    configured.unwrap_or_else(|| INTERNAL_REPLICATION_FACTOR.min(image.brokers().len()).max(1) as i16)
}

impl Controller {
    /// Whoever started first has created these topics with the brokers there were. They are moved to more as these come, up to what is
    /// configured.
    pub(super) fn grow_internal_topics(&self, draft: &mut Draft) {
        for (name, key) in GROWING {
            let configured = self.view(draft.image()).get(key).and_then(|value| value.parse().ok());
            let records = self.growth(draft.image(), name, configured.unwrap_or(INTERNAL_REPLICATION_FACTOR));
            draft.extend(records);
        }
    }

    fn growth(&self, image: &ClusterImage, name: &str, replication_factor: usize) -> Vec<MetadataRecord> {
        let brokers = image.brokers();
        let active = brokers.iter().filter(|broker| broker.is_active()).count();
        let wanted = replication_factor.min(active);
        let Some(topic) = image.topic(name).filter(|topic| topic.replication_factor() < wanted) else {
            return Vec::new();
        };
        // The same brokers lead to the same places, whoever decides.
        let mut random = Random::new(topic.id.0.as_u128());
        let Ok(targets) = place(brokers, topic.partitions.len(), wanted, &mut random) else {
            return Vec::new();
        };
        let rules = self.rules(image, name);
        let moves = topic.partitions.iter().zip(targets).map(|((index, partition), target)| {
            let mut change = PartitionChange::new(partition, rules);
            head_for(&mut change.after, keeping(&partition.replicas, target));
            change.record(topic.id, *index, &|id| brokers.is_active(id)).map(Into::into)
        });
        moves.flatten().collect()
    }
}

/// The target, with the replicas that there are in the place of others: nothing has to be copied that is where it can be.
fn keeping(existing: &[BrokerId], mut target: Vec<BrokerId>) -> Vec<BrokerId> {
    let missing: Vec<BrokerId> = existing.iter().copied().filter(|id| !target.contains(id)).collect();
    for id in missing {
        if let Some(other) = target.iter_mut().rev().find(|other| !existing.contains(other)) {
            *other = id;
        }
    }
    target
}
