//! The sweep: offsets expire from the time their group became empty (KIP-211), and an empty group without offsets is forgotten.

use std::collections::BTreeSet;

use dohle_protocol::coordinator_records::GroupRecord;

use super::delete::tombstone;
use crate::group::GroupState;
use crate::hard::{CommittedOffset, HardGroup};
use crate::limits;
use crate::timers::Timer;
use crate::turn::Turn;

/// When the offsets of one group expire.
struct Rule {
    /// None: from each commit.
    since_ms: Option<i64>,
    /// Offsets of these topics do not.
    subscribed: BTreeSet<String>,
}

impl Turn<'_> {
    pub(crate) fn sweep(&mut self) {
        if !self.decision.records.is_empty() {
            // A group may have become empty in this turn, and hard state still says what it was before: its offsets would look old.
            return self.arm(Timer::Sweep, 0);
        }
        let hard = self.hard;
        for (id, group) in &hard.groups {
            if self.decision.records.len() >= limits::SWEEP_RECORDS_MAX {
                return self.arm(Timer::Sweep, 0);
            }
            self.sweep_group(id, group);
        }
        self.arm(Timer::Sweep, self.config.offsets_retention_check_interval_ms);
    }

    fn sweep_group(&mut self, id: &str, group: &HardGroup) {
        let Some(rule) = self.rule(id, group) else { return };
        let mut is_left = false;
        for (topic, partitions) in &group.offsets {
            let is_subscribed = rule.subscribed.contains(topic);
            for (index, committed) in partitions {
                if !is_subscribed && self.is_expired(&rule, committed) {
                    self.record(tombstone(id, topic, *index));
                    self.soft.counters.offsets_expired += 1;
                } else {
                    is_left = true;
                }
            }
        }
        // A group that is not in soft state has no members, and nobody is about to join it.
        if !is_left && !self.soft.groups.contains_key(id) {
            self.record(GroupRecord::GroupMetadata {
                group: id.to_owned(),
                value: None,
            });
        }
    }

    /// None: nothing of the group expires now.
    fn rule(&self, id: &str, group: &HardGroup) -> Option<Rule> {
        let live = self.soft.groups.get(id);
        if let Some(live) = live
            && live.state != GroupState::Empty
        {
            let is_stable = live.state == GroupState::Stable;
            return Some(Rule {
                since_ms: None,
                subscribed: live.subscribed_topics().filter(|_| is_stable)?,
            });
        }
        let empty_since_ms = group.metadata.as_ref().map(|metadata| metadata.current_state_timestamp);
        Some(Rule {
            // Groups written by very old brokers do not say since when they are empty.
            since_ms: empty_since_ms.filter(|since_ms| *since_ms != -1 && group.protocol_type().is_some()),
            subscribed: BTreeSet::new(),
        })
    }

    fn is_expired(&self, rule: &Rule, committed: &CommittedOffset) -> bool {
        if committed.expire_timestamp_ms != -1 {
            return self.now_ms >= committed.expire_timestamp_ms;
        }
        let since_ms = rule.since_ms.unwrap_or(committed.commit_timestamp_ms);
        self.now_ms.saturating_sub(since_ms) >= self.config.offsets_retention_ms
    }
}
