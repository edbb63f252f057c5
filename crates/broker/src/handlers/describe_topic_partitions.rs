//! DescribeTopicPartitions: topics in the order of their names, page by page, with a cursor where the next page starts.

use std::collections::BTreeSet;
use std::sync::Arc;

use dohle_metadata::image::ClusterImage;
use dohle_metadata::image::topics::{PartitionImage, TopicImage};
use dohle_metadata::topic_name;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, PartitionIndex};
use dohle_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};

use crate::dispatch::RequestContext;
use crate::handlers::authorized_operations;
use crate::handlers::metadata::{offline_replicas, raw, why_missing};
use crate::state::BrokerState;

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    _ctx: &RequestContext,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = broker.quorum.image();
    let asked: BTreeSet<String> = request.topics.into_iter().map(|topic| topic.name).collect();
    if let Some(cursor) = &request.cursor
        && (cursor.partition_index < 0 || !asked.is_empty() && !asked.contains(&cursor.topic_name))
    {
        let topics = asked.into_iter().map(|name| failed(name, ErrorCode::InvalidRequest)).collect();
        return DescribeTopicPartitionsResponse {
            topics,
            ..DescribeTopicPartitionsResponse::default()
        };
    }
    let limit = usize::try_from(request.response_partition_limit)
        .unwrap_or(0)
        .min(broker.settings.load().described_partitions_max)
        .max(1);
    let mut page = Page {
        image: &image,
        room: limit,
        response: DescribeTopicPartitionsResponse::default(),
    };
    let cursor = request.cursor.unwrap_or_default();
    if asked.is_empty() {
        let topics = image.topics().iter_from(&cursor.topic_name);
        let _full = topics
            .map(|topic| (topic.name.as_ref(), Some(topic)))
            .try_for_each(|(name, topic)| page.add(name, topic, &cursor));
    } else {
        let names = asked.range(cursor.topic_name.clone()..);
        let _full = names
            .map(|name| (name, image.topic(name)))
            .try_for_each(|(name, topic)| page.add(name, topic, &cursor));
    }
    page.response
}

struct Page<'a> {
    image: &'a ClusterImage,
    /// Partitions that the page still takes.
    room: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// `None` when the page is full.
    fn add(&mut self, name: &str, topic: Option<&Arc<TopicImage>>, cursor: &Cursor) -> Option<()> {
        if self.room == 0 {
            self.ends_before(name, 0);
            return None;
        }
        let Some(topic) = topic else {
            self.response.topics.push(failed(name.to_string(), why_missing(name)));
            return Some(());
        };
        let first = if cursor.topic_name == name { cursor.partition_index } else { 0 };
        let partitions: Vec<_> = topic
            .partitions
            .iter_from(&PartitionIndex(first))
            .take(self.room)
            .map(|(index, partition)| self.partition(*index, partition))
            .collect();
        let after = first + partitions.len() as i32;
        self.room -= partitions.len();
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            name: Some(name.to_string()),
            topic_id: topic.id.0,
            is_internal: topic_name::is_internal(name),
            partitions,
            topic_authorized_operations: authorized_operations::TOPIC,
            ..DescribeTopicPartitionsResponseTopic::default()
        });
        if topic.partitions.contains_key(&PartitionIndex(after)) {
            self.ends_before(name, after);
            return None;
        }
        Some(())
    }

    fn ends_before(&mut self, topic: &str, partition_index: i32) {
        self.response.next_cursor = Some(Cursor {
            topic_name: topic.to_string(),
            partition_index,
            ..Cursor::default()
        });
    }

    fn partition(&self, index: PartitionIndex, partition: &PartitionImage) -> DescribeTopicPartitionsResponsePartition {
        let has_leader = self.image.broker(partition.leader).is_some_and(|broker| !broker.fenced);
        DescribeTopicPartitionsResponsePartition {
            partition_index: index.0,
            leader_id: if has_leader { partition.leader.0 } else { BrokerId::NONE.0 },
            leader_epoch: partition.leader_epoch.0,
            replica_nodes: raw(&partition.replicas),
            isr_nodes: raw(&partition.isr),
            eligible_leader_replicas: Some(raw(&partition.elr)),
            last_known_elr: Some(raw(&partition.last_known_elr)),
            offline_replicas: offline_replicas(self.image, partition),
            ..DescribeTopicPartitionsResponsePartition::default()
        }
    }
}

fn failed(name: String, error: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    let is_internal = topic_name::is_internal(&name);
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(name),
        is_internal,
        topic_authorized_operations: authorized_operations::TOPIC,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}
