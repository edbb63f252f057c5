//! DeleteGroups: an empty group, with its offsets.

use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::GroupRecord;

use crate::decision::ReplyToken;
use crate::group::GroupState;
use crate::request::GroupResponse;
use crate::turn::Turn;

impl Turn<'_> {
    pub(crate) fn delete_group(&mut self, token: ReplyToken, id: &str) {
        let error = match self.take(id) {
            None => ErrorCode::GroupIdNotFound,
            Some(group) if group.state != GroupState::Empty => {
                self.put_unchanged(group);
                ErrorCode::NonEmptyGroup
            }
            Some(mut group) => {
                // Whoever is about to join has to ask for an id again.
                for member_id in std::mem::take(&mut group.pending) {
                    self.remove_member(&mut group, &member_id);
                }
                self.delete_all_offsets(id);
                self.record(GroupRecord::GroupMetadata {
                    group: id.to_owned(),
                    value: None,
                });
                self.put(group);
                ErrorCode::None
            }
        };
        self.reply(token, GroupResponse::DeleteGroup(error));
    }
}
