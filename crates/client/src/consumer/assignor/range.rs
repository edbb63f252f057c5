//! Topic by topic: the partitions in order, cut into as many ranges as there are subscribers; the first ranges are longer by one.

use super::{Assignments, Members, PartitionCounts, by_identity, partitions_of};

pub(super) fn assign(members: &Members, counts: &PartitionCounts) -> Assignments {
    let mut assignments: Assignments = members.keys().map(|id| (id.clone(), Vec::new())).collect();
    for (topic, &count) in counts {
        let mut subscribers: Vec<_> = members.iter().filter(|(_, member)| member.topics.contains(topic)).collect();
        subscribers.sort_by(by_identity);
        let (each, longer) = (count as usize / subscribers.len(), count as usize % subscribers.len());
        let mut partitions = partitions_of(topic, count);
        for (position, (id, _)) in subscribers.into_iter().enumerate() {
            let length = each + usize::from(position < longer);
            assignments.entry(id.clone()).or_default().extend(partitions.by_ref().take(length));
        }
    }
    assignments
}
