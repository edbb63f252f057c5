//! What a healed world has to come to.

use std::collections::{BTreeMap, BTreeSet};

use dohle_coordinator::{GroupShard, GroupState};

use super::assignment::Place;
use super::member::{Member, Phase};
use super::plan::{PARTITIONS, TOPICS};

fn living(members: &[Member]) -> BTreeMap<&str, Vec<&Member>> {
    let mut groups: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in members.iter().filter(|member| member.phase != Phase::Dead) {
        groups.entry(member.plan.group).or_default().push(member);
    }
    groups
}

/// Everybody who lives has an assignment, if only an empty one, in the same generation as the others of its group.
pub(super) fn all_settled(members: &[Member]) -> Result<(), String> {
    for (group, members) in living(members) {
        if let Some(member) = members.iter().find(|member| member.phase != Phase::Stable) {
            return Err(format!("a member of {group} is {:?}: {:?}", member.phase, member.id));
        }
        let generations: BTreeSet<i32> = members.iter().map(|member| member.generation).collect();
        if generations.len() > 1 {
            return Err(format!("members of {group} are in the generations {generations:?}"));
        }
    }
    Ok(())
}

/// Each partition that anybody wants has one owner, and the coordinator knows nobody else.
pub(super) fn all_shared(members: &[Member], shard: Option<&mut GroupShard>) -> Result<(), String> {
    all_settled(members)?;
    let Some(shard) = shard else {
        return Err("there is no coordinator".to_owned());
    };
    for (group, members) in living(members) {
        let owned: Vec<Place> = members.iter().flat_map(|member| member.places.iter().copied()).collect();
        let distinct: BTreeSet<Place> = owned.iter().copied().collect();
        if distinct.len() < owned.len() {
            return Err(format!("members of {group} own {owned:?}"));
        }
        let wanted = wanted(&members);
        if distinct != wanted {
            return Err(format!("members of {group} own {distinct:?}, and should own {wanted:?}"));
        }
        let summary = shard.groups().find(|summary| summary.id == group);
        let is_right = summary
            .as_ref()
            .is_some_and(|summary| (summary.state, summary.members) == (GroupState::Stable, members.len()));
        if !is_right {
            return Err(format!(
                "{group} has {} members, and the coordinator says {summary:?}",
                members.len()
            ));
        }
    }
    Ok(())
}

fn wanted(members: &[&Member]) -> BTreeSet<Place> {
    let is_wanted = |topic: &str| members.iter().any(|member| member.plan.topics.contains(&topic));
    let topics = TOPICS.iter().enumerate().filter(|(_, topic)| is_wanted(topic));
    topics
        .flat_map(|(index, _)| (0..PARTITIONS[index]).map(move |partition| (index as u8, partition)))
        .collect()
}
