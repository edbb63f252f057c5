//! Topics: create, list, describe, add partitions, delete.

use std::sync::Arc;

use dohle_protocol::ApiKey;
use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic};
use dohle_protocol::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use dohle_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use dohle_protocol::messages::describe_topic_partitions::{Cursor, DescribeTopicPartitionsRequest, TopicRequest};
use uuid::Uuid;

use super::Admin;
use crate::cluster::Topics;
use crate::cluster_metadata::Topic;
use crate::error::ClientError;

#[derive(Debug, Clone, Default)]
pub struct NewTopic {
    pub name: String,
    /// `None`: the cluster's default.
    pub partitions: Option<i32>,
    pub replication_factor: Option<i16>,
    /// Brokers of each partition; excludes the two numbers.
    pub assignment: Vec<Vec<i32>>,
    pub configs: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: String,
    pub id: Uuid,
    pub is_internal: bool,
    pub partitions: Vec<PartitionDescription>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    pub index: i32,
    /// -1: none.
    pub leader: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
    /// Eligible leader replicas; `None` where the server does not know the concept.
    pub eligible: Option<Vec<i32>>,
    pub last_known_eligible: Option<Vec<i32>>,
}

/// What a new topic has, or would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatedTopic {
    /// -1 here and below: the server is too old to tell.
    pub partitions: i32,
    pub replication_factor: i16,
}

impl Admin {
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<CreatedTopic, ClientError> {
        self.create_or_validate_topic(topic, false).await
    }

    /// Whether the topic could be created. Nothing is.
    pub async fn validate_topic(&self, topic: &NewTopic) -> Result<CreatedTopic, ClientError> {
        self.create_or_validate_topic(topic, true).await
    }

