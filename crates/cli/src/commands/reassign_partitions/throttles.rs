//! The configurations by which the copying of moving replicas is slowed down: rates of brokers, and lists of replicas of topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dohle_client::admin::configs::{ConfigChange, Resource};
use dohle_client::admin::reassignments::Reassignment;
use dohle_client::{Admin, TopicPartition};
use dohle_protocol::ErrorCode;

use super::plan::Plan;

const BROKER_KEYS: [&str; 3] = [
    "leader.replication.throttled.rate",
    "follower.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
];
const TOPIC_KEYS: [&str; 2] = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

/// From where to where the replicas of one partition are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    sources: BTreeSet<i32>,
    destinations: BTreeSet<i32>,
}

pub(super) type Reassignments = BTreeMap<TopicPartition, Reassignment>;

/// Slows down what goes on and what is about to begin.
pub(super) async fn set(
    admin: &Admin,
    bytes_per_second: i64,
    ongoing: &Reassignments,
    proposed: &Plan,
    current: &Plan,
) -> anyhow::Result<()> {
    let moves = moves(ongoing, proposed, current);
    for (topic, moves) in by_topic(&moves) {
        let [leaders, followers] = TOPIC_KEYS.map(str::to_owned);
        let changes = [
            ConfigChange::Set(leaders, replica_list(&moves, |one| &one.sources)),
            ConfigChange::Set(followers, replica_list(&moves, |one| &one.destinations)),
        ];
        admin.alter_configs(&Resource::Topic(topic.to_string()), &changes).await?;
    }
    let brokers: BTreeSet<i32> = moves
        .values()
        .flat_map(|one| one.sources.union(&one.destinations).copied())
        .collect();
    let rates = &BROKER_KEYS[..2];
    let changes: Vec<ConfigChange> = rates
        .iter()
        .map(|key| ConfigChange::Set((*key).to_owned(), bytes_per_second.to_string()))
        .collect();
    for id in brokers {
        admin.alter_configs(&Resource::Broker(id), &changes).await?;
    }
    println!("The inter-broker throttle limit was set to {bytes_per_second} B/s");
    Ok(())
}

/// Of all brokers, since nobody knows any more which ones had a part in it.
pub(super) async fn clear(admin: &Admin, targets: &Plan) -> anyhow::Result<()> {
    let mut brokers: BTreeSet<i32> = admin
        .describe_cluster(false)
        .await?
        .brokers
        .iter()
        .map(|described| described.broker.id)
        .collect();
    brokers.extend(targets.values().flatten());
    let ids: Vec<i32> = brokers.into_iter().collect();
    println!(
        "Clearing broker-level throttles on broker{} {}",
        plural(ids.len()),
        super::join(&ids)
    );
    let deletions = |keys: &[&str]| -> Vec<ConfigChange> { keys.iter().map(|key| ConfigChange::Delete((*key).to_owned())).collect() };
    for id in ids {
        admin.alter_configs(&Resource::Broker(id), &deletions(&BROKER_KEYS)).await?;
    }
    let topics: BTreeSet<&Arc<str>> = targets.keys().map(|tp| &tp.topic).collect();
    let names: Vec<&str> = topics.iter().map(|topic| &***topic).collect();
    println!("Clearing topic-level throttles on topic{} {}", plural(names.len()), names.join(","));
    for name in names {
        match admin
            .alter_configs(&Resource::Topic(name.to_owned()), &deletions(&TOPIC_KEYS))
            .await
        {
            // It was deleted, and its configuration with it.
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
            cleared => cleared?,
        }
    }
    Ok(())
}

pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// What is moving already is copied from where it was when that began.
fn moves(ongoing: &Reassignments, proposed: &Plan, current: &Plan) -> BTreeMap<TopicPartition, Move> {
    let of_ongoing = |(tp, moving): (&TopicPartition, &Reassignment)| {
        let destinations: BTreeSet<i32> = moving.adding.iter().copied().collect();
        let sources = moving.replicas.iter().copied().filter(|id| !destinations.contains(id)).collect();
        (tp.clone(), Move { sources, destinations })
    };
    let mut moves: BTreeMap<TopicPartition, Move> = ongoing.iter().map(of_ongoing).collect();
    for (tp, replicas) in proposed {
        let sources: BTreeSet<i32> = match moves.get(tp) {
            Some(ongoing) => ongoing.sources.clone(),
            None => current.get(tp).into_iter().flatten().copied().collect(),
        };
        let destinations = replicas.iter().copied().filter(|id| !sources.contains(id)).collect();
        moves.insert(tp.clone(), Move { sources, destinations });
    }
    moves
}

fn by_topic(moves: &BTreeMap<TopicPartition, Move>) -> BTreeMap<&str, Vec<(i32, &Move)>> {
    let mut topics: BTreeMap<&str, Vec<(i32, &Move)>> = BTreeMap::new();
    for (tp, one) in moves {
        topics.entry(&*tp.topic).or_default().push((tp.partition, one));
    }
    topics
}

/// `partition:broker` pairs, in the order of their text.
fn replica_list(moves: &[(i32, &Move)], brokers: fn(&Move) -> &BTreeSet<i32>) -> String {
    let pairs = moves
        .iter()
        .flat_map(|(partition, one)| brokers(one).iter().map(move |id| format!("{partition}:{id}")));
    let pairs: BTreeSet<String> = pairs.collect();
    pairs.into_iter().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(moves: &BTreeMap<TopicPartition, Move>, topic: &str) -> (String, String) {
        let of_topic = &by_topic(moves)[topic];
        (
            replica_list(of_topic, |one| &one.sources),
            replica_list(of_topic, |one| &one.destinations),
        )
    }

    #[test]
    fn replicas_are_throttled_where_they_come_from_and_where_they_go() {
        let current = Plan::from([(TopicPartition::new("t", 0), vec![1, 2]), (TopicPartition::new("t", 1), vec![2, 3])]);
        let proposed = Plan::from([(TopicPartition::new("t", 0), vec![3, 2]), (TopicPartition::new("t", 1), vec![2])]);
        let moves = moves(&Reassignments::new(), &proposed, &current);
        assert_eq!(lists(&moves, "t"), ("0:1,0:2,1:2,1:3".to_owned(), "0:3".to_owned()));
    }

    #[test]
    fn what_moves_already_stays_throttled_from_its_first_sources() {
        let moving = Reassignment {
            replicas: vec![3, 1],
            adding: vec![3],
            removing: vec![1],
        };
        let ongoing = Reassignments::from([(TopicPartition::new("t", 0), moving.clone()), (TopicPartition::new("u", 0), moving)]);
        let proposed = Plan::from([(TopicPartition::new("t", 0), vec![4])]);
        let current = Plan::from([(TopicPartition::new("t", 0), vec![3, 1])]);
        let moves = moves(&ongoing, &proposed, &current);
        assert_eq!(lists(&moves, "t"), ("0:1".to_owned(), "0:4".to_owned()));
        assert_eq!(lists(&moves, "u"), ("0:1".to_owned(), "0:3".to_owned()));
    }
}
