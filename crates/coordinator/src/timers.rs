//! Deadlines by name. The name is the whole of what a timer knows: what it means is decided when it goes off.

use std::collections::{BTreeMap, BTreeSet};

use crate::mutant::{Mutant, mutant_is};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A member, or an id that was handed out, has not been heard of.
    Session { group: String, member: String },
    /// JoinGroup has taken long enough.
    Join { group: String },
    /// SyncGroup has taken long enough.
    Sync { group: String },
    /// Offsets may have expired.
    Sweep,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    deadlines_ms: BTreeMap<Timer, i64>,
    in_order: BTreeSet<(i64, Timer)>,
}

impl Timers {
    /// Replaces an earlier deadline of the same timer.
    pub(crate) fn schedule(&mut self, timer: Timer, deadline_ms: i64) {
        if let Some(earlier_ms) = self.deadlines_ms.insert(timer.clone(), deadline_ms) {
            self.in_order.remove(&(earlier_ms, timer.clone()));
        }
        self.in_order.insert((deadline_ms, timer));
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        if mutant_is(Mutant::TimerNotCancelled) {
            return;
        }
        if let Some(deadline_ms) = self.deadlines_ms.remove(&timer) {
            self.in_order.remove(&(deadline_ms, timer));
        }
    }

    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.in_order.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Takes one timer that is due, the earliest first.
    pub(crate) fn pop_due(&mut self, now_ms: i64) -> Option<Timer> {
        if self.next_ms()? > now_ms {
            return None;
        }
        let (_, timer) = self.in_order.pop_first()?;
        self.deadlines_ms.remove(&timer);
        Some(timer)
    }
}
