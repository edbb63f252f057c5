//! Who leads the partitions of a broker that goes, or that is back.

use dohle_protocol::id::{BrokerId, PartitionIndex, TopicId};

use super::draft::Draft;
use crate::image::ClusterImage;
use crate::image::topics::{PartitionImage, raw_ids};
use crate::record::{MetadataRecord, NO_LEADER_CHANGE, PartitionChangeRecord};

/// What becomes of a partition that nobody else can lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WithoutSuccessor {
    /// The broker stops in order and keeps all it acknowledged: it is the leader as soon as it is back, in the same epoch.
    Keeps,
    /// The broker may have lost the end of its log: whatever it leads next, it leads in a new epoch.
    Loses,
}

/// Takes the broker out of the in-sync replicas and the leaderships, as far as there are others.
pub(super) fn leave(draft: &mut Draft, broker: BrokerId, without_successor: WithoutSuccessor) {
    let changes = changes_of(draft.image(), |partition| {
        if !partition.isr.contains(&broker) {
            return None;
        }
        let others: Vec<BrokerId> = partition.isr.iter().copied().filter(|id| *id != broker).collect();
        let isr = if others.is_empty() { partition.isr.clone() } else { others };
        let can_lead = |id: &BrokerId| *id != broker && isr.contains(id) && draft.image().brokers().is_active(*id);
        let leader = if can_lead(&partition.leader) {
            partition.leader
        } else {
            match partition.replicas.iter().copied().find(can_lead) {
                Some(successor) => successor,
                None if without_successor == WithoutSuccessor::Keeps => partition.leader,
                None => BrokerId::NONE,
            }
        };
        Some((isr, leader))
    });
    draft.extend(changes);
}

/// Elects leaders where there are none and an in-sync replica is active (again).
pub(super) fn elect(draft: &mut Draft) {
    let changes = changes_of(draft.image(), |partition| {
        let can_lead = |id: &BrokerId| partition.isr.contains(id) && draft.image().brokers().is_active(*id);
        let leader = partition.replicas.iter().copied().find(can_lead)?;
        partition.leader.is_none().then(|| (partition.isr.clone(), leader))
    });
    draft.extend(changes);
}

/// Records for those partitions for which `change` says other in-sync replicas or another leader.
fn changes_of(image: &ClusterImage, change: impl Fn(&PartitionImage) -> Option<(Vec<BrokerId>, BrokerId)>) -> Vec<MetadataRecord> {
    let partitions = image
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|(index, partition)| (topic.id, *index, partition)));
    let to_record = |(topic, index, partition): (TopicId, PartitionIndex, &PartitionImage)| {
        let (isr, leader) = change(partition)?;
        let record = PartitionChangeRecord {
            topic_id: topic.0,
            partition_index: index.0,
            isr: (isr != partition.isr).then(|| raw_ids(&isr)),
            leader: if leader == partition.leader { NO_LEADER_CHANGE } else { leader.0 },
            ..Default::default()
        };
        (record.isr.is_some() || record.leader != NO_LEADER_CHANGE).then(|| record.into())
    };
    partitions.filter_map(to_record).collect()
}
