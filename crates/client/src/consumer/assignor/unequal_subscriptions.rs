//! Sticky assignment where members subscribe to different topics: keeps what may be kept, gives the rest to whoever has least, and then
//! moves single partitions as long as that makes the assignment more even.
//!
//! Members and partitions are numbers in here, in the order in which they are tried.

use std::collections::{BTreeMap, BTreeSet};

use super::sticky::Claims;
use super::{Assignments, Members, PartitionCounts, partitions_of};
use crate::cluster_metadata::TopicPartition;

pub(super) struct UnequalSubscriptions<'a> {
    /// In order of their ids.
    ids: Vec<&'a str>,
    /// By topic: who subscribes to it.
    subscribers: Vec<Vec<usize>>,
    /// Topics with few subscribers first.
    partitions: Vec<TopicPartition>,
    topic_of: Vec<usize>,
    owner: Vec<Option<usize>>,
    load: Vec<usize>,
    /// Who takes part in the balancing.
    balances: Vec<bool>,
    /// By partition: who had it in an older generation.
    earlier: Vec<Option<usize>>,
    /// A member has something of a topic to which it no longer subscribes.
    must_move: bool,
    moves: Moves,
}

/// Where partitions came from and went to while balancing, so that two of one topic are not swapped in vain.
#[derive(Default)]
struct Moves {
    of_partition: BTreeMap<usize, (usize, usize)>,
    /// By topic, from and to.
    of_topic: BTreeMap<(usize, usize, usize), BTreeSet<usize>>,
}

