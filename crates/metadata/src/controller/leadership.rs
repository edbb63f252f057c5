//! Who leads the partitions of a broker that goes, that is back, or that cannot be trusted.

use dohle_protocol::id::BrokerId;

use super::Controller;
use super::draft::Draft;
use super::partition_change::{PartitionChange, TopicRules};
use crate::config::topic::topic_key;
use crate::image::ClusterImage;
use crate::image::topics::PartitionImage;

/// How a broker goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It stops and keeps all it acknowledged. Of a cluster that stops with it, it is the leader in the same epoch as soon as it is back.
    InOrder,
    /// It may come back with less: whatever it leads next, it leads in a new epoch.
    Lost,
}

impl Controller {
    /// Takes the broker out of the in-sync replicas and the leaderships, as far as there are others.
    pub(super) fn leave(&self, draft: &mut Draft, broker: BrokerId, leaving: Leaving) {
        let brokers = draft.image().brokers().clone();
        let keep_leader = leaving == Leaving::InOrder && !brokers.iter().any(|other| other.id != broker && other.is_active());
        let concerned = |partition: &PartitionImage| partition.leader == broker || partition.isr.contains(&broker);
        let edit = |change: &mut PartitionChange| {
            change.remove_from_isr(broker);
            change.keep_leader = keep_leader;
        };
        self.change_partitions(draft, concerned, edit, &|id| id != broker && brokers.is_active(id));
    }

    /// The broker may have lost what it held: it leads nothing, and others count as in sync, if there are any.
    pub(super) fn distrust(&self, draft: &mut Draft, broker: BrokerId) {
        let brokers = draft.image().brokers().clone();
        let concerned =
            |partition: &PartitionImage| partition.leader == broker || partition.isr.contains(&broker) || partition.elr.contains(&broker);
        let edit = |change: &mut PartitionChange| change.distrust(broker);
        self.change_partitions(draft, concerned, edit, &|id| id != broker && brokers.is_active(id));
    }

    /// Elects leaders where there are none and somebody may lead (again).
    pub(super) fn elect(&self, draft: &mut Draft) {
        let brokers = draft.image().brokers().clone();
        let concerned = |partition: &PartitionImage| !brokers.is_active(partition.leader);
        self.change_partitions(draft, concerned, |_| {}, &|id| brokers.is_active(id));
    }

    /// After `min.insync.replicas` was changed: where enough replicas are in sync now, records are committed, and nobody else is eligible.
    pub(super) fn review_eligible(&self, draft: &mut Draft) {
        let brokers = draft.image().brokers().clone();
        let concerned = |partition: &PartitionImage| !partition.elr.is_empty() || !partition.last_known_elr.is_empty();
        let keep = |change: &mut PartitionChange| change.keep_leader = true;
        self.change_partitions(draft, concerned, keep, &|id| brokers.is_active(id));
    }

    /// Changes all partitions that are `concerned`, as far as `edit` makes a difference to them.
    pub(super) fn change_partitions(
        &self,
        draft: &mut Draft,
        concerned: impl Fn(&PartitionImage) -> bool,
        edit: impl Fn(&mut PartitionChange),
        can_lead: &dyn Fn(BrokerId) -> bool,
    ) {
        let image = draft.image();
        let mut records = Vec::new();
        for topic in image.topics().iter() {
            let mut of_topic = topic.partitions.iter().filter(|(_, partition)| concerned(partition)).peekable();
            if of_topic.peek().is_none() {
                continue;
            }
            let rules = self.rules(image, &topic.name);
            records.extend(of_topic.filter_map(|(index, partition)| {
                let mut change = PartitionChange::new(partition, rules);
                edit(&mut change);
                change.record(topic.id, *index, can_lead).map(Into::into)
            }));
        }
        draft.extend(records);
    }

    pub(super) fn rules(&self, image: &ClusterImage, topic: &str) -> TopicRules {
        let value_of = |name: &str| match image.topic_config(topic).get(name) {
            Some(value) => value.clone(),
            None => topic_key(name).map_or_else(String::new, |key| self.view(image).topic_default(key)),
        };
        TopicRules {
            min_insync_replicas: value_of("min.insync.replicas").trim().parse().unwrap_or(1),
            unclean_election: value_of("unclean.leader.election.enable").trim().eq_ignore_ascii_case("true"),
        }
    }
}
