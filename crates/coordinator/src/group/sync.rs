//! SyncGroup: the leader's carries the assignments, and makes the generation a fact; everybody else's waits for that.

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};

use super::{Group, GroupState, Waiter};
use crate::mutant::{Mutant, mutant_is};
use crate::request::GroupResponse;
use crate::turn::{Turn, sync_timer};

/// From this version on a member has to say what it believes the protocol to be (KIP-559).
const PROTOCOL_REQUIRED_SINCE: i16 = 5;

impl Turn<'_> {
    pub(crate) fn sync(&mut self, waiter: Waiter, request: &SyncGroupRequest) {
        let is_complete = request.protocol_type.is_some() && request.protocol_name.is_some();
        if waiter.api_version >= PROTOCOL_REQUIRED_SINCE && !is_complete {
            return self.refuse_sync(waiter, ErrorCode::InconsistentGroupProtocol);
        }
        if request.group_id.is_empty() {
            return self.refuse_sync(waiter, ErrorCode::InvalidGroupId);
        }
        let Some(mut group) = self.take(&request.group_id) else {
            return self.refuse_sync(waiter, ErrorCode::UnknownMemberId);
        };
        match check(&group, request) {
            Ok(()) if group.state == GroupState::Stable => self.repeat_assignment(&mut group, waiter, &request.member_id),
            Ok(()) => self.sync_generation(&mut group, waiter, request),
            Err(error) => self.refuse_sync(waiter, error),
        }
        self.put(group);
    }

    fn sync_generation(&mut self, group: &mut Group, waiter: Waiter, request: &SyncGroupRequest) {
        self.mark_synced(group, &request.member_id);
        if let Some(member) = group.members.get_mut(&request.member_id)
            && let Some(earlier) = member.syncing.replace(waiter)
        {
            self.refuse_sync(earlier, ErrorCode::RebalanceInProgress);
        }
        if group.is_leader(&request.member_id) || mutant_is(Mutant::AssignmentFromFollower) {
            self.assign(group, &request.assignments);
        }
    }

    /// Members that the leader has left out get nothing; assignments to strangers are dropped.
    fn assign(&mut self, group: &mut Group, assignments: &[SyncGroupRequestAssignment]) {
        let by_member: BTreeMap<&str, &Bytes> = assignments
            .iter()
            .map(|given| (given.member_id.as_str(), &given.assignment))
            .collect();
        for member in group.members.values_mut() {
            let given = by_member.get(member.id.as_str());
            member.assignment = given.map_or_else(Bytes::new, |bytes| Bytes::copy_from_slice(bytes));
        }
        let before = group.state_since_ms;
        group.enter(GroupState::Stable, self.now_ms);
        let record = group.to_record();
        if self.fits(&record) && self.has_room_for(group, group.bytes()) {
            self.record(record);
            self.soft.counters.rebalances += 1;
            self.answer_syncs(group, ErrorCode::None);
        } else {
            group.enter(GroupState::CompletingRebalance, before);
            for member in group.members.values_mut() {
                member.assignment = Bytes::new();
            }
            self.answer_syncs(group, ErrorCode::UnknownServerError);
            self.prepare_rebalance(group);
        }
    }

    fn repeat_assignment(&mut self, group: &mut Group, waiter: Waiter, member_id: &str) {
        self.mark_synced(group, member_id);
        let assignment = group.members.get(member_id).map(|member| member.assignment.clone());
        let response = SyncGroupResponse {
            protocol_type: group.protocol_type.clone(),
            protocol_name: group.protocol.clone(),
            assignment: assignment.unwrap_or_default(),
            ..Default::default()
        };
        self.reply(waiter.token, GroupResponse::Sync(response));
    }

    fn mark_synced(&mut self, group: &mut Group, member_id: &str) {
        group.unsynced.remove(member_id);
        if group.unsynced.is_empty() {
            self.cancel(sync_timer(&group.id));
        }
    }
}

fn check(group: &Group, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
    group.check_member(&request.member_id, request.group_instance_id.as_deref())?;
    let differs = |theirs: &Option<String>, ours: &Option<String>| theirs.is_some() && ours.is_some() && theirs != ours;
    if request.generation_id != group.generation {
        Err(ErrorCode::IllegalGeneration)
    } else if differs(&request.protocol_type, &group.protocol_type) || differs(&request.protocol_name, &group.protocol) {
        Err(ErrorCode::InconsistentGroupProtocol)
    } else if group.state == GroupState::PreparingRebalance {
        Err(ErrorCode::RebalanceInProgress)
    } else {
        Ok(())
    }
}
