//! JoinGroup: who may enter, under which id, and whether that starts a rebalance.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use uuid::Uuid;

use super::{Group, GroupState, Member, Waiter};
use crate::limits;
use crate::mutant::{Mutant, mutant_is};
use crate::request::Caller;
use crate::turn::{Turn, session};

/// From this version on a dynamic member is told its id before it joins (KIP-394): a JoinGroup whose answer is lost leaves no member behind.
const MEMBER_ID_REQUIRED_SINCE: i16 = 4;

impl Turn<'_> {
    pub(crate) fn join(&mut self, caller: &Caller, waiter: Waiter, fresh_id: Uuid, request: &JoinGroupRequest) {
        let mut group = match self.group_to_join(request) {
            Ok(group) => group,
            Err(error) => return self.refuse_join(waiter, &request.member_id, error),
        };
        match self.try_join(&mut group, caller, waiter, fresh_id, request) {
            Ok(()) if !self.hard.groups.contains_key(&group.id) => {
                // Its first record. From here on the group counts, and is found again after a crash.
                let created = Group::new(&group.id, self.now_ms);
                self.record(created.to_record());
            }
            Ok(()) => {}
            Err(ErrorCode::GroupMaxSizeReached) => self.refuse_join(waiter, "", ErrorCode::GroupMaxSizeReached),
            Err(error) => self.refuse_join(waiter, &request.member_id, error),
        }
        self.put(group);
    }

    pub(crate) fn refuse_join(&mut self, waiter: Waiter, member_id: &str, error: ErrorCode) {
        self.reply_join(waiter, refusal(member_id, error));
    }

    fn group_to_join(&mut self, request: &JoinGroupRequest) -> Result<Group, ErrorCode> {
        let timeouts_ms = self.config.session_timeout_ms_min..=self.config.session_timeout_ms_max;
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        if !timeouts_ms.contains(&request.session_timeout_ms) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        match self.take(&request.group_id) {
            Some(group) => Ok(group),
            None if !request.member_id.is_empty() => Err(ErrorCode::UnknownMemberId),
            None if self.hard.groups.len() >= self.config.groups_max => Err(ErrorCode::PolicyViolation),
            None => Ok(Group::new(&request.group_id, self.now_ms)),
        }
    }

    fn try_join(
        &mut self,
        group: &mut Group,
        caller: &Caller,
        waiter: Waiter,
        fresh_id: Uuid,
        request: &JoinGroupRequest,
    ) -> Result<(), ErrorCode> {
        if !self.has_room(group, &request.member_id) {
            self.remove_member(group, &request.member_id);
            self.maybe_complete_join(group);
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if !group.supports(&request.protocol_type, &request.protocols) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        self.check_memory(group, caller, request)?;
        if request.member_id.is_empty() {
            self.join_as_new(group, caller, waiter, fresh_id, request);
            return Ok(());
        }
        let instance = request.group_instance_id.as_deref();
        if instance.is_none() && group.pending.contains(&request.member_id) {
            self.add_member(group, request.member_id.clone(), caller, waiter, request);
            return Ok(());
        }
        group.check_member(&request.member_id, instance)?;
        self.join_again(group, waiter, request);
        Ok(())
    }

    /// In PreparingRebalance those count who have joined: if the limit has been lowered, the last to come have to go.
    fn has_room(&self, group: &Group, member_id: &str) -> bool {
        if member_id.is_empty() && group.members.len() + group.pending.len() >= limits::MEMBERS_MAX {
            return false;
        }
        let member = group.members.get(member_id);
        match group.state {
            GroupState::Empty => true,
            GroupState::PreparingRebalance => {
                member.is_some_and(|member| member.joining.is_some()) || group.joining() < self.config.group_size_max
            }
            GroupState::CompletingRebalance | GroupState::Stable => member.is_some() || group.members.len() < self.config.group_size_max,
        }
    }

    /// The group has a bound, for what its members agree on has to fit into a record; and the shard has one for all its groups.
    fn check_memory(&self, group: &Group, caller: &Caller, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        let instance = request.group_instance_id.as_ref();
        let replaced = instance
            .filter(|_| request.member_id.is_empty())
            .and_then(|instance| group.instances.get(instance));
        let id = replaced.unwrap_or(&request.member_id);
        let cost = |protocol: &JoinGroupRequestProtocol| protocol.name.len() + protocol.metadata.len() + limits::PROTOCOL_OVERHEAD_BYTES;
        let offered = request.protocols.iter().map(cost).sum::<usize>();
        let others = group.members.values().filter(|member| member.id != *id);
        if offered + others.map(Member::protocol_bytes).sum::<usize>()
            > self.config.record_bytes_max.saturating_mul(limits::PROTOCOLS_PER_RECORD)
        {
            return Err(ErrorCode::MessageTooLarge);
        }
        let names = caller.client_id.len() + caller.client_host.len() + instance.map_or(0, String::len);
        let bytes = match group.members.get(id) {
            Some(known) => (group.counted_bytes + offered).saturating_sub(known.protocol_bytes()),
            None => group.counted_bytes + offered + names + group.overhead_bytes(),
        };
        if self.has_room_for(group, bytes) {
            Ok(())
        } else {
            Err(ErrorCode::GroupMaxSizeReached)
        }
    }

    fn join_as_new(&mut self, group: &mut Group, caller: &Caller, waiter: Waiter, fresh_id: Uuid, request: &JoinGroupRequest) {
        let instance = request.group_instance_id.as_deref();
        let member_id = member_id(instance.unwrap_or(&caller.client_id), fresh_id);
        let known = instance.and_then(|instance| group.instances.get(instance)).cloned();
        match known.filter(|_| !mutant_is(Mutant::InstanceTwice)) {
            Some(old_id) => self.replace_static_member(group, &old_id, &member_id, waiter, request),
            None if instance.is_some() || caller.api_version < MEMBER_ID_REQUIRED_SINCE => {
                self.add_member(group, member_id, caller, waiter, request);
            }
            None => {
                self.arm(session(&group.id, &member_id), i64::from(request.session_timeout_ms));
                self.refuse_join(waiter, &member_id, ErrorCode::MemberIdRequired);
                group.pending.insert(member_id);
            }
        }
    }

    fn add_member(&mut self, group: &mut Group, id: String, caller: &Caller, waiter: Waiter, request: &JoinGroupRequest) {
        if let Some(delay) = &mut group.initial_delay {
            delay.extend = true;
        }
        if group.members.is_empty() {
            group.protocol_type = Some(request.protocol_type.clone());
        }
        // It may not know its id yet, so it cannot send heartbeats.
        self.arm(session(&group.id, &id), limits::NEW_MEMBER_JOIN_TIMEOUT_MS);
        group.insert(Member::new(id, caller, waiter, request));
        self.rebalance(group);
    }

    /// A member that is in the group already: to take part in a rebalance, to start one, or because an answer was lost.
    fn join_again(&mut self, group: &mut Group, waiter: Waiter, request: &JoinGroupRequest) {
        let id = &request.member_id;
        let is_leader = group.is_leader(id);
        let is_unchanged = group.members.get(id).is_some_and(|member| member.offers(&request.protocols));
        let answer_now = match group.state {
            GroupState::CompletingRebalance => is_unchanged,
            // The leader comes back when it knows of something that changes the assignments, such as new partitions.
            GroupState::Stable => is_unchanged && !is_leader,
            GroupState::PreparingRebalance | GroupState::Empty => false,
        };
        if answer_now {
            let mut response = generation_of(group, id);
            if is_leader {
                response.members = group.roster();
            }
            return self.reply_join(waiter, response);
        }
        self.park_join(group, waiter, request);
        self.rebalance(group);
    }

    /// The member is as this request says from now on, and waits for its answer.
    fn park_join(&mut self, group: &mut Group, waiter: Waiter, request: &JoinGroupRequest) {
        let Some(member) = group.members.get_mut(&request.member_id) else {
            return;
        };
        member.adopt(waiter.api_version, request);
        if let Some(earlier) = member.joining.replace(waiter) {
            self.refuse_join(earlier, &request.member_id, ErrorCode::RebalanceInProgress);
        }
    }
}

/// The present generation, as a member is told of it that does not lead.
pub(super) fn generation_of(group: &Group, member_id: &str) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id: group.generation,
        protocol_type: group.protocol_type.clone(),
        protocol_name: group.protocol.clone(),
        leader: group.leader.clone().unwrap_or_default(),
        member_id: member_id.to_owned(),
        ..Default::default()
    }
}

fn refusal(member_id: &str, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: error.code(),
        member_id: member_id.to_owned(),
        ..Default::default()
    }
}

fn member_id(prefix: &str, fresh_id: Uuid) -> String {
    let end = prefix.floor_char_boundary(limits::MEMBER_ID_PREFIX_BYTES_MAX);
    format!("{}-{fresh_id}", &prefix[..end])
}
