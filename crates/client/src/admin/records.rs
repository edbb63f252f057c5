//! Deletion of records below an offset.

use std::collections::BTreeMap;

use dohle_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};

use super::Admin;
use crate::cluster_metadata::TopicPartition;
use crate::error::ClientError;

impl Admin {
    /// Moves the start of each partition to the given offset (-1: the high watermark); the answer is the new start.
    pub async fn delete_records(&self, before: &BTreeMap<TopicPartition, i64>) -> BTreeMap<TopicPartition, Result<i64, ClientError>> {
        let mut results = BTreeMap::new();
        for (tp, &offset) in before {
            let result = self
                .cluster
                .retry(async || {
                    let outcome = self.delete_partition_records(tp, offset).await;
                    if outcome.as_ref().is_err_and(ClientError::is_retriable) {
                        self.refresh_topics(std::iter::once(tp)).await?;
                    }
                    outcome
                })
                .await;
            results.insert(tp.clone(), result);
        }
        results
    }

    async fn delete_partition_records(&self, tp: &TopicPartition, offset: i64) -> Result<i64, ClientError> {
        let leader = self.cluster.leader(tp).await?;
        let partition = DeleteRecordsPartition {
            partition_index: tp.partition,
            offset,
            ..Default::default()
        };
        let topic = DeleteRecordsTopic {
            name: tp.topic.to_string(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = DeleteRecordsRequest {
            topics: vec![topic],
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        let response = self.cluster.node(leader.node).await?.call(&request).await?;
        let result = response
            .topics
            .into_iter()
            .flat_map(|topic| topic.partitions)
            .find(|p| p.partition_index == tp.partition);
        let result = result.ok_or_else(|| ClientError::Incomplete(format!("the server's answer does not mention {tp}")))?;
        ClientError::check(result.error_code, None).map(|()| result.low_watermark)
    }
}
