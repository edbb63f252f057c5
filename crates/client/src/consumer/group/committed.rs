//! Reads back what a group has committed.

use dohle_protocol::ApiKey;
use dohle_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponse,
};

use super::coordinator::Coordinator;
use crate::cluster_metadata::TopicPartition;
use crate::consumer::assignor::by_topic;
use crate::consumer::offsets::{OffsetAndMetadata, Offsets};
use crate::error::ClientError;

/// The newest version that names topics instead of identifying them.
const VERSION_MAX: i16 = 9;

/// From this version on one request names many groups.
const GROUPS_SINCE: i16 = 8;

/// From this version on offsets of open transactions can be waited for.
const STABLE_SINCE: i16 = 7;

impl Coordinator {
    /// The committed offsets of those of the partitions that have one. What may succeed later is tried again.
    pub(in crate::consumer) async fn committed(&self, partitions: &[TopicPartition]) -> Result<Offsets, ClientError> {
        if partitions.is_empty() {
            return Ok(Offsets::new());
        }
        let mut retries = self.cluster().retries();
        loop {
            match self.committed_once(partitions).await {
                Ok(offsets) => return Ok(offsets),
                Err(error) => retries.after(error).await?,
            }
        }
    }

    async fn committed_once(&self, partitions: &[TopicPartition]) -> Result<Offsets, ClientError> {
        let reached = self.reach().await?;
        let attempt = async {
            let version = reached.connection.version_of(ApiKey::OffsetFetch)?.min(VERSION_MAX);
            let request = self.offset_fetch(partitions, version);
            offsets_in(reached.connection.call_up_to(&request, version).await?)
        };
        let outcome = attempt.await.inspect_err(|error| self.heed(reached.node, error));
        self.give_back(reached);
        outcome
    }

    fn offset_fetch(&self, partitions: &[TopicPartition], version: i16) -> OffsetFetchRequest {
        let require_stable = version >= STABLE_SINCE;
        let topics = by_topic(partitions).into_iter();
        if version >= GROUPS_SINCE {
            let topic = |listed: dohle_protocol::consumer_protocol::TopicPartition| OffsetFetchRequestTopics {
                name: listed.topic,
                partition_indexes: listed.partitions,
                ..Default::default()
            };
            let group = OffsetFetchRequestGroup {
                group_id: self.group_id().to_owned(),
                topics: Some(topics.map(topic).collect()),
                ..Default::default()
            };
            return OffsetFetchRequest {
                groups: vec![group],
                require_stable,
                ..Default::default()
            };
        }
        let topic = |listed: dohle_protocol::consumer_protocol::TopicPartition| OffsetFetchRequestTopic {
            name: listed.topic,
            partition_indexes: listed.partitions,
            ..Default::default()
        };
        OffsetFetchRequest {
            group_id: self.group_id().to_owned(),
            topics: Some(topics.map(topic).collect()),
            require_stable,
            ..Default::default()
        }
    }
}

fn offsets_in(response: OffsetFetchResponse) -> Result<Offsets, ClientError> {
    ClientError::check(response.error_code, None)?;
    let mut offsets = Offsets::new();
    let mut take = |topic: &str, partition: i32, error_code: i16, committed: OffsetAndMetadata| {
        // Offsets of a transaction that is still open: its end is near.
        ClientError::check(error_code, None)?;
        if committed.offset >= 0 {
            offsets.insert(TopicPartition::new(topic, partition), committed);
        }
        Ok::<(), ClientError>(())
    };
    for topic in response.topics {
        for p in topic.partitions {
            let committed = OffsetAndMetadata {
                offset: p.committed_offset,
                leader_epoch: p.committed_leader_epoch,
                metadata: p.metadata.unwrap_or_default(),
            };
            take(&topic.name, p.partition_index, p.error_code, committed)?;
        }
    }
    for group in response.groups {
        ClientError::check(group.error_code, None)?;
        for topic in group.topics {
            for p in topic.partitions {
                let committed = OffsetAndMetadata {
                    offset: p.committed_offset,
                    leader_epoch: p.committed_leader_epoch,
                    metadata: p.metadata.unwrap_or_default(),
                };
                take(&topic.name, p.partition_index, p.error_code, committed)?;
            }
        }
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use dohle_protocol::messages::offset_fetch::{OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics};

    use dohle_protocol::ErrorCode;

    use super::*;

    fn answer(offset: i64, error: ErrorCode) -> OffsetFetchResponse {
        let partition = OffsetFetchResponsePartitions {
            partition_index: 3,
            committed_offset: offset,
            metadata: Some("m".to_owned()),
            error_code: error.code(),
            ..Default::default()
        };
        let topic = OffsetFetchResponseTopics {
            name: "t".to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let group = OffsetFetchResponseGroup {
            topics: vec![topic],
            ..Default::default()
        };
        OffsetFetchResponse {
            groups: vec![group],
            ..Default::default()
        }
    }

    #[test]
    fn trap_45_an_offset_of_minus_one_is_none() {
        assert!(offsets_in(answer(-1, ErrorCode::None)).unwrap().is_empty());
        let committed = offsets_in(answer(7, ErrorCode::None))
            .unwrap()
            .remove(&TopicPartition::new("t", 3))
            .unwrap();
        assert_eq!((committed.offset, committed.metadata.as_str()), (7, "m"));
        assert!(offsets_in(answer(7, ErrorCode::UnstableOffsetCommit)).unwrap_err().is_retriable());
    }
}
