//! What consumer groups have committed: read, overwrite, delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};

use super::groups::PerGroup;
use super::{Admin, PerPartition};
use crate::cluster_metadata::TopicPartition;
use crate::consumer::Offsets;
use crate::error::ClientError;
use crate::offset_fetch::{self, Of};

/// The last version that names topics instead of identifying them.
const COMMIT_BY_NAME: i16 = 9;

pub type GroupOffsets = Offsets;

impl Admin {
    /// All that each group has committed; nothing for a group that does not exist.
    pub async fn list_group_offsets(&self, groups: &[String]) -> Result<PerGroup<GroupOffsets>, ClientError> {
        self.ask_coordinators(groups, |_, connection, groups| {
            Box::pin(async move { offset_fetch::committed(&connection, groups, Of::All).await })
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
    fn a_commit_is_repeated_if_the_coordinator_has_moved() {
        let answers = |error: ErrorCode| PerPartition::from([answer("t".into(), 0, error.code()), answer("t".into(), 1, 0)]);
        assert!(unless_to_be_retried(answers(ErrorCode::NotCoordinator)).is_err());
        let refused = unless_to_be_retried(answers(ErrorCode::UnknownTopicOrPartition)).unwrap();
        assert!(refused[&TopicPartition::new("t", 0)].is_err() && refused[&TopicPartition::new("t", 1)].is_ok());
    }
}
