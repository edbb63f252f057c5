//! LeaveGroup: members go, or an operator removes static ones by their instance id. One rebalance for all of them.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse};

use super::{Group, GroupState};
use crate::decision::ReplyToken;
use crate::request::{Caller, GroupResponse};
use crate::turn::Turn;

/// From this version on a request names any number of members, and each has an error of its own.
const BATCHES_SINCE: i16 = 3;

impl Turn<'_> {
    pub(crate) fn leave(&mut self, caller: &Caller, token: ReplyToken, request: LeaveGroupRequest) {
        let mut response = LeaveGroupResponse::default();
        let one = MemberIdentity {
            member_id: request.member_id,
            ..Default::default()
        };
        let is_batch = caller.api_version >= BATCHES_SINCE;
        let leaving = if is_batch { request.members } else { vec![one] };
        if request.group_id.is_empty() {
            response.error_code = ErrorCode::InvalidGroupId.code();
        } else {
            response.members = self.leave_each(&request.group_id, &leaving);
        }
        if !is_batch {
            let error = response.members.drain(..).map(|member| member.error_code).find(|code| *code != 0);
            response.error_code = error.unwrap_or(response.error_code);
        }
        self.reply(token, GroupResponse::Leave(response));
    }

    fn leave_each(&mut self, group_id: &str, leaving: &[MemberIdentity]) -> Vec<MemberResponse> {
        let mut group = self.take(group_id);
        let mut somebody_left = false;
        let mut answers = Vec::with_capacity(leaving.len());
        for identity in leaving {
            let left = match &mut group {
                Some(group) => self.leave_one(group, identity),
                None => Err(ErrorCode::UnknownMemberId),
            };
            somebody_left |= left.is_ok();
            answers.push(MemberResponse {
                member_id: identity.member_id.clone(),
                group_instance_id: identity.group_instance_id.clone(),
                error_code: left.err().unwrap_or(ErrorCode::None).code(),
                ..Default::default()
            });
        }
        if let Some(mut group) = group {
            if somebody_left && group.state != GroupState::Empty {
                self.rebalance(&mut group);
            }
            self.put(group);
        }
        answers
    }

    fn leave_one(&mut self, group: &mut Group, identity: &MemberIdentity) -> Result<(), ErrorCode> {
        let instance = identity.group_instance_id.as_deref();
        let member_id = if identity.member_id.is_empty() {
            let known = instance.and_then(|instance| group.instances.get(instance));
            known.ok_or(ErrorCode::UnknownMemberId)?.clone()
        } else {
            if !group.pending.contains(&identity.member_id) {
                group.check_member(&identity.member_id, instance)?;
            }
            identity.member_id.clone()
        };
        self.remove_member(group, &member_id);
        Ok(())
    }
}
