//! Which producers a partition's leader remembers.

use dohle_protocol::messages::describe_producers::{DescribeProducersRequest, ProducerState, TopicRequest};

use super::Admin;
use crate::cluster_metadata::TopicPartition;
use crate::error::ClientError;

impl Admin {
    pub async fn describe_producers(&self, tp: &TopicPartition) -> Result<Vec<ProducerState>, ClientError> {
        let topic = TopicRequest {
            name: tp.topic.to_string(),
            partition_indexes: vec![tp.partition],
            ..Default::default()
        };
        let request = DescribeProducersRequest {
            topics: vec![topic],
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let outcome = self.ask_leader_for_producers(tp, &request).await;
                if outcome.as_ref().is_err_and(ClientError::is_retriable) {
                    self.refresh_topics(std::iter::once(tp)).await?;
                }
                outcome
            })
            .await
    }

    async fn ask_leader_for_producers(
        &self,
        tp: &TopicPartition,
        request: &DescribeProducersRequest,
    ) -> Result<Vec<ProducerState>, ClientError> {
        let leader = self.cluster.leader(tp).await?;
        let response = self.cluster.node(leader.node).await?.call(request).await?;
        let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
        let partition = partition.ok_or_else(|| ClientError::Incomplete(format!("the server's answer does not mention {tp}")))?;
        ClientError::check(partition.error_code, partition.error_message).map(|()| partition.active_producers)
    }
}