    async fn create_or_validate_topic(&self, topic: &NewTopic, validate_only: bool) -> Result<CreatedTopic, ClientError> {
        let by_hand = !topic.assignment.is_empty();
        let assignments = topic
            .assignment
            .iter()
            .zip(0..)
            .map(|(brokers, partition_index)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: brokers.clone(),
                ..Default::default()
            });
        let configs = topic.configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
            ..Default::default()
        });
        let creatable = CreatableTopic {
            name: topic.name.clone(),
            num_partitions: if by_hand { -1 } else { topic.partitions.unwrap_or(-1) },
            replication_factor: if by_hand { -1 } else { topic.replication_factor.unwrap_or(-1) },
            assignments: assignments.collect(),
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![creatable],
            timeout_ms: self.timeout_ms(),
            validate_only,
            ..Default::default()
        };
        let response = self.cluster.call_controller(&request).await?;
        let result = response.topics.into_iter().find(|result| result.name == topic.name);
        let result = result.ok_or_else(|| unanswered(&topic.name))?;
        ClientError::check(result.error_code, result.error_message).map(|()| CreatedTopic {
            partitions: result.num_partitions,
            replication_factor: result.replication_factor,
        })
    }

    /// Every topic, in order of its name.
    pub async fn list_topics(&self) -> Result<Vec<Topic>, ClientError> {
        let metadata = self.cluster.refresh_patiently(Topics::All).await?;
        Ok(metadata.topics.values().cloned().collect())
    }

    /// The named topics, in that order; the first that is missing is the error.
    pub async fn describe_topics(&self, names: &[String], partitions_per_answer: i32) -> Result<Vec<TopicDescription>, ClientError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let connection = self.cluster.any().await?;
        match connection.version_of(ApiKey::DescribeTopicPartitions) {
            Ok(_) => self.describe_in_pages(names, partitions_per_answer).await,
            Err(_) => self.describe_by_metadata(names).await,
        }
    }

    async fn describe_in_pages(&self, names: &[String], partitions_per_answer: i32) -> Result<Vec<TopicDescription>, ClientError> {
        // The server walks the topics in order of their names and says where to go on.
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        let mut described: Vec<TopicDescription> = Vec::new();
        let mut cursor: Option<Cursor> = None;
        loop {
            let after = cursor.as_ref().map_or("", |cursor| cursor.topic_name.as_str());
            let topics = sorted.iter().filter(|name| name.as_str() >= after);
            let request = DescribeTopicPartitionsRequest {
                topics: topics
                    .map(|name| TopicRequest {
                        name: (*name).clone(),
                        ..Default::default()
                    })
                    .collect(),
                response_partition_limit: partitions_per_answer,
                cursor: cursor.take(),
                ..Default::default()
            };
            let response = self.cluster.call_any(&request).await?;
            for topic in response.topics {
                let name = topic.name.unwrap_or_default();
                ClientError::check(topic.error_code, topic_message(topic.error_code, &name))?;
                let partitions = topic.partitions.into_iter().map(|p| PartitionDescription {
                    index: p.partition_index,
                    leader: p.leader_id,
                    replicas: p.replica_nodes,
                    in_sync: p.isr_nodes,
                    eligible: p.eligible_leader_replicas,
                    last_known_eligible: p.last_known_elr,
                });
                match described.last_mut().filter(|last| last.name == name) {
                    Some(last) => last.partitions.extend(partitions),
                    None => described.push(TopicDescription {
                        name,
                        id: topic.topic_id,
                        is_internal: topic.is_internal,
                        partitions: partitions.collect(),
                    }),
                }
            }
            cursor = response.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        described
            .iter_mut()
            .for_each(|topic| topic.partitions.sort_by_key(|partition| partition.index));
        Ok(described)
    }

    async fn describe_by_metadata(&self, names: &[String]) -> Result<Vec<TopicDescription>, ClientError> {
        let wanted: Vec<Arc<str>> = names.iter().map(|name| Arc::from(name.as_str())).collect();
        let topics = Topics::Named {
            names: &wanted,
            create_missing: false,
        };
        let metadata = self.cluster.refresh_patiently(topics).await?;
        let describe = |name: &Arc<str>| {
            let topic = metadata.topics.get(name).ok_or_else(|| unanswered(name))?;
            ClientError::check(topic.error.code(), topic_message(topic.error.code(), name))?;
            let partitions = topic.partitions.iter().map(|p| PartitionDescription {
                index: p.index,
                leader: p.leader,
                replicas: p.replicas.clone(),
                in_sync: p.in_sync.clone(),
                eligible: None,
                last_known_eligible: None,
            });
            Ok(TopicDescription {
                name: name.to_string(),
                id: topic.id,
                is_internal: topic.is_internal,
                partitions: partitions.collect(),
            })
        };
        wanted.iter().map(describe).collect()
    }

    /// Raises the number of partitions to `count`; `assignment` names the brokers of each new one.
    pub async fn create_partitions(&self, topic: &str, count: i32, assignment: Option<Vec<Vec<i32>>>) -> Result<(), ClientError> {
        let brokers = |broker_ids| CreatePartitionsAssignment {
            broker_ids,
            ..Default::default()
        };
        let wanted = CreatePartitionsTopic {
            name: topic.to_owned(),
            count,
            assignments: assignment.map(|partitions| partitions.into_iter().map(brokers).collect()),
            ..Default::default()
        };
        let request = CreatePartitionsRequest {
            topics: vec![wanted],
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        let response = self.cluster.call_controller(&request).await?;
        let result = response
            .results
            .into_iter()
            .find(|result| result.name == topic)
            .ok_or_else(|| unanswered(topic))?;
        ClientError::check(result.error_code, result.error_message)
    }

    pub async fn delete_topic(&self, topic: &str) -> Result<(), ClientError> {
        let version = self.cluster.any().await?.version_of(ApiKey::DeleteTopics)?;
        let mut request = DeleteTopicsRequest {
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        match version {
            0..=5 => request.topic_names = vec![topic.to_owned()],
            _ => {
                request.topics = vec![DeleteTopicState {
                    name: Some(topic.to_owned()),
                    ..Default::default()
                }]
            }
        }
        let response = self.cluster.call_controller(&request).await?;
        let result = response.responses.into_iter().find(|result| result.name.as_deref() == Some(topic));
        let result = result.ok_or_else(|| unanswered(topic))?;
        ClientError::check(result.error_code, result.error_message)
    }
}

fn topic_message(code: i16, name: &str) -> Option<String> {
    let unknown = code == ErrorCode::UnknownTopicOrPartition.code();
    unknown.then(|| format!("Topic '{name}' does not exist."))
}

fn unanswered(topic: &str) -> ClientError {
    ClientError::Incomplete(format!("the server's answer does not mention topic '{topic}'"))
}
