//! Balanced as well as possible; whoever had a partition keeps it as far as that allows.
//!
//! What members had is what they claim: two can claim one partition if one of them missed a rebalance. The newer generation wins;
//! claims of one generation cancel each other.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dohle_protocol::Message;
use dohle_protocol::consumer_protocol;
use dohle_protocol::wire::{Decoder, Encoder};

use super::equal_subscriptions::EqualSubscriptions;
use super::unequal_subscriptions::UnequalSubscriptions;
use super::{Assignments, MemberSubscription, Members, NO_GENERATION, PartitionCounts, by_topic, flattened};
use crate::cluster_metadata::TopicPartition;

/// What one member says that it had.
pub(super) struct Claim {
    pub(super) partitions: Vec<TopicPartition>,
    pub(super) generation: Option<i32>,
}

/// The claims of all, after contradictions are settled.
#[derive(Default)]
pub(super) struct Claims<'a> {
    pub(super) owned: BTreeMap<&'a str, BTreeSet<TopicPartition>>,
    /// Claimed by several in one generation, and so owned by none of them.
    pub(super) contested: BTreeSet<TopicPartition>,
    /// Who had a partition in an older generation than the newest.
    pub(super) earlier: BTreeMap<TopicPartition, &'a str>,
}

/// Partitions that someone else must give up first, and who is to have them then. `None`: not worked out.
pub(super) type Transfers = Option<BTreeMap<TopicPartition, String>>;

pub(super) fn assign(members: &Members, counts: &PartitionCounts, claim: fn(&MemberSubscription) -> Claim) -> (Assignments, Transfers) {
    let claims = settle(members, counts, claim);
    let mut subscriptions = members.values().map(|member| &member.topics);
    let first = subscriptions.next();
    if subscriptions.all(|topics| Some(topics) == first) {
        let (assignments, transfers) = EqualSubscriptions::new(&claims, counts).assign();
        (assignments, Some(transfers))
    } else {
        (UnequalSubscriptions::new(members, counts, &claims).assign(), None)
    }
}

fn settle<'a>(members: &'a Members, counts: &PartitionCounts, claim: fn(&MemberSubscription) -> Claim) -> Claims<'a> {
    let exists = |tp: &TopicPartition| counts.get(&tp.topic).is_some_and(|count| (0..*count).contains(&tp.partition));
    let claimed: Vec<(&str, i32, BTreeSet<TopicPartition>)> = members
        .iter()
        .map(|(id, member)| {
            let claim = claim(member);
            let partitions = claim.partitions.into_iter().filter(exists).collect();
            (id.as_str(), claim.generation.unwrap_or(NO_GENERATION), partitions)
        })
        .collect();
    let newest = claimed.iter().map(|(_, generation, _)| *generation).max().unwrap_or(NO_GENERATION);
    let mut claims = Claims::default();
    let mut owners: BTreeMap<TopicPartition, (&str, i32)> = BTreeMap::new();
    let mut earlier: BTreeMap<TopicPartition, (i32, &str)> = BTreeMap::new();
    for (id, generation, partitions) in claimed {
        claims.owned.entry(id).or_default();
        for tp in partitions {
            if generation < newest && earlier.get(&tp).is_none_or(|(known, _)| generation > *known) {
                earlier.insert(tp.clone(), (generation, id));
            }
            let rival = owners.get(&tp).copied();
            if rival.is_some_and(|(_, theirs)| theirs > generation) {
                continue;
            }
            if let Some((rival, theirs)) = rival {
                claims.owned.entry(rival).or_default().remove(&tp);
                if theirs == generation {
                    owners.insert(tp.clone(), (id, generation));
                    claims.contested.insert(tp);
                    continue;
                }
            }
            owners.insert(tp.clone(), (id, generation));
            claims.owned.entry(id).or_default().insert(tp);
        }
    }
    claims.earlier = earlier.into_iter().map(|(tp, (_, id))| (tp, id)).collect();
    claims
}

/// Kafka's `previous_assignment`, and from version 1 on the generation.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1")]
struct StickyUserData {
    previous_assignment: Vec<consumer_protocol::TopicPartition>,
    #[field(versions = "1+", default = -1)]
    generation: i32,
}

pub(super) fn user_data(generation: i32, partitions: &[TopicPartition]) -> Bytes {
    let data = StickyUserData {
        previous_assignment: by_topic(partitions),
        generation,
    };
    let mut encoder = Encoder::new();
    data.encode(&mut encoder, 1).expect("topic names are short");
    encoder.finish().to_bytes()
}

/// An eager member owns nothing when it joins: what it had is told in its user data. What cannot be read is no claim.
pub(super) fn claim(member: &MemberSubscription) -> Claim {
    let nothing = |generation| Claim {
        partitions: Vec::new(),
        generation,
    };
    let Some(bytes) = member.user_data.as_ref().filter(|bytes| !bytes.is_empty()) else {
        return nothing(None);
    };
    let with_generation = StickyUserData::decode(&mut Decoder::new(bytes.clone()), 1);
    let (data, generation) = match with_generation {
        Ok(data) => {
            let generation = data.generation;
            (data, Some(generation))
        }
        Err(_) => match StickyUserData::decode(&mut Decoder::new(bytes.clone()), 0) {
            Ok(data) => (data, None),
            Err(_) => return nothing(Some(NO_GENERATION)),
        },
    };
    Claim {
        partitions: flattened(data.previous_assignment),
        generation,
    }
}
