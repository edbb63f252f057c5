//! All partitions in order, dealt out to the members in turn; who does not subscribe to a topic is passed over.

use super::{Assignments, Members, PartitionCounts, by_identity, partitions_of};

pub(super) fn assign(members: &Members, counts: &PartitionCounts) -> Assignments {
    let mut assignments: Assignments = members.keys().map(|id| (id.clone(), Vec::new())).collect();
    let mut in_turn: Vec<_> = members.iter().collect();
    in_turn.sort_by(by_identity);
    let mut turn = 0;
    for tp in counts.iter().flat_map(|(topic, count)| partitions_of(topic, *count)) {
        while !in_turn[turn].1.topics.contains(&tp.topic) {
            turn = (turn + 1) % in_turn.len();
        }
        assignments.entry(in_turn[turn].0.clone()).or_default().push(tp);
        turn = (turn + 1) % in_turn.len();
    }
    assignments
}
