//! One change of a partition: what its replicas are to be, and who leads and is in sync then.
//!
//! A leader comes from the replicas in sync. If none of them is there, it comes from those that are eligible besides them: while fewer
//! replicas than `min.insync.replicas` are in sync nothing is committed, so whoever was in sync at the beginning of that time still holds
//! all that is. Anybody else leads only if an unclean election is asked for.

use dohle_protocol::id::{BrokerId, PartitionIndex, TopicId};

use crate::image::topics::{PartitionImage, raw_ids};
use crate::record::{NO_LEADER_CHANGE, NO_RECOVERY_CHANGE, PartitionChangeRecord};

/// What is configured for the partitions of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TopicRules {
    pub(super) min_insync_replicas: usize,
    pub(super) unclean_election: bool,
}

/// Whom to elect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Election {
    /// The first replica, if it may lead; else as [`Election::Online`].
    Preferred,
    /// Whoever leads, as long as it may.
    Online,
    /// As [`Election::Online`], but rather somebody who may have missed committed records than nobody.
    Unclean,
}

pub(super) struct PartitionChange<'a> {
    before: &'a PartitionImage,
    /// What the partition becomes. The leader and the eligible replicas follow from the rest.
    pub(super) after: PartitionImage,
    pub(super) election: Election,
    /// A leader that is gone stays the leader, as long as there is no other.
    pub(super) keep_leader: bool,
    min_insync_replicas: usize,
    distrusted: Option<BrokerId>,
}

