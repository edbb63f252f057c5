//! Moving replicas from broker to broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dohle_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use dohle_protocol::messages::list_partition_reassignments::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics};

use super::{Admin, PerPartition, by_topic};
use crate::cluster_metadata::TopicPartition;
use crate::error::ClientError;

/// A partition whose replicas are on the move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// All that there are at the moment.
    pub replicas: Vec<i32>,
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
}

impl Admin {
    /// Begins to move the replicas of each partition to the given brokers; `None` cancels what goes on.
    pub async fn alter_reassignments(&self, targets: &BTreeMap<TopicPartition, Option<Vec<i32>>>) -> Result<PerPartition, ClientError> {
        let mut topics: BTreeMap<Arc<str>, Vec<ReassignablePartition>> = BTreeMap::new();
        for (tp, replicas) in targets {
            topics.entry(Arc::clone(&tp.topic)).or_default().push(ReassignablePartition {
                partition_index: tp.partition,
                replicas: replicas.clone(),
                ..Default::default()
            });
        }
        let topics = topics.into_iter().map(|(name, partitions)| ReassignableTopic {
            name: name.to_string(),
            partitions,
            ..Default::default()
        });
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: self.timeout_ms(),
            topics: topics.collect(),
            ..Default::default()
        };
        let response = self
            .ask_controller(&request, |response| (response.error_code, response.error_message.clone()))
            .await?;
        let mut outcomes = PerPartition::new();
        for topic in response.responses {
            for partition in topic.partitions {
                let outcome = ClientError::check(partition.error_code, partition.error_message);
                outcomes.insert(TopicPartition::new(topic.name.as_str(), partition.partition_index), outcome);
            }
        }
        Ok(outcomes)
    }

    /// What goes on, of the given partitions or of all (`None`).
    pub async fn list_reassignments(
        &self,
        partitions: Option<&BTreeSet<TopicPartition>>,
    ) -> Result<BTreeMap<TopicPartition, Reassignment>, ClientError> {
        let topic = |(name, partition_indexes): (Arc<str>, Vec<i32>)| ListPartitionReassignmentsTopics {
            name: name.to_string(),
            partition_indexes,
            ..Default::default()
        };
        let request = ListPartitionReassignmentsRequest {
            timeout_ms: self.timeout_ms(),
            topics: partitions.map(|partitions| by_topic(partitions).into_iter().map(topic).collect()),
            ..Default::default()
        };
        let response = self
            .ask_controller(&request, |response| (response.error_code, response.error_message.clone()))
            .await?;
        let mut ongoing = BTreeMap::new();
        for topic in response.topics {
            for partition in topic.partitions {
                let reassignment = Reassignment {
                    replicas: partition.replicas,
                    adding: partition.adding_replicas,
                    removing: partition.removing_replicas,
                };
                ongoing.insert(TopicPartition::new(topic.name.as_str(), partition.partition_index), reassignment);
            }
        }
        Ok(ongoing)
    }
}
