//! Who of a group reads which partitions. The leader of the group decides it for all, by the assignor that every member knows.
//!
//! Pure: subscriptions and numbers of partitions in, assignments out, the same for the same input. The results are those of Kafka's
//! assignors of the same names wherever these are defined by more than the iteration order of a hash map, so that it does not matter
//! which client of a mixed group is the leader. Racks are not looked at.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::consumer_protocol;

use crate::cluster_metadata::TopicPartition;

mod cooperative_sticky;
mod equal_subscriptions;
mod range;
mod round_robin;
mod sticky;
mod unequal_subscriptions;

/// The values of `partition.assignment.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// Topic by topic, neighbouring partitions: partition n of topics of one size goes to one member.
    Range,
    /// One partition after the other to one member after the other.
    RoundRobin,
    /// Balanced, and whoever had a partition keeps it if possible; everything is given up before a rebalance.
    Sticky,
    /// Like `Sticky`, but only what moves is given up, and moves in a second rebalance.
    CooperativeSticky,
}

/// What one member wants and has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MemberSubscription {
    pub(crate) instance_id: Option<String>,
    pub(crate) topics: BTreeSet<Arc<str>>,
    pub(crate) owned: Vec<TopicPartition>,
    /// In which generation it came to own that, if it says so.
    pub(crate) generation: Option<i32>,
    pub(crate) user_data: Option<Bytes>,
}

/// Members by their id.
pub(crate) type Members = BTreeMap<String, MemberSubscription>;

/// The numbers of partitions of the topics that exist.
pub(crate) type PartitionCounts = BTreeMap<Arc<str>, i32>;

/// Every member has an entry, if only an empty one.
pub(crate) type Assignments = BTreeMap<String, Vec<TopicPartition>>;

impl Assignor {
    const ALL: [Assignor; 4] = [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];

    /// As members of a group call it among themselves.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::Sticky => "sticky",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    pub fn named(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// By the name of Kafka's class, or the short name.
    pub(crate) fn configured(name: &str) -> Option<Assignor> {
        match name.strip_prefix("org.apache.kafka.clients.consumer.") {
            Some("RangeAssignor") => Some(Assignor::Range),
            Some("RoundRobinAssignor") => Some(Assignor::RoundRobin),
            Some("StickyAssignor") => Some(Assignor::Sticky),
            Some("CooperativeStickyAssignor") => Some(Assignor::CooperativeSticky),
            _ => Assignor::named(name),
        }
    }

    /// Whether members may keep partitions through a rebalance.
    pub fn is_cooperative(self) -> bool {
        self == Assignor::CooperativeSticky
    }

    /// What a member tells the leader beside its subscription: what it had in its last generation.
    pub(crate) fn user_data(self, last: Option<(i32, &[TopicPartition])>) -> Option<Bytes> {
        match self {
            Assignor::Range | Assignor::RoundRobin => None,
            Assignor::Sticky => last.map(|(generation, partitions)| sticky::user_data(generation, partitions)),
            Assignor::CooperativeSticky => Some(cooperative_sticky::user_data(
                last.map_or(NO_GENERATION, |(generation, _)| generation),
            )),
        }
    }

    /// Topics that do not exist are left out, whoever subscribes to them.
    pub(crate) fn assign(self, members: &Members, counts: &PartitionCounts) -> Assignments {
        let subscribed = |topic: &Arc<str>| members.values().any(|member| member.topics.contains(topic));
        let counts: PartitionCounts = counts
            .iter()
            .filter(|(topic, count)| **count > 0 && subscribed(topic))
            .map(|(topic, count)| (topic.clone(), *count))
            .collect();
        match self {
            Assignor::Range => range::assign(members, &counts),
            Assignor::RoundRobin => round_robin::assign(members, &counts),
            Assignor::Sticky => sticky::assign(members, &counts, sticky::claim).0,
            Assignor::CooperativeSticky => cooperative_sticky::assign(members, &counts),
        }
    }
}

/// Of a member that was in no generation yet.
const NO_GENERATION: i32 = -1;

/// The order in which range and round-robin go through the members: static ones first, by their instance ids, which outlive a restart.
fn by_identity(a: &(&String, &MemberSubscription), b: &(&String, &MemberSubscription)) -> Ordering {
    match (&a.1.instance_id, &b.1.instance_id) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.0.cmp(b.0),
    }
}

fn partitions_of(topic: &Arc<str>, count: i32) -> impl Iterator<Item = TopicPartition> + use<> {
    let topic = topic.clone();
    (0..count).map(move |partition| TopicPartition {
        topic: topic.clone(),
        partition,
    })
}

/// As partitions are listed on the wire: topic by topic.
pub(crate) fn by_topic(partitions: &[TopicPartition]) -> Vec<consumer_protocol::TopicPartition> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for tp in partitions {
        topics.entry(&tp.topic).or_default().push(tp.partition);
    }
    let topic = |(topic, partitions): (&str, Vec<i32>)| consumer_protocol::TopicPartition {
        topic: topic.to_owned(),
        partitions,
    };
    topics.into_iter().map(topic).collect()
}

pub(crate) fn flattened(topics: Vec<consumer_protocol::TopicPartition>) -> Vec<TopicPartition> {
    let partitions = |listed: consumer_protocol::TopicPartition| {
        let topic: Arc<str> = Arc::from(listed.topic);
        listed.partitions.into_iter().map(move |partition| TopicPartition {
            topic: topic.clone(),
            partition,
        })
    };
    topics.into_iter().flat_map(partitions).collect()
}

#[cfg(test)]
mod tests;
