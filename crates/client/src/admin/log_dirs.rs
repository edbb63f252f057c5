//! What lies in the log directories of a broker.

use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};

use super::Admin;
use crate::cluster_metadata::TopicPartition;
use crate::error::ClientError;

#[derive(Debug, Clone)]
pub struct LogDirDescription {
    pub path: String,
    pub error: ErrorCode,
    pub replicas: Vec<LogDirReplica>,
}

#[derive(Debug, Clone)]
pub struct LogDirReplica {
    pub partition: TopicPartition,
    pub size_bytes: i64,
    pub offset_lag: i64,
    pub is_future: bool,
}

impl Admin {
    /// All replicas of one broker, or those of the given partitions.
    pub async fn describe_log_dirs(
        &self,
        broker: i32,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Vec<LogDirDescription>, ClientError> {
        let topics = partitions.map(|partitions| {
            let mut topics: Vec<DescribableLogDirTopic> = Vec::new();
            for tp in partitions {
                match topics.last_mut().filter(|topic| *topic.topic == *tp.topic) {
                    Some(topic) => topic.partitions.push(tp.partition),
                    None => topics.push(DescribableLogDirTopic {
                        topic: tp.topic.to_string(),
                        partitions: vec![tp.partition],
                        ..Default::default()
                    }),
                }
            }
            topics
        });
        let response = self
            .cluster
            .call_node(
                broker,
                &DescribeLogDirsRequest {
                    topics,
                    ..Default::default()
                },
            )
            .await?;
        ClientError::check(response.error_code, None)?;
        let dirs = response.results.into_iter().map(|dir| LogDirDescription {
            path: dir.log_dir,
            error: ErrorCode::from_code(dir.error_code),
            replicas: dir
                .topics
                .iter()
                .flat_map(|topic| {
                    topic.partitions.iter().map(|p| LogDirReplica {
                        partition: TopicPartition::new(topic.name.as_str(), p.partition_index),
                        size_bytes: p.partition_size,
                        offset_lag: p.offset_lag,
                        is_future: p.is_future_key,
                    })
                })
                .collect(),
        });
        Ok(dirs.collect())
    }
}