impl PartitionChange<'_> {
    pub(super) fn new(before: &PartitionImage, rules: TopicRules) -> PartitionChange<'_> {
        PartitionChange {
            before,
            after: before.clone(),
            election: if rules.unclean_election {
                Election::Unclean
            } else {
                Election::Online
            },
            keep_leader: false,
            min_insync_replicas: rules.min_insync_replicas,
            distrusted: None,
        }
    }

    pub(super) fn remove_from_isr(&mut self, broker: BrokerId) {
        self.after.isr.retain(|id| *id != broker);
    }

    /// The broker may have lost what it held. The only one that is left stays: it has the most there is.
    pub(super) fn distrust(&mut self, broker: BrokerId) {
        if self.held_all().any(|id| id != broker) {
            self.remove_from_isr(broker);
            self.distrusted = Some(broker);
        } else if self.after.replicas.len() > 1 {
            self.after.recovering = true;
        }
    }

    /// The replicas that held all committed records before the change, and still do.
    fn held_all(&self) -> impl Iterator<Item = BrokerId> + '_ {
        let trusted = |id: &BrokerId| Some(*id) != self.distrusted;
        self.before.isr.iter().chain(&self.before.elr).copied().filter(trusted)
    }

    /// `None`: nothing changes. `can_lead` knows who is there.
    pub(super) fn record(
        mut self,
        topic: TopicId,
        index: PartitionIndex,
        can_lead: &dyn Fn(BrokerId) -> bool,
    ) -> Option<PartitionChangeRecord> {
        self.complete_reassignment();
        let clean = self.leader_in_sync(can_lead).or_else(|| self.eligible_leader(can_lead));
        let unclean = if clean.is_none() { self.unclean_leader(can_lead) } else { None };
        self.keep_somebody_in_sync();
        self.after.leader = clean.or(unclean).unwrap_or(BrokerId::NONE);
        if self.after.leader.is_none() && self.keep_leader && self.after.isr.contains(&self.before.leader) {
            self.after.leader = self.before.leader;
        }
        self.update_eligible(unclean.is_some());
        difference(topic, index, self.before, &self.after)
    }

    /// A reassignment is complete when all that are to stay are in sync.
    fn complete_reassignment(&mut self) {
        let stays = |id: &BrokerId| !self.after.removing_replicas.contains(id);
        let replicas: Vec<BrokerId> = self.after.replicas.iter().copied().filter(stays).collect();
        let isr: Vec<BrokerId> = self.after.isr.iter().copied().filter(stays).collect();
        if self.after.is_reassigning() && !replicas.is_empty() && replicas.iter().all(|id| isr.contains(id)) {
            self.after.replicas = replicas;
            self.after.isr = isr;
            self.after.adding_replicas.clear();
            self.after.removing_replicas.clear();
        }
    }

    fn leader_in_sync(&self, can_lead: &dyn Fn(BrokerId) -> bool) -> Option<BrokerId> {
        let may_lead = |id: &BrokerId| self.after.isr.contains(id) && can_lead(*id);
        let preferred = self.after.replicas.first().filter(|_| self.election == Election::Preferred);
        let candidates = preferred.into_iter().chain([&self.before.leader]).chain(&self.after.replicas);
        candidates.copied().find(may_lead)
    }

    fn eligible_leader(&mut self, can_lead: &dyn Fn(BrokerId) -> bool) -> Option<BrokerId> {
        let may_lead = |id: &BrokerId| self.before.elr.contains(id) && Some(*id) != self.distrusted && can_lead(*id);
        let leader = self.after.replicas.iter().copied().find(may_lead)?;
        self.after.isr = vec![leader];
        Some(leader)
    }

    fn unclean_leader(&mut self, can_lead: &dyn Fn(BrokerId) -> bool) -> Option<BrokerId> {
        if self.election != Election::Unclean {
            return None;
        }
        let held_all_once = self.after.last_known_elr.iter().filter(|id| self.after.replicas.contains(id));
        let leader = held_all_once.chain(&self.after.replicas).copied().find(|id| can_lead(*id))?;
        self.after.isr = vec![leader];
        self.after.recovering = true;
        Some(leader)
    }

    /// Whoever was in sync last is the first who may lead again.
    fn keep_somebody_in_sync(&mut self) {
        if !self.after.isr.is_empty() {
            return;
        }
        let trusted = |id: &&BrokerId| Some(**id) != self.distrusted && self.after.replicas.contains(id);
        let isr: Vec<BrokerId> = self.before.isr.iter().filter(trusted).copied().collect();
        self.after.isr = if isr.is_empty() {
            self.before.elr.iter().find(trusted).copied().into_iter().collect()
        } else {
            isr
        };
        assert!(!self.after.isr.is_empty(), "nobody is left of {:?}", self.before);
    }

    fn update_eligible(&mut self, unclean: bool) {
        let commits = self.after.isr.len() >= self.min_insync_replicas;
        if unclean || commits {
            self.after.elr.clear();
            self.after.last_known_elr.clear();
            return;
        }
        let held_all: Vec<BrokerId> = self.held_all().collect();
        let others = self.after.replicas.iter().copied().filter(|id| !self.after.isr.contains(id));
        let (elr, rest): (Vec<_>, Vec<_>) = others.partition(|id| held_all.contains(id));
        let before = self.before;
        let held_all_once = |id: &BrokerId| {
            [&before.isr, &before.elr, &before.last_known_elr]
                .iter()
                .any(|ids| ids.contains(id))
        };
        self.after.elr = elr;
        self.after.last_known_elr = rest.into_iter().filter(held_all_once).collect();
    }
}

/// The record that makes the one of the other; `None`: they are the same.
fn difference(topic: TopicId, index: PartitionIndex, before: &PartitionImage, after: &PartitionImage) -> Option<PartitionChangeRecord> {
    if before == after {
        return None;
    }
    let changed = |before: &Vec<BrokerId>, after: &Vec<BrokerId>| (before != after).then(|| raw_ids(after));
    // A replica that is removed must not go on as if it were one.
    let loses_replicas = before.replicas.iter().any(|id| !after.replicas.contains(id));
    Some(PartitionChangeRecord {
        topic_id: topic.0,
        partition_index: index.0,
        isr: changed(&before.isr, &after.isr),
        leader: if before.leader != after.leader || loses_replicas {
            after.leader.0
        } else {
            NO_LEADER_CHANGE
        },
        replicas: changed(&before.replicas, &after.replicas),
        adding_replicas: changed(&before.adding_replicas, &after.adding_replicas),
        removing_replicas: changed(&before.removing_replicas, &after.removing_replicas),
        eligible_leader_replicas: changed(&before.elr, &after.elr),
        last_known_elr: changed(&before.last_known_elr, &after.last_known_elr),
        leader_recovery_state: if before.recovering == after.recovering {
            NO_RECOVERY_CHANGE
        } else {
            after.recovering.into()
        },
        ..PartitionChangeRecord::default()
    })
}
