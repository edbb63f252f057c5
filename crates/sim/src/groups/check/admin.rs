//! What tools are shown: the members that there are, the groups that there are.

use std::collections::BTreeSet;

use dohle_coordinator::GroupRequest;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_groups::DescribedGroup;
use dohle_protocol::messages::list_groups::ListedGroup;

use super::{Checker, Step};
use crate::violation::{Violation, demand};

impl Checker {
    /// Somebody is in the group or on the way into it, as far as can be seen.
    pub(super) fn has_somebody(&self, group: &str) -> bool {
        let has_members = self.groups.get(group).is_some_and(|live| !live.members.is_empty());
        has_members || self.strangers(group) > 0
    }

    /// Members that wait to be told their id: nobody can name them.
    fn strangers(&self, group: &str) -> usize {
        let is_stranger = |request: &GroupRequest| match request {
            GroupRequest::Join(join) => join.group_id == group && join.member_id.is_empty(),
            _ => false,
        };
        self.open.values().filter(|open| is_stranger(&open.request)).count()
    }

    pub(super) fn on_described(&self, step: Step<'_>, group: &str, response: &DescribedGroup) -> Result<(), Violation> {
        let exists = self.facts.groups.contains_key(group);
        demand!(exists == (response.group_state != "Dead"), "{group} is {}", response.group_state);
        let empty = super::LiveGroup::default();
        let live = self.groups.get(group).unwrap_or(&empty);
        let mut unknown = 0;
        for member in &response.members {
            let Some(known) = live.members.get(&member.member_id) else {
                unknown += 1;
                continue;
            };
            let is_parked = self.is_parked(group, &member.member_id);
            demand!(
                !known.must_be_gone(self.timers_ran_ms, is_parked),
                "{} is still there at {}, though its session has ended: {known:?}",
                member.member_id,
                step.now_ms
            );
        }
        demand!(
            unknown <= self.strangers(group),
            "{group} has members that never joined: {:?}",
            response.members
        );
        let listed: BTreeSet<&str> = response.members.iter().map(|member| member.member_id.as_str()).collect();
        for (id, member) in live.members.iter().filter(|(id, _)| !listed.contains(id.as_str())) {
            let is_parked = self.is_parked(group, id);
            demand!(
                member.may_be_gone(step.now_ms, is_parked),
                "{id} is not there, and there is no reason for that: {member:?}"
            );
        }
        if response.group_state == "Stable" {
            let recorded = self.facts.generation(group);
            let mut assigned = recorded.into_iter().flat_map(|value| &value.members);
            let is_recorded = assigned.all(|of_log| {
                let mut shown = response.members.iter();
                shown.any(|member| member.member_id == of_log.member_id && member.member_assignment == of_log.assignment)
            });
            demand!(is_recorded, "{group} is stable, and not as it is in the log");
        }
        Ok(())
    }

    pub(super) fn on_listed(&self, states: &[String], listed: &[ListedGroup]) -> Result<(), Violation> {
        let ids: BTreeSet<&str> = listed.iter().map(|group| group.group_id.as_str()).collect();
        let invented = ids.iter().find(|id| !self.facts.groups.contains_key(**id));
        demand!(invented.is_none(), "{invented:?} is listed, and does not exist");
        if states.is_empty() {
            let missing = self.facts.lasting().into_iter().find(|id| !ids.contains(id));
            demand!(missing.is_none(), "{missing:?} exists, and is not listed");
        } else {
            let other = listed.iter().find(|group| group.group_state != "Stable");
            demand!(other.is_none(), "only stable groups were asked for, not {other:?}");
        }
        Ok(())
    }

    pub(super) fn on_group_deleted(&self, group: &str, error: ErrorCode) -> Result<(), Violation> {
        let exists = self.facts.groups.contains_key(group);
        match error {
            ErrorCode::None => demand!(!exists, "{group} was deleted, and exists"),
            ErrorCode::GroupIdNotFound => demand!(!exists, "{group} exists"),
            ErrorCode::NonEmptyGroup => {}
            other => return Err(Violation(format!("DeleteGroups is answered with {other}"))),
        }
        Ok(())
    }
}
