//! What a leader hands out. The coordinator does not read it, so it is kept short: a byte for the topic, a byte for the partition.

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_protocol::consumer_protocol::ConsumerProtocolSubscription;
use dohle_protocol::messages::join_group::JoinGroupResponseMember;

use super::plan::{PARTITIONS, TOPICS};

/// Topic and partition.
pub(super) type Place = (u8, u8);

/// Assignments that begin with this come from a stranger, and mean nothing.
pub(super) const GARBAGE: u8 = 0xFF;

pub(super) fn encode(places: &[Place]) -> Bytes {
    places.iter().flat_map(|(topic, partition)| [*topic, *partition]).collect()
}

/// None for garbage.
pub(super) fn decode(assignment: &Bytes) -> Option<Vec<Place>> {
    if assignment.first() == Some(&GARBAGE) {
        return None;
    }
    Some(assignment.chunks_exact(2).map(|place| (place[0], place[1])).collect())
}

pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        ..Default::default()
    };
    subscription.encode(1)
}

pub(super) fn topics_of(subscription: &Bytes) -> Option<Vec<String>> {
    ConsumerProtocolSubscription::decode(subscription.clone())
        .ok()
        .map(|subscription| subscription.topics)
}

/// Everybody owns something else in the next generation, so that nobody can be right by accident.
pub(super) fn assign(roster: &[JoinGroupResponseMember], generation: i32) -> BTreeMap<String, Vec<Place>> {
    let mut assigned: BTreeMap<String, Vec<Place>> = roster.iter().map(|member| (member.member_id.clone(), Vec::new())).collect();
    let wishes: Vec<(&str, Vec<String>)> = roster
        .iter()
        .map(|member| (member.member_id.as_str(), topics_of(&member.metadata).unwrap_or_default()))
        .collect();
    for (topic, name) in TOPICS.iter().enumerate() {
        let subscribed = wishes.iter().filter(|(_, topics)| topics.iter().any(|wanted| wanted == name));
        let subscribers: Vec<&str> = subscribed.map(|(id, _)| *id).collect();
        for partition in 0..PARTITIONS[topic] {
            let turn = usize::from(partition) + generation.unsigned_abs() as usize;
            if let Some(id) = subscribers.get(turn % subscribers.len().max(1)) {
                assigned.entry((*id).to_owned()).or_default().push((topic as u8, partition));
            }
        }
    }
    assigned
}
