//! What happens when somebody is late.

use super::{Group, GroupState, InitialDelay};
use crate::mutant::{Mutant, mutant_is};
use crate::timers::Timer;
use crate::turn::{Turn, join_timer};

impl Turn<'_> {
    pub(crate) fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Session { group, member } => self.with_group(&group, |turn, group| turn.session_ended(group, &member)),
            Timer::Join { group } => self.with_group(&group, |turn, group| turn.join_is_late(group)),
            Timer::Sync { group } => self.with_group(&group, |turn, group| turn.sync_is_late(group)),
            Timer::Sweep => self.sweep(),
        }
    }

    /// Members found in the log are given a session from now on.
    pub(crate) fn on_group_loaded(&mut self, id: &str) {
        self.with_group(id, |turn, group| {
            for member in group.members.values() {
                turn.extend_session(&group.id, member);
            }
            if group.members.len() > turn.config.group_size_max {
                // The limit has been lowered. The last to come back will have to go.
                turn.rebalance(group);
            }
        });
    }

    fn with_group(&mut self, id: &str, change: impl FnOnce(&mut Self, &mut Group)) {
        if let Some(mut group) = self.take(id) {
            change(self, &mut group);
            self.put(group);
        }
    }

    fn session_ended(&mut self, group: &mut Group, member_id: &str) {
        let is_member = match group.members.get(member_id) {
            Some(member) if member.cannot_expire() || mutant_is(Mutant::SessionEndless) => return,
            Some(_) => true,
            None => false,
        };
        self.remove_member(group, member_id);
        self.soft.counters.sessions_expired += u64::from(is_member);
        match group.state {
            GroupState::PreparingRebalance if group.all_joined() => self.complete_join(group),
            GroupState::CompletingRebalance | GroupState::Stable if is_member => self.prepare_rebalance(group),
            _ => {}
        }
    }

    fn join_is_late(&mut self, group: &mut Group) {
        match group.initial_delay {
            Some(delay) if delay.extend && delay.remaining_ms > 0 => {
                let next_ms = i64::from(self.config.initial_rebalance_delay_ms.max(0)).min(delay.remaining_ms);
                group.initial_delay = Some(InitialDelay {
                    extend: false,
                    delay_ms: next_ms,
                    remaining_ms: (delay.remaining_ms - delay.delay_ms).max(0),
                });
                self.arm(join_timer(&group.id), next_ms);
            }
            _ => self.complete_join(group),
        }
    }

    /// Whoever has not asked for its assignment is not there.
    fn sync_is_late(&mut self, group: &mut Group) {
        let late = std::mem::take(&mut group.unsynced);
        for member_id in &late {
            self.remove_member(group, member_id);
        }
        if !late.is_empty() {
            self.prepare_rebalance(group);
        }
    }
}
