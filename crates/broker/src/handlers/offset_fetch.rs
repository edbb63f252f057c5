//! OffsetFetch: how far groups have read. Nothing committed is no error: offset -1.
//!
//! Before version 8 a request is about one group, and the answer has another shape; before version 2 it has no error of its own.

use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::TopicId;
use dohle_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::limits;
use crate::state::BrokerState;

/// From this version on the answer has an error of its own.
const ERROR_FROM: i16 = 2;
/// From this version on a request is about many groups.
const GROUPS_FROM: i16 = 8;
/// From this version on topics are named by id.
const TOPIC_IDS_FROM: i16 = 10;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if ctx.api_version < GROUPS_FROM {
        return one_group(broker, ctx, request).await;
    }
    let mut groups: Vec<OffsetFetchResponseGroup> = Vec::new();
    let mut partitions = 0;
    for group in request.groups {
        // One at a time: a request may name the largest group many times over.
        let fetched = if partitions < limits::OFFSETS_PER_RESPONSE_MAX {
            fetch(broker, ctx, group).await
        } else {
            group_error(group.group_id, ErrorCode::CoordinatorNotAvailable)
        };
        partitions += fetched.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>();
        groups.push(fetched);
    }
    broker
        .metrics
        .errors(ApiKey::OffsetFetch, groups.iter().map(|group| group.error_code));
    OffsetFetchResponse {
        groups,
        ..OffsetFetchResponse::default()
    }
}

async fn one_group(broker: &BrokerState, ctx: &RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let asked = request.topics;
    let group = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics: asked.as_ref().map(|topics| topics.iter().map(to_newer).collect()),
        ..OffsetFetchRequestGroup::default()
    };
    let fetched = fetch(broker, ctx, group).await;
    broker.metrics.errors(ApiKey::OffsetFetch, [fetched.error_code]);
    if ctx.api_version < ERROR_FROM && fetched.error_code != ErrorCode::None.code() {
        return OffsetFetchResponse {
            topics: asked
                .into_iter()
                .flatten()
                .map(|topic| all_refused(topic, fetched.error_code))
                .collect(),
            ..OffsetFetchResponse::default()
        };
    }
    OffsetFetchResponse {
        topics: fetched.topics.into_iter().map(to_older).collect(),
        error_code: fetched.error_code,
        ..OffsetFetchResponse::default()
    }
}

/// The shards know topics by name; ids are put in their place, and back again.
async fn fetch(broker: &BrokerState, ctx: &RequestContext, mut group: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let by_id = ctx.api_version >= TOPIC_IDS_FROM;
    let image = broker.quorum.image();
    let mut unknown = Vec::new();
    if by_id && let Some(topics) = group.topics.take() {
        let known = topics.into_iter().filter_map(|topic| named(&image, topic, &mut unknown));
        group.topics = Some(known.collect());
    }
    let group_id = group.group_id.clone();
    let answer = broker
        .groups
        .ask(&client::anonymous(ctx), &group_id, GroupRequest::FetchOffsets(group))
        .await;
    let mut fetched = match answer {
        Ok(GroupResponse::FetchOffsets(fetched)) => fetched,
        Ok(other) => unreachable!("the response to FetchOffsets is not {other:?}"),
        Err(error) => return group_error(group_id, error),
    };
    if by_id && fetched.error_code == ErrorCode::None.code() {
        // A topic that was deleted while its offsets were fetched has no id any more.
        fetched.topics.retain_mut(|topic| with_id(&image, topic));
        fetched.topics.extend(unknown);
    }
    fetched
}

fn named(
    image: &ClusterImage,
    topic: OffsetFetchRequestTopics,
    unknown: &mut Vec<OffsetFetchResponseTopics>,
) -> Option<OffsetFetchRequestTopics> {
    if let Some(found) = image.topic_by_id(TopicId(topic.topic_id)) {
        return Some(OffsetFetchRequestTopics {
            name: found.name.to_string(),
            ..topic
        });
    }
    let refused = topic.partition_indexes.iter().map(|index| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: -1,
        metadata: Some(String::new()),
        error_code: ErrorCode::UnknownTopicId.code(),
        ..OffsetFetchResponsePartitions::default()
    });
    unknown.push(OffsetFetchResponseTopics {
        topic_id: topic.topic_id,
        partitions: refused.collect(),
        ..OffsetFetchResponseTopics::default()
    });
    None
}

fn with_id(image: &ClusterImage, topic: &mut OffsetFetchResponseTopics) -> bool {
    match image.topic(&topic.name) {
        Some(found) => {
            topic.topic_id = found.id.0;
            true
        }
        None => false,
    }
}

fn group_error(group_id: String, error: ErrorCode) -> OffsetFetchResponseGroup {
    OffsetFetchResponseGroup {
        group_id,
        error_code: error.code(),
        ..OffsetFetchResponseGroup::default()
    }
}

fn to_newer(topic: &OffsetFetchRequestTopic) -> OffsetFetchRequestTopics {
    OffsetFetchRequestTopics {
        name: topic.name.clone(),
        partition_indexes: topic.partition_indexes.clone(),
        ..OffsetFetchRequestTopics::default()
    }
}

fn to_older(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
        ..OffsetFetchResponsePartition::default()
    });
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: partitions.collect(),
        ..OffsetFetchResponseTopic::default()
    }
}

fn all_refused(topic: OffsetFetchRequestTopic, error_code: i16) -> OffsetFetchResponseTopic {
    let partitions = topic.partition_indexes.into_iter().map(|index| OffsetFetchResponsePartition {
        partition_index: index,
        committed_offset: -1,
        metadata: Some(String::new()),
        error_code,
        ..OffsetFetchResponsePartition::default()
    });
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: partitions.collect(),
        ..OffsetFetchResponseTopic::default()
    }
}
