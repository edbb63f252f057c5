//! Sticky, in two steps: what moves is first taken from the one, and assigned to the other when the group joins again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::sticky::{self, Claim};
use super::{Assignments, MemberSubscription, Members, NO_GENERATION, PartitionCounts};
use crate::cluster_metadata::TopicPartition;

pub(super) fn assign(members: &Members, counts: &PartitionCounts) -> Assignments {
    let (mut assignments, transfers) = sticky::assign(members, counts, claim);
    let transfers = transfers.unwrap_or_else(|| transfers_between(members, &assignments));
    for (tp, receiver) in transfers {
        assignments.entry(receiver).or_default().retain(|assigned| *assigned != tp);
    }
    assignments
}

/// What one member would get while another still has it.
fn transfers_between(members: &Members, assignments: &Assignments) -> BTreeMap<TopicPartition, String> {
    let mut added = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (id, member) in members {
        let owned: BTreeSet<&TopicPartition> = member.owned.iter().collect();
        let assigned: BTreeSet<&TopicPartition> = assignments[id].iter().collect();
        added.extend(assigned.difference(&owned).map(|tp| ((*tp).clone(), id.clone())));
        taken.extend(owned.difference(&assigned).map(|tp| (*tp).clone()));
    }
    added.retain(|tp, _| taken.contains(tp));
    added
}

/// The generation, for leaders whose subscriptions have no field for it.
pub(super) fn user_data(generation: i32) -> Bytes {
    Bytes::copy_from_slice(&generation.to_be_bytes())
}

fn claim(member: &MemberSubscription) -> Claim {
    let in_user_data = || {
        let bytes = member.user_data.as_ref()?;
        let generation = bytes.get(..4).and_then(|bytes| bytes.try_into().ok());
        Some(generation.map_or(NO_GENERATION, i32::from_be_bytes))
    };
    Claim {
        partitions: member.owned.clone(),
        generation: member.generation.or_else(in_user_data),
    }
}