impl<'a> UnequalSubscriptions<'a> {
    pub(super) fn new(members: &'a Members, counts: &PartitionCounts, claims: &Claims) -> UnequalSubscriptions<'a> {
        let ids: Vec<&str> = members.keys().map(String::as_str).collect();
        let subscribers_of = |topic| {
            let subscribes = |(_, member): &(usize, &super::MemberSubscription)| member.topics.contains(topic);
            members.values().enumerate().filter(subscribes).map(|(index, _)| index).collect()
        };
        let mut topics: Vec<(Vec<usize>, _, i32)> = counts.iter().map(|(topic, count)| (subscribers_of(topic), topic, *count)).collect();
        topics.sort_by_key(|(subscribers, topic, _)| (subscribers.len(), *topic));
        let mut partitions = Vec::new();
        let mut topic_of = Vec::new();
        for (index, (_, topic, count)) in topics.iter().enumerate() {
            partitions.extend(partitions_of(topic, *count));
            topic_of.resize(partitions.len(), index);
        }
        let number_of = |id: &str| ids.binary_search(&id).ok();
        let earlier = partitions
            .iter()
            .map(|tp| claims.earlier.get(tp).and_then(|id| number_of(id)))
            .collect();
        let mut problem = UnequalSubscriptions {
            subscribers: topics.into_iter().map(|(subscribers, ..)| subscribers).collect(),
            owner: vec![None; partitions.len()],
            load: vec![0; ids.len()],
            balances: vec![true; ids.len()],
            ids,
            partitions,
            topic_of,
            earlier,
            must_move: false,
            moves: Moves::default(),
        };
        problem.keep(claims);
        problem
    }

    fn keep(&mut self, claims: &Claims) {
        let numbers: BTreeMap<TopicPartition, usize> = self.partitions.iter().cloned().zip(0..).collect();
        for (member, id) in self.ids.iter().enumerate() {
            for tp in &claims.owned[id] {
                let partition = numbers[tp];
                if self.subscribers[self.topic_of[partition]].contains(&member) {
                    self.owner[partition] = Some(member);
                    self.load[member] += 1;
                } else {
                    self.must_move = true;
                }
            }
        }
    }

    pub(super) fn assign(mut self) -> Assignments {
        let is_first_assignment = self.load.iter().all(|load| *load == 0);
        let free: Vec<usize> = (0..self.partitions.len())
            .filter(|partition| self.owner[*partition].is_none())
            .collect();
        for &partition in &free {
            let member = self.least_loaded(partition);
            self.owner[partition] = Some(member);
            self.load[member] += 1;
        }
        let movable = |partition: &usize| self.subscribers[self.topic_of[*partition]].len() >= 2;
        let all: Vec<usize> = (0..self.partitions.len()).filter(movable).collect();
        let free: Vec<usize> = free.into_iter().filter(movable).collect();
        self.balances = (0..self.ids.len()).map(|member| self.can_balance(member)).collect();
        let before = (self.owner.clone(), self.load.clone());
        if !self.must_move {
            self.even_out(&free);
        }
        let changed = self.even_out(&all);
        if !is_first_assignment && changed && self.unevenness(&self.load) >= self.unevenness(&before.1) {
            (self.owner, self.load) = before;
        }
        let mut assignments: Assignments = self.ids.iter().map(|id| ((*id).to_owned(), Vec::new())).collect();
        for (tp, owner) in self.partitions.into_iter().zip(self.owner) {
            let owner = self.ids[owner.expect("every topic has a subscriber")];
            assignments.entry(owner.to_owned()).or_default().push(tp);
        }
        assignments
    }

    /// The subscriber with the fewest partitions, the first one among equals.
    fn least_loaded(&self, partition: usize) -> usize {
        let subscribers = self.subscribers[self.topic_of[partition]].iter().copied();
        let least = subscribers
            .filter(|member| self.balances[*member])
            .min_by_key(|member| (self.load[*member], *member));
        least.expect("every topic has a subscriber")
    }

    /// Whether there is anything that the member could get, or give to another.
    fn can_balance(&self, member: usize) -> bool {
        let topics = self.topic_of.iter().zip(&self.owner);
        let mut subscribed = topics.filter(|(topic, _)| self.subscribers[**topic].contains(&member));
        subscribed.any(|(topic, owner)| *owner != Some(member) || self.subscribers[*topic].len() >= 2)
    }

    /// Moves partitions until no single move makes it more even; whether it moved any.
    fn even_out(&mut self, candidates: &[usize]) -> bool {
        let mut changed = false;
        loop {
            let mut moved = false;
            for &partition in candidates {
                if self.is_even() {
                    break;
                }
                let load = self.load[self.owner[partition].expect("all are assigned")];
                let lighter = |member: usize| load > self.load[member] + 1;
                let subscribers = &self.subscribers[self.topic_of[partition]];
                let back = self.earlier[partition].filter(|member| subscribers.contains(member) && lighter(*member));
                let any = || subscribers.iter().any(|member| lighter(*member));
                let receiver = back.or_else(|| any().then(|| self.least_loaded(partition)));
                if let Some(receiver) = receiver {
                    self.shift(partition, receiver);
                    moved = true;
                }
            }
            changed |= moved;
            if !moved {
                return changed;
            }
        }
    }

    /// No member could get a partition from one that has at least two more.
    fn is_even(&self) -> bool {
        let mut most_of_topic = vec![0; self.subscribers.len()];
        for (topic, owner) in self.topic_of.iter().zip(&self.owner) {
            let load = owner.map_or(0, |owner| self.load[owner]);
            most_of_topic[*topic] = load.max(most_of_topic[*topic]);
        }
        let mut pairs = most_of_topic.iter().zip(&self.subscribers);
        pairs.all(|(most, subscribers)| subscribers.iter().all(|member| self.load[*member] + 1 >= *most))
    }

    /// Gives the partition to the member, or instead of it one of the same topic that came from there: that one goes home.
    fn shift(&mut self, partition: usize, receiver: usize) {
        let giver = self.owner[partition].expect("all are assigned");
        let partition = self.moves.instead_of(self.topic_of[partition], partition, giver, receiver);
        self.moves.record(self.topic_of[partition], partition, giver, receiver);
        self.owner[partition] = Some(receiver);
        self.load[giver] -= 1;
        self.load[receiver] += 1;
    }

    /// The sum of the differences between all members that take part.
    fn unevenness(&self, load: &[usize]) -> usize {
        let loads: Vec<usize> = load
            .iter()
            .zip(&self.balances)
            .filter(|(_, balances)| **balances)
            .map(|(load, _)| *load)
            .collect();
        let from = |position: usize| {
            loads[position + 1..]
                .iter()
                .map(|other| loads[position].abs_diff(*other))
                .sum::<usize>()
        };
        (0..loads.len()).map(from).sum()
    }
}

impl Moves {
    fn instead_of(&self, topic: usize, partition: usize, giver: usize, receiver: usize) -> usize {
        let came_from_there = self.of_topic.get(&(topic, receiver, giver));
        came_from_there
            .and_then(|partitions| partitions.first().copied())
            .unwrap_or(partition)
    }

    fn record(&mut self, topic: usize, partition: usize, giver: usize, receiver: usize) {
        let mut origin = giver;
        if let Some((from, to)) = self.of_partition.remove(&partition) {
            origin = from;
            let moved = self.of_topic.entry((topic, from, to)).or_default();
            moved.remove(&partition);
        }
        if origin != receiver {
            self.of_partition.insert(partition, (origin, receiver));
            self.of_topic.entry((topic, origin, receiver)).or_default().insert(partition);
        }
    }
}
