//! DescribeGroups: state and members of one group.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};

use crate::decision::ReplyToken;
use crate::group::{Group, GroupState, Member};
use crate::request::{Caller, GroupResponse};
use crate::turn::Turn;

/// The state of a group that does not exist.
const DEAD: &str = "Dead";

/// From this version on that is an error, too (KIP-1043).
const GROUP_ID_NOT_FOUND_SINCE: i16 = 6;

impl Turn<'_> {
    pub(crate) fn describe_group(&mut self, caller: &Caller, token: ReplyToken, id: String) {
        let described = match self.take(&id) {
            Some(group) => {
                let described = describe(&group);
                self.put_unchanged(group);
                described
            }
            None => unknown(id, caller.api_version),
        };
        self.reply(token, GroupResponse::DescribeGroup(described));
    }
}

fn unknown(id: String, api_version: i16) -> DescribedGroup {
    let mut described = DescribedGroup {
        group_state: DEAD.to_owned(),
        ..Default::default()
    };
    if api_version >= GROUP_ID_NOT_FOUND_SINCE {
        described.error_code = ErrorCode::GroupIdNotFound.code();
        described.error_message = Some(format!("Group {id} not found."));
    }
    described.group_id = id;
    described
}

fn describe(group: &Group) -> DescribedGroup {
    let protocol = group.protocol.clone().filter(|_| group.state == GroupState::Stable);
    DescribedGroup {
        group_id: group.id.clone(),
        group_state: group.state.name().to_owned(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        members: group
            .members
            .values()
            .map(|member| describe_member(member, protocol.as_deref()))
            .collect(),
        protocol_data: protocol.unwrap_or_default(),
        ..Default::default()
    }
}

fn describe_member(member: &Member, protocol: Option<&str>) -> DescribedGroupMember {
    let subscription = protocol.and_then(|protocol| member.metadata(protocol));
    DescribedGroupMember {
        member_id: member.id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: subscription.cloned().unwrap_or_default(),
        member_assignment: member.assignment.clone(),
        ..Default::default()
    }
}
