//! The course of a rebalance: it begins, waits for JoinGroup of everybody, and ends in a new generation.

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::sync_group::SyncGroupResponse;

use super::join::generation_of;
use super::{Group, GroupState, InitialDelay, Member};
use crate::mutant::{Mutant, mutant_is};
use crate::request::GroupResponse;
use crate::turn::{Turn, join_timer, sync_timer};

impl Turn<'_> {
    /// Something has changed that needs a new generation.
    pub(super) fn rebalance(&mut self, group: &mut Group) {
        if group.state == GroupState::PreparingRebalance {
            self.maybe_complete_join(group);
        } else {
            self.prepare_rebalance(group);
        }
    }

    pub(super) fn prepare_rebalance(&mut self, group: &mut Group) {
        if group.state == GroupState::CompletingRebalance {
            for member in group.members.values_mut() {
                member.assignment = Bytes::new();
            }
            self.answer_syncs(group, ErrorCode::RebalanceInProgress);
        }
        group.unsynced.clear();
        self.cancel(sync_timer(&group.id));

        let was_empty = group.state == GroupState::Empty;
        group.enter(GroupState::PreparingRebalance, self.now_ms);
        if was_empty {
            let delay_ms = i64::from(self.config.initial_rebalance_delay_ms.max(0));
            group.initial_delay = Some(InitialDelay {
                extend: false,
                delay_ms,
                remaining_ms: (group.rebalance_timeout_ms() - delay_ms).max(0),
            });
            self.arm(join_timer(&group.id), delay_ms);
        } else if group.all_joined() {
            self.complete_join(group);
        } else if !mutant_is(Mutant::RebalanceEndless) {
            self.arm(join_timer(&group.id), group.rebalance_timeout_ms());
        }
    }

    /// An empty group waits for its delay, whoever has come.
    pub(super) fn maybe_complete_join(&mut self, group: &mut Group) {
        if group.state == GroupState::PreparingRebalance && group.initial_delay.is_none() && group.all_joined() {
            self.complete_join(group);
        }
    }

    /// Ends PreparingRebalance. Dynamic members that have not joined are out; static ones may be restarting, and stay until their session ends.
    pub(super) fn complete_join(&mut self, group: &mut Group) {
        assert_eq!(
            group.state,
            GroupState::PreparingRebalance,
            "only a rebalance that was prepared can be completed"
        );
        self.cancel(join_timer(&group.id));
        group.initial_delay = None;
        let is_late = |member: &Member| member.joining.is_none() && member.instance_id.is_none();
        let late: Vec<String> = group
            .members
            .values()
            .filter(|member| is_late(member))
            .map(|member| member.id.clone())
            .collect();
        for member_id in late {
            self.remove_member(group, &member_id);
        }
        if !group.elect_joined_leader() && !group.members.is_empty() {
            self.arm(join_timer(&group.id), group.rebalance_timeout_ms());
            return;
        }
        group.begin_generation(self.now_ms);
        if group.state == GroupState::Empty {
            self.record(group.to_record());
        } else {
            self.announce_generation(group);
        }
    }

    fn announce_generation(&mut self, group: &mut Group) {
        let mut roster = group.roster();
        let mut answers = Vec::with_capacity(group.members.len());
        for member in group.members.values_mut() {
            member.is_new = false;
            self.extend_session(&group.id, member);
            group.unsynced.insert(member.id.clone());
            answers.extend(member.joining.take().map(|waiter| (waiter, member.id.clone())));
        }
        for (waiter, member_id) in answers {
            let mut response = generation_of(group, &member_id);
            if group.is_leader(&member_id) {
                response.members = std::mem::take(&mut roster);
            }
            self.reply_join(waiter, response);
        }
        self.arm(sync_timer(&group.id), group.rebalance_timeout_ms());
    }

    /// Answers every parked SyncGroup: with the member's assignment, or with an error.
    pub(super) fn answer_syncs(&mut self, group: &mut Group, error: ErrorCode) {
        let is_ok = error == ErrorCode::None;
        for member in group.members.values_mut() {
            let Some(waiter) = member.syncing.take() else { continue };
            self.extend_session(&group.id, member);
            if !is_ok && mutant_is(Mutant::SyncForgotten) {
                continue;
            }
            let response = SyncGroupResponse {
                error_code: error.code(),
                protocol_type: group.protocol_type.clone().filter(|_| is_ok),
                protocol_name: group.protocol.clone().filter(|_| is_ok),
                assignment: member.assignment.clone(),
                ..Default::default()
            };
            self.reply(waiter.token, GroupResponse::Sync(response));
        }
    }
}
