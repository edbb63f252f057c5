//! What consumer groups have committed: read, overwrite, delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use dohle_protocol::{ApiKey, ErrorCode};

use super::Admin;
use super::groups::PerGroup;
use crate::cluster_metadata::TopicPartition;
use crate::connection::Connection;
use crate::error::ClientError;

/// The last versions that name topics instead of identifying them.
const COMMIT_BY_NAME: i16 = 9;
const FETCH_BY_NAME: i16 = 9;
/// From this version on one request may ask for many groups.
const FETCH_BATCHED: i16 = 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    /// -1: not told by whoever committed.
    pub leader_epoch: i32,
    pub metadata: String,
}

impl CommittedOffset {
    pub fn at(offset: i64) -> CommittedOffset {
        CommittedOffset {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        }
    }
}

pub type GroupOffsets = BTreeMap<TopicPartition, CommittedOffset>;

/// One answer per partition.
pub type PerPartition = BTreeMap<TopicPartition, Result<(), ClientError>>;

impl Admin {
    /// All that each group has committed; nothing for a group that does not exist.
    pub async fn list_group_offsets(&self, groups: &[String]) -> Result<PerGroup<GroupOffsets>, ClientError> {
        self.ask_coordinators(groups, async |_, connection, groups| {
            if connection.version_of(ApiKey::OffsetFetch)? >= FETCH_BATCHED {
                return fetch_batched(&connection, groups).await;
            }
            let mut answers = BTreeMap::new();
            for group in groups {
                answers.insert(group.clone(), fetch_one(&connection, group).await?);
            }
            Ok(answers)
        })
        .await
    }

    /// Commits for a group that has no members.
    pub async fn alter_group_offsets(&self, group: &str, offsets: &GroupOffsets) -> Result<PerPartition, ClientError> {
        let topics = by_topic(offsets).into_iter().map(|(topic, partitions)| OffsetCommitRequestTopic {
            name: topic.to_string(),
            partitions: partitions
                .into_iter()
                .map(|(partition_index, committed)| OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset: committed.offset,
                    committed_leader_epoch: committed.leader_epoch,
                    committed_metadata: Some(committed.metadata.clone()),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        let request = OffsetCommitRequest {
            group_id: group.to_owned(),
            topics: topics.collect(),
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let connection = self.cluster.coordinator(group).await?;
                let response = connection.call_up_to(&request, COMMIT_BY_NAME).await?;
                let answers = response
                    .topics
                    .into_iter()
                    .flat_map(|topic| topic.partitions.into_iter().map(move |p| (topic.name.clone(), p)));
                let answers = answers.map(|(topic, p)| answer(topic, p.partition_index, p.error_code));
                unless_to_be_retried(answers.collect())
            })
            .await
    }

    /// Forgets what the group has committed for partitions that none of its members subscribes to.
    pub async fn delete_group_offsets(&self, group: &str, partitions: &[TopicPartition]) -> Result<PerPartition, ClientError> {
        let partitions: BTreeMap<TopicPartition, ()> = partitions.iter().cloned().map(|tp| (tp, ())).collect();
        let topics = by_topic(&partitions)
            .into_iter()
            .map(|(topic, partitions)| OffsetDeleteRequestTopic {
                name: topic.to_string(),
                partitions: partitions
                    .into_iter()
                    .map(|(partition_index, ())| OffsetDeleteRequestPartition { partition_index })
                    .collect(),
            });
        let request = OffsetDeleteRequest {
            group_id: group.to_owned(),
            topics: topics.collect(),
        };
        self.cluster
            .retry(async || {
                let response = self.cluster.coordinator(group).await?.call(&request).await?;
                ClientError::check(response.error_code, None)?;
                let answers = response
                    .topics
                    .into_iter()
                    .flat_map(|topic| topic.partitions.into_iter().map(move |p| (topic.name.clone(), p)));
                Ok(answers.map(|(topic, p)| answer(topic, p.partition_index, p.error_code)).collect())
            })
            .await
    }
}

async fn fetch_batched(connection: &Connection, groups: Vec<String>) -> Result<PerGroup<GroupOffsets>, ClientError> {
    let group = |group_id| OffsetFetchRequestGroup {
        group_id,
        topics: None,
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        groups: groups.into_iter().map(group).collect(),
        ..Default::default()
    };
    let response = connection.call_up_to(&request, FETCH_BY_NAME).await?;
    let answers = response.groups.into_iter().map(|group| {
        let partitions = group.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|p| {
                (
                    &topic.name,
                    p.partition_index,
                    p.committed_offset,
                    p.committed_leader_epoch,
                    &p.metadata,
                    p.error_code,
                )
            })
        });
        let offsets = ClientError::check(group.error_code, None).and_then(|()| read_offsets(partitions));
        (group.group_id, offsets)
    });
    Ok(answers.collect())
}

