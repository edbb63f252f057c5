//! A static member that comes back without its member id (KIP-345): it takes the place of what it was before, which is fenced.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::JoinGroupRequest;

use super::join::generation_of;
use super::{Group, GroupState, Member, Waiter};
use crate::mutant::{Mutant, mutant_is};
use crate::turn::{Turn, session};

/// From this version on a leader that comes back is told not to assign anew (KIP-814).
const SKIP_ASSIGNMENT_SINCE: i16 = 9;

impl Turn<'_> {
    pub(super) fn replace_static_member(
        &mut self,
        group: &mut Group,
        old_id: &str,
        new_id: &str,
        waiter: Waiter,
        request: &JoinGroupRequest,
    ) {
        let Some(mut member) = group.members.remove(old_id) else { return };
        self.cancel(session(&group.id, old_id));
        if !mutant_is(Mutant::FencedTooLate) {
            self.dismiss(&mut member, ErrorCode::FencedInstanceId);
        }
        new_id.clone_into(&mut member.id);
        member.is_new = false;
        member.adopt(waiter.api_version, request);
        self.extend_session(&group.id, &member);
        let was_leader = group.is_leader(old_id);
        rename(group, old_id, member);

        match group.state {
            GroupState::Stable if group.select_protocol() == group.protocol && self.fits(&group.to_record()) => {
                self.record(group.to_record());
                let mut response = generation_of(group, new_id);
                if was_leader && waiter.api_version >= SKIP_ASSIGNMENT_SINCE {
                    response.members = group.roster();
                    response.skip_assignment = true;
                } else if was_leader {
                    // It must not believe that it leads: it would assign anew, and nobody would ask it to.
                    old_id.clone_into(&mut response.leader);
                }
                self.reply_join(waiter, response);
            }
            state => {
                if let Some(member) = group.members.get_mut(new_id) {
                    member.joining = Some(waiter);
                }
                if state == GroupState::PreparingRebalance {
                    self.maybe_complete_join(group);
                } else {
                    // The leader may have been told the old id already, and would assign to that.
                    self.prepare_rebalance(group);
                }
            }
        }
    }
}

fn rename(group: &mut Group, old_id: &str, member: Member) {
    if let Some(instance) = &member.instance_id {
        group.instances.insert(instance.clone(), member.id.clone());
    }
    if group.is_leader(old_id) {
        group.leader = Some(member.id.clone());
    }
    if group.unsynced.remove(old_id) {
        group.unsynced.insert(member.id.clone());
    }
    group.members.insert(member.id.clone(), member);
}
