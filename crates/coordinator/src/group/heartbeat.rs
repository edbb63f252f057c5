//! Heartbeat: the member lives; the answer calls it to a rebalance.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::{Group, GroupState};
use crate::decision::ReplyToken;
use crate::mutant::{Mutant, mutant_is};
use crate::request::GroupResponse;
use crate::turn::Turn;

impl Turn<'_> {
    pub(crate) fn heartbeat(&mut self, token: ReplyToken, request: &HeartbeatRequest) {
        let error = match self.take(&request.group_id) {
            _ if request.group_id.is_empty() => ErrorCode::InvalidGroupId,
            None => ErrorCode::UnknownMemberId,
            Some(group) => {
                let error = self.heartbeat_of(&group, request).err().unwrap_or(ErrorCode::None);
                self.put_unchanged(group);
                error
            }
        };
        let response = HeartbeatResponse {
            error_code: error.code(),
            ..Default::default()
        };
        self.reply(token, GroupResponse::Heartbeat(response));
    }

    fn heartbeat_of(&mut self, group: &Group, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        group.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if let Some(member) = group.members.get(&request.member_id)
            && !mutant_is(Mutant::SessionNotExtended)
        {
            self.extend_session(&group.id, member);
        }
        match group.state {
            GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }
}