/// The outer error is one of the connection, the inner one of the group.
async fn fetch_one(connection: &Connection, group_id: String) -> Result<Result<GroupOffsets, ClientError>, ClientError> {
    let request = OffsetFetchRequest {
        group_id,
        topics: None,
        ..Default::default()
    };
    let response = connection.call(&request).await?;
    let partitions = response.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|p| {
            (
                &topic.name,
                p.partition_index,
                p.committed_offset,
                p.committed_leader_epoch,
                &p.metadata,
                p.error_code,
            )
        })
    });
    Ok(ClientError::check(response.error_code, None).and_then(|()| read_offsets(partitions)))
}

/// Topic, partition, offset, leader epoch, metadata and error code: the two forms of the answer have them in structs of their own.
type FetchedPartition<'a> = (&'a String, i32, i64, i32, &'a Option<String>, i16);

fn read_offsets<'a>(partitions: impl Iterator<Item = FetchedPartition<'a>>) -> Result<GroupOffsets, ClientError> {
    let mut offsets = GroupOffsets::new();
    for (topic, partition, offset, leader_epoch, metadata, error_code) in partitions {
        ClientError::check(error_code, None)?;
        if offset >= 0 {
            let committed = CommittedOffset {
                offset,
                leader_epoch,
                metadata: metadata.clone().unwrap_or_default(),
            };
            offsets.insert(TopicPartition::new(topic.as_str(), partition), committed);
        }
    }
    Ok(offsets)
}

fn by_topic<T>(partitions: &BTreeMap<TopicPartition, T>) -> BTreeMap<Arc<str>, Vec<(i32, &T)>> {
    let mut topics: BTreeMap<Arc<str>, Vec<(i32, &T)>> = BTreeMap::new();
    for (tp, value) in partitions {
        topics.entry(tp.topic.clone()).or_default().push((tp.partition, value));
    }
    topics
}

fn answer(topic: String, partition: i32, error_code: i16) -> (TopicPartition, Result<(), ClientError>) {
    (TopicPartition::new(topic, partition), ClientError::check(error_code, None))
}

/// The coordinator has moved or is not ready: it says so of every partition.
fn unless_to_be_retried(answers: PerPartition) -> Result<PerPartition, ClientError> {
    let moved = |error: &&ClientError| {
        matches!(
            error.code(),
            Some(ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator)
        )
    };
    match answers.values().filter_map(|answer| answer.as_ref().err()).find(moved) {
        Some(error) => Err(error.clone()),
        None => Ok(answers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_unless_there_are_none_or_the_answer_is_an_error() {
        let topic = "t".to_owned();
        let metadata = Some("m".to_owned());
        let fetched = |offset, error: ErrorCode| (&topic, 1, offset, 5, &metadata, error.code());
        let expected = CommittedOffset {
            offset: 7,
            leader_epoch: 5,
            metadata: "m".into(),
        };
        let read = read_offsets([fetched(7, ErrorCode::None)].into_iter()).unwrap();
        assert_eq!(read, GroupOffsets::from([(TopicPartition::new("t", 1), expected)]));
        assert_eq!(
            read_offsets([fetched(-1, ErrorCode::None)].into_iter()).unwrap(),
            GroupOffsets::new()
        );
        let refused = read_offsets([fetched(-1, ErrorCode::UnstableOffsetCommit)].into_iter());
        assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::UnstableOffsetCommit));
    }

    #[test]
    fn a_commit_is_repeated_if_the_coordinator_has_moved() {
        let answers = |error: ErrorCode| PerPartition::from([answer("t".into(), 0, error.code()), answer("t".into(), 1, 0)]);
        assert!(unless_to_be_retried(answers(ErrorCode::NotCoordinator)).is_err());
        let refused = unless_to_be_retried(answers(ErrorCode::UnknownTopicOrPartition)).unwrap();
        assert!(refused[&TopicPartition::new("t", 0)].is_err() && refused[&TopicPartition::new("t", 1)].is_ok());
    }
}
