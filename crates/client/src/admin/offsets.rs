//! Offsets by time, asked of the partitions' leaders.

use std::collections::BTreeMap;

use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use super::Admin;
use crate::cluster::Topics;
use crate::cluster_metadata::TopicPartition;
use crate::config::IsolationLevel;
use crate::error::ClientError;

/// The special timestamps of ListOffsets.
pub mod at {
    pub const LATEST: i64 = -1;
    pub const EARLIEST: i64 = -2;
    pub const MAX_TIMESTAMP: i64 = -3;
    pub const EARLIEST_LOCAL: i64 = -4;
    pub const LATEST_TIERED: i64 = -5;
    pub const EARLIEST_PENDING_UPLOAD: i64 = -6;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// -1: no record is that late.
    pub offset: i64,
    pub timestamp_ms: i64,
    pub leader_epoch: i32,
}

/// One answer per partition: an offset, or why there is none.
pub type FoundOffsets = BTreeMap<TopicPartition, Result<FoundOffset, ClientError>>;

impl Admin {
    /// For each partition the first offset at or after its timestamp (or what the special timestamps mean).
    pub async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, i64>,
        isolation: IsolationLevel,
    ) -> Result<FoundOffsets, ClientError> {
        let mut found = FoundOffsets::new();
        let mut retries = self.cluster.retries();
        loop {
            let error = match self.list_missing_offsets(wanted, isolation, &mut found).await {
                Ok(()) => return Ok(found),
                Err(error) => error,
            };
            if let Err(error) = retries.after(error).await {
                // What is still refused is told partition by partition.
                return if found.len() == wanted.len() { Ok(found) } else { Err(error) };
            }
        }
    }

    /// Asks for what is not found yet; the error is one of those that may go away.
    async fn list_missing_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, i64>,
        isolation: IsolationLevel,
        found: &mut FoundOffsets,
    ) -> Result<(), ClientError> {
        let missing: BTreeMap<_, _> = wanted.iter().filter(|(tp, _)| !matches!(found.get(*tp), Some(Ok(_)))).collect();
        match self.list_offsets_once(&missing, isolation).await {
            Ok(answers) => found.extend(answers),
            Err(error) => {
                // Others may lead by now what the node led that does not answer.
                self.refresh_topics(wanted.keys()).await?;
                return Err(error);
            }
        }
        let later = found
            .values()
            .find_map(|answer| answer.as_ref().err().filter(|error| error.is_retriable()).cloned());
        match later {
            Some(error) => {
                self.refresh_topics(wanted.keys()).await?;
                Err(error)
            }
            None => Ok(()),
        }
    }

    async fn list_offsets_once(
        &self,
        wanted: &BTreeMap<&TopicPartition, &i64>,
        isolation: IsolationLevel,
    ) -> Result<FoundOffsets, ClientError> {
        let mut found = FoundOffsets::new();
        let mut by_node: BTreeMap<i32, ListOffsetsRequest> = BTreeMap::new();
        for (&tp, &&timestamp) in wanted {
            let leader = match self.cluster.leader(tp).await {
                Ok(leader) => leader,
                Err(error) if error.code().is_some() => {
                    found.insert(tp.clone(), Err(error));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let request = by_node.entry(leader.node).or_insert_with(|| ListOffsetsRequest {
                replica_id: -1,
                isolation_level: isolation.on_the_wire(),
                timeout_ms: self.timeout_ms(),
                ..Default::default()
            });
            let partition = ListOffsetsPartition {
                partition_index: tp.partition,
                current_leader_epoch: leader.epoch,
                timestamp,
                ..Default::default()
            };
            match request.topics.last_mut().filter(|topic| *topic.name == *tp.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => request.topics.push(ListOffsetsTopic {
                    name: tp.topic.to_string(),
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        for (node, request) in by_node {
            let response = self.cluster.node(node).await?.call(&request).await?;
            for topic in response.topics {
                for p in topic.partitions {
                    let answer = ClientError::check(p.error_code, None);
                    let answer = answer.map(|()| FoundOffset {
                        offset: p.offset,
                        timestamp_ms: p.timestamp,
                        leader_epoch: p.leader_epoch,
                    });
                    found.insert(TopicPartition::new(topic.name.as_str(), p.partition_index), answer);
                }
            }
        }
        for &tp in wanted.keys().filter(|tp| !found.contains_key(**tp)).collect::<Vec<_>>() {
            found.insert(
                tp.clone(),
                Err(ClientError::refused(ErrorCode::UnknownTopicOrPartition.code(), None)),
            );
        }
        Ok(found)
    }

    pub(super) async fn refresh_topics<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) -> Result<(), ClientError> {
        let mut names: Vec<_> = partitions.map(|tp| tp.topic.clone()).collect();
        names.sort();
        names.dedup();
        self.cluster
            .refresh(Topics::Named {
                names: &names,
                create_missing: false,
            })
            .await
            .map(|_| ())
    }
}
