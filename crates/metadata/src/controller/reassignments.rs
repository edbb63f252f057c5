//! Moving replicas: new ones are added beside the old, and when all that are to stay are in sync, the others go.

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, PartitionIndex};
use dohle_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition, ReassignablePartitionResponse,
    ReassignableTopicResponse,
};
use dohle_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, OngoingPartitionReassignment, OngoingTopicReassignment,
};

use super::Controller;
use super::draft::Draft;
use super::partition_change::PartitionChange;
use super::partitions::check_replicas;
use super::refusal::{Refusal, wire_error};
use crate::image::ClusterImage;
use crate::image::topics::{PartitionImage, TopicImage, raw_ids};

impl Controller {
    pub(super) fn alter_reassignments(
        &self,
        draft: &mut Draft,
        request: &AlterPartitionReassignmentsRequest,
    ) -> AlterPartitionReassignmentsResponse {
        let mut response = AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: request.allow_replication_factor_change,
            ..Default::default()
        };
        for topic in &request.topics {
            let mut result = ReassignableTopicResponse {
                name: topic.name.clone(),
                ..Default::default()
            };
            for partition in &topic.partitions {
                let outcome = self.alter_reassignment(draft, &topic.name, partition, request.allow_replication_factor_change);
                let (error_code, error_message) = wire_error(&outcome);
                result.partitions.push(ReassignablePartitionResponse {
                    partition_index: partition.partition_index,
                    error_code,
                    error_message,
                    ..Default::default()
                });
            }
            response.responses.push(result);
        }
        response
    }

    fn alter_reassignment(
        &self,
        draft: &mut Draft,
        name: &str,
        request: &ReassignablePartition,
        may_change_factor: bool,
    ) -> Result<(), Refusal> {
        let image = draft.image();
        let index = PartitionIndex(request.partition_index);
        let missing = |what: String| Refusal::new(ErrorCode::UnknownTopicOrPartition, what);
        let topic = image.topic(name);
        let topic = topic.ok_or_else(|| missing(format!("Unable to find a topic named {name}.")))?;
        let partition = topic.partitions.get(&index);
        let partition = partition.ok_or_else(|| missing(format!("Unable to find partition {name}:{index}.")))?;
        let rules = self.rules(image, name);
        let mut change = PartitionChange::new(partition, rules);
        match &request.replicas {
            None if !partition.is_reassigning() => return Err(ErrorCode::NoReassignmentInProgress.into()),
            None => {
                let loses_nothing = revert(&mut change.after);
                let mut back_then = change.after.replicas.iter();
                let somebody_leads = rules.unclean_election && back_then.any(|id| image.brokers().is_active(*id));
                if !loses_nothing && !somebody_leads {
                    let message = format!(
                        "Unable to revert partition assignment for {name}:{index} because it would require an unclean leader election."
                    );
                    return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
                }
            }
            Some(target) => {
                let target = check_replicas(image.brokers(), target, None)?;
                let current = partition.original_replicas().len();
                if !may_change_factor && target.len() != current {
                    let message = format!("The replication factor is changed from {current} to {}", target.len());
                    return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message));
                }
                head_for(&mut change.after, target);
            }
        }
        let record = change.record(topic.id, index, &|id| image.brokers().is_active(id));
        draft.extend(record.map(Into::into));
        Ok(())
    }
}

/// Adds what is missing, and says what is to go.
pub(super) fn head_for(partition: &mut PartitionImage, target: Vec<BrokerId>) {
    let original = partition.original_replicas();
    let removing: Vec<BrokerId> = partition.replicas.iter().copied().filter(|id| !target.contains(id)).collect();
    let replicas = [target, removing.clone()].concat();
    partition.adding_replicas = replicas.iter().copied().filter(|id| !original.contains(id)).collect();
    partition.removing_replicas = removing;
    partition.replicas = replicas;
}

/// Back to what was before. `false`: none of those replicas holds all that is committed.
fn revert(partition: &mut PartitionImage) -> bool {
    partition.replicas = partition.original_replicas();
    partition.adding_replicas.clear();
    partition.removing_replicas.clear();
    let replicas = &partition.replicas;
    partition.isr.retain(|id| replicas.contains(id));
    !partition.isr.is_empty() || partition.elr.iter().any(|id| replicas.contains(id))
}

/// What goes on. Asks nothing but the image, hence can be asked of any.
pub fn list_reassignments(image: &ClusterImage, request: &ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse {
    let of_topic = |topic: &TopicImage, indexes: &mut dyn Iterator<Item = PartitionIndex>| {
        let partitions: Vec<_> = indexes.filter_map(|index| ongoing(index, topic.partitions.get(&index)?)).collect();
        (!partitions.is_empty()).then(|| OngoingTopicReassignment {
            name: topic.name.to_string(),
            partitions,
            ..Default::default()
        })
    };
    let topics = match &request.topics {
        None => {
            let topics = image.topics().iter();
            topics
                .filter_map(|topic| of_topic(topic, &mut topic.partitions.keys().copied()))
                .collect()
        }
        Some(named) => {
            let named = named.iter();
            named
                .filter_map(|wanted| {
                    let mut indexes = wanted.partition_indexes.iter().map(|index| PartitionIndex(*index));
                    of_topic(image.topic(&wanted.name)?, &mut indexes)
                })
                .collect()
        }
    };
    ListPartitionReassignmentsResponse {
        topics,
        ..Default::default()
    }
}

fn ongoing(index: PartitionIndex, partition: &PartitionImage) -> Option<OngoingPartitionReassignment> {
    partition.is_reassigning().then(|| OngoingPartitionReassignment {
        partition_index: index.0,
        replicas: raw_ids(&partition.replicas),
        adding_replicas: raw_ids(&partition.adding_replicas),
        removing_replicas: raw_ids(&partition.removing_replicas),
        ..Default::default()
    })
}
