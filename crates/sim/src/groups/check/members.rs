//! SyncGroup, Heartbeat and LeaveGroup: what a member may be told, and when it may be told that it is none.

use dohle_coordinator::{Effect, GroupRequest, GroupResponse, ReplyToken};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::join_group::JoinGroupRequest;
use dohle_protocol::messages::leave_group::MemberIdentity;
use dohle_protocol::messages::offset_commit::OffsetCommitRequest;
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::{Cause, Checker, Grant, Open, Step};
use crate::groups::assignment;
use crate::violation::{Violation, demand};

const BATCHES_SINCE: i16 = 3;
const PROTOCOL_REQUIRED_SINCE: i16 = 5;

/// Who a request says that it is from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) group: &'a str,
    pub(super) member: &'a str,
    pub(super) instance: Option<&'a str>,
    /// None where the request names none.
    pub(super) generation: Option<i32>,
}

impl<'a> Who<'a> {
    pub(super) fn of_join(request: &'a JoinGroupRequest) -> Who<'a> {
        Who {
            group: &request.group_id,
            member: &request.member_id,
            instance: request.group_instance_id.as_deref(),
            generation: None,
        }
    }

    fn of_sync(request: &'a SyncGroupRequest) -> Who<'a> {
        Who {
            group: &request.group_id,
            member: &request.member_id,
            instance: request.group_instance_id.as_deref(),
            generation: Some(request.generation_id),
        }
    }

    fn of_heartbeat(request: &'a HeartbeatRequest) -> Who<'a> {
        Who {
            group: &request.group_id,
            member: &request.member_id,
            instance: request.group_instance_id.as_deref(),
            generation: Some(request.generation_id),
        }
    }

    pub(super) fn of_commit(request: &'a OffsetCommitRequest) -> Who<'a> {
        Who {
            group: &request.group_id,
            member: &request.member_id,
            instance: request.group_instance_id.as_deref(),
            generation: Some(request.generation_id_or_member_epoch),
        }
    }
}

impl Checker {
    /// It was treated as a member of the generation.
    pub(super) fn must_be_member(&self, who: Who<'_>) -> Result<(), Violation> {
        let live = self.groups.get(who.group);
        let Some((live, member)) = live.and_then(|live| Some((live, live.members.get(who.member)?))) else {
            return Err(Violation(format!("{who:?} is treated as a member, and is none (any more)")));
        };
        demand!(
            who.instance.is_none() || who.instance == member.instance.as_deref(),
            "{who:?} is treated as {:?}",
            member.instance
        );
        demand!(
            who.generation.is_none_or(|generation| generation == live.generation),
            "{who:?} is accepted in generation {}",
            live.generation
        );
        Ok(())
    }

    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or ILLEGAL_GENERATION.
    pub(super) fn on_member_refused(&mut self, step: Step<'_>, who: Who<'_>, error: ErrorCode, is_own: bool) -> Result<(), Violation> {
        let now_ms = step.now_ms;
        let Some(live) = self.groups.get(who.group) else {
            demand!(error != ErrorCode::FencedInstanceId, "{who:?} is fenced in a group without members");
            return Ok(());
        };
        let holder = who
            .instance
            .and_then(|instance| live.holder(instance))
            .filter(|(id, _)| *id != who.member);
        match error {
            ErrorCode::FencedInstanceId => {
                let is_held = holder.is_some() || who.instance.is_some_and(|instance| self.is_taken_over(step, who.group, instance));
                // A static member that waits without naming its instance is fenced all the same.
                let is_replaced = !is_own
                    && matches!(step.cause, Cause::Request { request: GroupRequest::Join(join), .. } if join.group_instance_id.is_some());
                demand!(is_held || is_replaced, "{who:?} is fenced, and nobody took its place");
                Ok(())
            }
            _ if holder.is_some_and(|(id, _)| !self.may_be_gone(now_ms, who.group, id)) => {
                Err(Violation(format!("{who:?} is told {error}, and not that {holder:?} has fenced it")))
            }
            ErrorCode::IllegalGeneration => {
                demand!(who.generation != Some(live.generation), "{who:?} is in the right generation");
                Ok(())
            }
            _ => {
                let Some(member) = live.members.get(who.member) else {
                    return Ok(());
                };
                if who.instance.is_some() && who.instance != member.instance.as_deref() {
                    return Ok(());
                }
                let was_parked = !is_own || self.is_parked(who.group, who.member);
                demand!(
                    member.may_be_gone(now_ms, was_parked),
                    "{who:?} was removed without a reason: {member:?}"
                );
                self.forget(who.group, who.member);
                Ok(())
            }
        }
    }

    /// Whether somebody who does not know its id yet waits to be that instance, or asks to in this step.
    pub(super) fn is_taken_over(&self, step: Step<'_>, group: &str, instance: &str) -> bool {
        let takes = |request: &GroupRequest| match request {
            GroupRequest::Join(join) => {
                join.group_id == group && join.member_id.is_empty() && join.group_instance_id.as_deref() == Some(instance)
            }
            _ => false,
        };
        let own = matches!(step.cause, Cause::Request { request, .. } if takes(request));
        own || self.open.values().any(|open| takes(&open.request))
    }

    fn forget(&mut self, group: &str, member: &str) {
        if let Some(live) = self.groups.get_mut(group) {
            live.members.remove(member);
            live.is_completing = false;
        }
    }

    pub(super) fn on_heartbeat(&mut self, step: Step<'_>, request: &HeartbeatRequest, code: i16) -> Result<(), Violation> {
        let who = Who::of_heartbeat(request);
        let error = ErrorCode::from_code(code);
        match error {
            ErrorCode::None | ErrorCode::RebalanceInProgress => {
                self.must_be_member(who)?;
                let Some(live) = self.groups.get_mut(who.group) else {
                    return Ok(());
                };
                let is_called = error == ErrorCode::RebalanceInProgress;
                demand!(
                    !is_called || !live.is_completing,
                    "{who:?} is called to a rebalance that nobody needs"
                );
                if let Some(member) = live.members.get_mut(who.member) {
                    member.heard_of(step.now_ms);
                    if !is_called {
                        member.settled_ms = step.now_ms;
                    }
                }
                Ok(())
            }
            ErrorCode::InvalidGroupId if who.group.is_empty() => Ok(()),
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId | ErrorCode::IllegalGeneration => {
                self.on_member_refused(step, who, error, true)
            }
            other => Err(Violation(format!("Heartbeat is answered with {other}"))),
        }
    }

    pub(super) fn on_synced(
        &mut self,
        step: Step<'_>,
        token: ReplyToken,
        asked: &Open,
        request: &SyncGroupRequest,
        response: &SyncGroupResponse,
    ) -> Result<(), Violation> {
        let who = Who::of_sync(request);
        let error = ErrorCode::from_code(response.error_code);
        match error {
            ErrorCode::None => self.on_assigned(step, token, request, response),
            ErrorCode::RebalanceInProgress => {
                let Some(live) = self.groups.get_mut(who.group) else {
                    return Ok(());
                };
                demand!(
                    !asked.is_own || !live.is_completing,
                    "{who:?} is called to a rebalance that nobody needs"
                );
                if let Some(member) = live.members.get_mut(who.member) {
                    member.alive_ms_max = step.now_ms;
                }
                Ok(())
            }
            ErrorCode::InvalidGroupId if who.group.is_empty() => Ok(()),
            ErrorCode::InconsistentGroupProtocol => {
                let is_incomplete = request.protocol_type.is_none() || request.protocol_name.is_none();
                let chosen = self.groups.get(who.group).and_then(|live| live.protocol.as_ref());
                let differs = request.protocol_name.as_ref() != chosen || request.protocol_type.as_deref() != Some("connect");
                demand!(
                    differs || (asked.api_version >= PROTOCOL_REQUIRED_SINCE && is_incomplete),
                    "{who:?} named the protocol"
                );
                Ok(())
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId | ErrorCode::IllegalGeneration => {
                self.on_member_refused(step, who, error, asked.is_own)
            }
            other => Err(Violation(format!("SyncGroup is answered with {other}"))),
        }
    }

    fn on_assigned(
        &mut self,
        step: Step<'_>,
        token: ReplyToken,
        request: &SyncGroupRequest,
        response: &SyncGroupResponse,
    ) -> Result<(), Violation> {
        let who = Who::of_sync(request);
        self.must_be_member(who)?;
        let recorded = self
            .facts
            .generation(who.group)
            .filter(|value| value.generation == request.generation_id);
        let of_member = recorded.and_then(|value| value.members.iter().find(|member| member.member_id == who.member));
        let Some(of_member) = of_member else {
            return Err(Violation(format!(
                "{who:?} gets an assignment, and generation {} was not completed",
                request.generation_id
            )));
        };
        demand!(
            of_member.assignment == response.assignment,
            "{who:?} gets {:?} and the log has {of_member:?}",
            response.assignment
        );
        let owner = of_member.group_instance_id.clone().unwrap_or_else(|| who.member.to_owned());
        let grant = Grant {
            group: who.group.to_owned(),
            life: self.facts.life(who.group),
            generation: request.generation_id,
            owner,
            places: assignment::decode(&response.assignment).unwrap_or_default(),
        };
        self.grants.insert(token, grant);
        let is_assigned_now = !step.records.is_empty();
        let live = self.groups.get_mut(who.group);
        if let Some(member) = live.and_then(|live| live.members.get_mut(who.member)) {
            member.unsynced_since_ms = None;
            if is_assigned_now {
                member.heard_of(step.now_ms);
            }
        }
        Ok(())
    }

    /// The request waits.
    pub(super) fn on_sync_parked(&mut self, request: &SyncGroupRequest) -> Result<(), Violation> {
        let who = Who::of_sync(request);
        self.must_be_member(who)?;
        let live = self.groups.get_mut(who.group);
        if let Some(member) = live.and_then(|live| live.members.get_mut(who.member)) {
            member.unsynced_since_ms = None;
        }
        Ok(())
    }

    /// Looked at before the rest of the step, which is what follows from it.
    pub(super) fn on_own_leave(&mut self, step: Step<'_>) -> Result<(), Violation> {
        let Cause::Request {
            caller,
            request: GroupRequest::Leave(request),
            ..
        } = step.cause
        else {
            return Ok(());
        };
        let answer = step.effects.iter().find_map(|Effect::Reply { response, .. }| match response {
            GroupResponse::Leave(response) => Some(response),
            _ => None,
        });
        let Some(response) = answer else {
            return Err(Violation("LeaveGroup waits".to_owned()));
        };
        if request.group_id.is_empty() {
            demand!(
                response.error_code == ErrorCode::InvalidGroupId.code(),
                "nobody can leave a group without a name"
            );
            return Ok(());
        }
        if caller.api_version < BATCHES_SINCE {
            let one = MemberIdentity {
                member_id: request.member_id.clone(),
                ..Default::default()
            };
            return self.on_left(step, &request.group_id, &one, response.error_code);
        }
        demand!(
            response.members.len() == request.members.len(),
            "each member that leaves gets an answer"
        );
        for (identity, left) in request.members.iter().zip(&response.members) {
            self.on_left(step, &request.group_id, identity, left.error_code)?;
        }
        Ok(())
    }

    fn on_left(&mut self, step: Step<'_>, group: &str, identity: &MemberIdentity, code: i16) -> Result<(), Violation> {
        let error = ErrorCode::from_code(code);
        let instance = identity.group_instance_id.as_deref();
        let named = if identity.member_id.is_empty() {
            None
        } else {
            Some(identity.member_id.clone())
        };
        let who = Who {
            group,
            member: &identity.member_id,
            instance,
            generation: None,
        };
        if error != ErrorCode::None {
            let is_known = matches!(error, ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId);
            demand!(is_known, "LeaveGroup is answered with {error}");
            return if named.is_some() {
                self.on_member_refused(step, who, error, true)
            } else {
                Ok(())
            };
        }
        let is_unknown_instance = instance.is_some_and(|instance| self.is_taken_over(step, group, instance));
        let Some(live) = self.groups.get_mut(group) else {
            return Err(Violation(format!("{who:?} has left a group that nobody is in")));
        };
        let holder = instance.and_then(|instance| live.holder(instance)).map(|(id, _)| id.clone());
        let id = named.or(holder).unwrap_or_default();
        let was_there = live.members.remove(&id).is_some() || live.pending.remove(&id).is_some();
        live.is_completing = false;
        demand!(was_there || is_unknown_instance, "{who:?} has left, and was not there");
        Ok(())
    }
}
