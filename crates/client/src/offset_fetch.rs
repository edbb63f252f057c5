//! OffsetFetch: a request and an answer for all its versions, of which the older ones are about one group and have another form.

use std::collections::BTreeMap;

use dohle_protocol::ApiKey;
use dohle_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};

use crate::cluster_metadata::TopicPartition;
use crate::connection::Connection;
use crate::consumer::{OffsetAndMetadata, Offsets, by_topic};
use crate::error::ClientError;

/// The newest version that names topics instead of identifying them.
const VERSION_MAX: i16 = 9;

/// From this version on one request names many groups.
const GROUPS_SINCE: i16 = 8;

/// From this version on offsets of open transactions can be waited for.
const STABLE_SINCE: i16 = 7;

/// Which offsets of each group.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'a> {
    All,
    /// Those of these partitions; an error while a transaction that is to commit some is open.
    Stable(&'a [TopicPartition]),
}

/// What each of the groups has committed. The outer error is one of the connection, the inner ones are those of the groups.
pub(crate) async fn committed(
    connection: &Connection,
    groups: Vec<String>,
    of: Of<'_>,
) -> Result<BTreeMap<String, Result<Offsets, ClientError>>, ClientError> {
    let version = connection.version_of(ApiKey::OffsetFetch)?.min(VERSION_MAX);
    let mut answered = Vec::with_capacity(groups.len());
    if version >= GROUPS_SINCE {
        let response = connection.call_up_to(&of_many(groups, of), version).await?;
        answered = response.groups;
    } else {
        for group in groups {
            let response = connection.call_up_to(&of_one(group.clone(), of, version), version).await?;
            answered.push(to_newer(group, response));
        }
    }
    Ok(answered
        .into_iter()
        .map(|mut group| (std::mem::take(&mut group.group_id), read(group)))
        .collect())
}

fn of_many(groups: Vec<String>, of: Of<'_>) -> OffsetFetchRequest {
    let topics = topics(of);
    let group = |group_id| OffsetFetchRequestGroup {
        group_id,
        topics: topics.clone(),
        ..Default::default()
    };
    OffsetFetchRequest {
        groups: groups.into_iter().map(group).collect(),
        require_stable: matches!(of, Of::Stable(_)),
        ..Default::default()
    }
}

fn of_one(group_id: String, of: Of<'_>, version: i16) -> OffsetFetchRequest {
    let to_older = |topic: OffsetFetchRequestTopics| OffsetFetchRequestTopic {
        name: topic.name,
        partition_indexes: topic.partition_indexes,
        ..Default::default()
    };
    OffsetFetchRequest {
        group_id,
        topics: topics(of).map(|topics| topics.into_iter().map(to_older).collect()),
        require_stable: matches!(of, Of::Stable(_)) && version >= STABLE_SINCE,
        ..Default::default()
    }
}

fn topics(of: Of<'_>) -> Option<Vec<OffsetFetchRequestTopics>> {
    let Of::Stable(partitions) = of else { return None };
    let topics = by_topic(partitions).into_iter().map(|listed| OffsetFetchRequestTopics {
        name: listed.topic,
        partition_indexes: listed.partitions,
        ..Default::default()
    });
    Some(topics.collect())
}

fn to_newer(group_id: String, response: OffsetFetchResponse) -> OffsetFetchResponseGroup {
    let topics = response.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|p| OffsetFetchResponsePartitions {
            partition_index: p.partition_index,
            committed_offset: p.committed_offset,
            committed_leader_epoch: p.committed_leader_epoch,
            metadata: p.metadata,
            error_code: p.error_code,
            ..Default::default()
        });
        OffsetFetchResponseTopics {
            name: topic.name,
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    OffsetFetchResponseGroup {
        group_id,
        topics: topics.collect(),
        error_code: response.error_code,
        ..Default::default()
    }
}

/// Only what is committed: -1 is nothing.
fn read(group: OffsetFetchResponseGroup) -> Result<Offsets, ClientError> {
    ClientError::check(group.error_code, None)?;
    let mut offsets = Offsets::new();
    for topic in group.topics {
        for p in topic.partitions {
            ClientError::check(p.error_code, None)?;
            if p.committed_offset >= 0 {
                let committed = OffsetAndMetadata {
                    offset: p.committed_offset,
                    leader_epoch: p.committed_leader_epoch,
                    metadata: p.metadata.unwrap_or_default(),
                };
                offsets.insert(TopicPartition::new(topic.name.as_str(), p.partition_index), committed);
            }
        }
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use dohle_protocol::ErrorCode;
    use dohle_protocol::messages::offset_fetch::{OffsetFetchResponsePartition, OffsetFetchResponseTopic};

    use super::*;

    fn answer(offset: i64, error: ErrorCode) -> OffsetFetchResponseGroup {
        let partition = OffsetFetchResponsePartition {
            partition_index: 3,
            committed_offset: offset,
            committed_leader_epoch: 5,
            metadata: Some("m".to_owned()),
            error_code: error.code(),
            ..Default::default()
        };
        let topic = OffsetFetchResponseTopic {
            name: "t".to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let response = OffsetFetchResponse {
            topics: vec![topic],
            ..Default::default()
        };
        to_newer("g".to_owned(), response)
    }

    #[test]
    fn trap_45_an_offset_of_minus_one_is_none() {
        assert_eq!(read(answer(-1, ErrorCode::None)).unwrap(), Offsets::new());
        let expected = OffsetAndMetadata {
            offset: 7,
            leader_epoch: 5,
            metadata: "m".into(),
        };
        let found = read(answer(7, ErrorCode::None)).unwrap();
        assert_eq!(found, Offsets::from([(TopicPartition::new("t", 3), expected)]));
    }

    #[test]
    fn an_error_of_a_partition_or_of_the_group_is_one_of_the_group() {
        assert!(read(answer(7, ErrorCode::UnstableOffsetCommit)).unwrap_err().is_retriable());
        let refused = OffsetFetchResponseGroup {
            error_code: ErrorCode::NotCoordinator.code(),
            ..answer(7, ErrorCode::None)
        };
        assert_eq!(read(refused).unwrap_err().code(), Some(ErrorCode::NotCoordinator));
    }

    #[test]
    fn each_form_asks_for_the_same() {
        let partitions = [TopicPartition::new("t", 3), TopicPartition::new("t", 4)];
        let (many, one) = (
            of_many(vec!["g".to_owned()], Of::Stable(&partitions)),
            of_one("g".to_owned(), Of::Stable(&partitions), 7),
        );
        let asked = &many.groups[0].topics.as_ref().unwrap()[0];
        let asked_of_one = &one.topics.as_ref().unwrap()[0];
        assert_eq!((&*asked.name, &*asked.partition_indexes), ("t", &[3, 4][..]));
        assert_eq!((&*asked_of_one.name, &*asked_of_one.partition_indexes), ("t", &[3, 4][..]));
        assert!(many.require_stable && one.require_stable);
        assert!(!of_one("g".to_owned(), Of::Stable(&partitions), 6).require_stable);
        let all = of_many(vec!["g".to_owned()], Of::All);
        assert!(all.groups[0].topics.is_none() && !all.require_stable, "null means all");
    }
}
