//! Elections of leaders that an operator asks for.

use std::collections::BTreeSet;
use std::sync::Arc;

use dohle_protocol::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};

use super::{Admin, PerPartition, by_topic};
use crate::cluster_metadata::TopicPartition;
use crate::error::ClientError;

/// Who is to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Election {
    /// The first replica, if it is in sync.
    Preferred,
    /// Whoever is alive, if no replica in sync is: records may be lost.
    Unclean,
}

impl Admin {
    /// Of the given partitions, or of all (`None`); then those that need no election are not in the answer.
    pub async fn elect_leaders(
        &self,
        election: Election,
        partitions: Option<&BTreeSet<TopicPartition>>,
    ) -> Result<PerPartition, ClientError> {
        let topic = |(topic, partitions): (Arc<str>, Vec<i32>)| TopicPartitions {
            topic: topic.to_string(),
            partitions,
            ..Default::default()
        };
        let request = ElectLeadersRequest {
            election_type: match election {
                Election::Preferred => 0,
                Election::Unclean => 1,
            },
            topic_partitions: partitions.map(|partitions| by_topic(partitions).into_iter().map(topic).collect()),
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        let response = self.ask_controller(&request, |response| (response.error_code, None)).await?;
        let mut outcomes = PerPartition::new();
        for topic in response.replica_election_results {
            for partition in topic.partition_result {
                let outcome = ClientError::check(partition.error_code, partition.error_message);
                outcomes.insert(TopicPartition::new(topic.topic.as_str(), partition.partition_id), outcome);
            }
        }
        Ok(outcomes)
    }
}
