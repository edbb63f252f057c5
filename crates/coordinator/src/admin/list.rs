//! ListGroups: every group of the shard, by state and by type.

use dohle_protocol::messages::list_groups::ListedGroup;

use crate::decision::ReplyToken;
use crate::group::GroupState;
use crate::request::GroupResponse;
use crate::turn::Turn;

/// The only type of groups here.
const CLASSIC: &str = "classic";

impl Turn<'_> {
    /// No filter lets everything pass; a name that nobody knows lets nothing pass.
    pub(crate) fn list_groups(&mut self, token: ReplyToken, states: &[String], types: &[String]) {
        let passes =
            |filter: &[String], name: &str| filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name));
        let mut listed = Vec::new();
        if passes(types, CLASSIC) {
            for (id, hard) in &self.hard.groups {
                let live = self.soft.groups.get(id);
                let state = live.map_or(GroupState::Empty, |group| group.state);
                let protocol_type = live.map_or(hard.protocol_type(), |group| group.protocol_type.as_deref());
                if passes(states, state.name()) {
                    listed.push(ListedGroup {
                        group_id: id.clone(),
                        protocol_type: protocol_type.unwrap_or_default().to_owned(),
                        group_state: state.name().to_owned(),
                        group_type: CLASSIC.to_owned(),
                        ..Default::default()
                    });
                }
            }
        }
        self.reply(token, GroupResponse::ListGroups(listed));
    }
}
