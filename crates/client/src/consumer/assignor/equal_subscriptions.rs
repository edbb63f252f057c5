//! Sticky assignment where all members subscribe to the same topics: everybody gets the smaller or the larger of two quotas.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::sticky::Claims;
use super::{Assignments, PartitionCounts, partitions_of};
use crate::cluster_metadata::TopicPartition;

pub(super) struct EqualSubscriptions<'a> {
    claims: &'a Claims<'a>,
    counts: &'a PartitionCounts,
    assignments: BTreeMap<&'a str, Vec<TopicPartition>>,
    /// What a member had beyond its quota.
    taken: BTreeMap<TopicPartition, &'a str>,
    transfers: BTreeMap<TopicPartition, String>,
    quota_min: usize,
    quota_max: usize,
    /// How many more members may get the larger quota; 0 if both are the same.
    larger_left: usize,
    below_min: Vec<&'a str>,
    at_min: VecDeque<&'a str>,
}

impl<'a> EqualSubscriptions<'a> {
    pub(super) fn new(claims: &'a Claims<'a>, counts: &'a PartitionCounts) -> EqualSubscriptions<'a> {
        let total: usize = counts.values().map(|count| *count as usize).sum();
        let members = claims.owned.len().max(1);
        EqualSubscriptions {
            claims,
            counts,
            assignments: claims.owned.keys().map(|id| (*id, Vec::new())).collect(),
            taken: BTreeMap::new(),
            transfers: BTreeMap::new(),
            quota_min: total / members,
            quota_max: total.div_ceil(members),
            larger_left: total % members,
            below_min: Vec::new(),
            at_min: VecDeque::new(),
        }
    }

    /// The assignments, and what others must give up first.
    pub(super) fn assign(mut self) -> (Assignments, BTreeMap<TopicPartition, String>) {
        let claims = self.claims;
        for (id, owned) in &claims.owned {
            self.keep(id, owned);
        }
        let kept: BTreeSet<TopicPartition> = self.assignments.values().flatten().cloned().collect();
        let free = self.counts.iter().flat_map(|(topic, count)| partitions_of(topic, *count));
        let free: Vec<TopicPartition> = free.filter(|tp| !kept.contains(tp)).collect();
        // Both lists are in the order of the members' ids, which is the order in which `keep` went through them.
        self.deal_out(free);
        let assignments = self.assignments.into_iter().map(|(id, partitions)| (id.to_owned(), partitions));
        (assignments.collect(), self.transfers)
    }

    fn keep(&mut self, id: &'a str, owned: &BTreeSet<TopicPartition>) {
        let mut owned: Vec<TopicPartition> = owned.difference(&self.claims.contested).cloned().collect();
        owned.sort_by(|a, b| (a.partition, &a.topic).cmp(&(b.partition, &b.topic)));
        let keeps = if owned.len() < self.quota_min {
            self.below_min.push(id);
            owned.len()
        } else if owned.len() >= self.quota_max && self.larger_left > 0 {
            self.larger_left -= 1;
            if self.larger_left == 0 {
                self.at_min.clear();
            }
            self.quota_max
        } else {
            if self.larger_left > 0 {
                self.at_min.push_back(id);
            }
            self.quota_min
        };
        self.taken.extend(owned.drain(keeps..).map(|tp| (tp, id)));
        self.assignments.entry(id).or_default().extend(owned);
    }

    /// In turn to those below the smaller quota, then one each to as many as may have the larger one.
    fn deal_out(&mut self, free: Vec<TopicPartition>) {
        let mut turn = 0;
        for tp in free {
            if self.below_min.is_empty() {
                let id = self.at_min.pop_front().expect("the quotas add up to the number of partitions");
                self.give(tp, id);
                continue;
            }
            turn %= self.below_min.len();
            let id = self.below_min[turn];
            if self.give(tp, id) == self.quota_min {
                self.below_min.remove(turn);
                self.at_min.push_back(id);
            } else {
                turn += 1;
            }
        }
    }

    fn give(&mut self, tp: TopicPartition, id: &'a str) -> usize {
        let had = self.taken.get(&tp);
        if had.is_some_and(|owner| *owner != id) || self.claims.contested.contains(&tp) {
            self.transfers.insert(tp.clone(), id.to_owned());
        }
        let partitions = self.assignments.entry(id).or_default();
        partitions.push(tp);
        partitions.len()
    }
}
