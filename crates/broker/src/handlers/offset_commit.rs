//! OffsetCommit: how far a group has read, kept once it is durable.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::{PartitionIndex, TopicId};
use dohle_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use dohle_protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

/// From this version on topics are named by id.
const TOPIC_IDS_FROM: i16 = 10;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, mut request: OffsetCommitRequest) -> OffsetCommitResponse {
    let image = broker.quorum.image();
    let mut refused = Vec::new();
    let topics = std::mem::take(&mut request.topics);
    for topic in topics {
        let topic = known(&image, topic, ctx.api_version >= TOPIC_IDS_FROM, &mut refused);
        request.topics.extend(topic);
    }
    let committed = if request.topics.is_empty() {
        Vec::new()
    } else {
        let asked: Vec<OffsetCommitRequestTopic> = request.topics.clone();
        let group = request.group_id.clone();
        let answer = broker
            .groups
            .ask(&client::anonymous(ctx), &group, GroupRequest::CommitOffsets(request))
            .await;
        let mut committed = match answer {
            Ok(GroupResponse::CommitOffsets(response)) => response.topics,
            Ok(other) => unreachable!("the response to CommitOffsets is not {other:?}"),
            Err(error) => asked.iter().map(|topic| all_refused(topic, error)).collect(),
        };
        // In the order of the request.
        for (topic, asked) in committed.iter_mut().zip(&asked) {
            topic.topic_id = asked.topic_id;
        }
        committed
    };
    let response = OffsetCommitResponse {
        topics: merged(refused, committed),
        ..OffsetCommitResponse::default()
    };
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    broker
        .metrics
        .errors(ApiKey::OffsetCommit, partitions.map(|partition| partition.error_code));
    response
}

/// The topic with the partitions that exist, by name. The others are refused.
fn known(
    image: &ClusterImage,
    mut topic: OffsetCommitRequestTopic,
    by_id: bool,
    refused: &mut Vec<OffsetCommitResponseTopic>,
) -> Option<OffsetCommitRequestTopic> {
    let found = if by_id {
        image.topic_by_id(TopicId(topic.topic_id)).ok_or(ErrorCode::UnknownTopicId)
    } else {
        topic.topic_id = Uuid::nil();
        image.topic(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            refused.push(all_refused(&topic, error));
            return None;
        }
    };
    if by_id {
        topic.name = found.name.to_string();
    }
    let exists = |partition: &OffsetCommitRequestPartition| found.partitions.get(&PartitionIndex(partition.partition_index)).is_some();
    if !topic.partitions.iter().all(exists) {
        let (here, missing) = std::mem::take(&mut topic.partitions).into_iter().partition(exists);
        topic.partitions = missing;
        refused.push(all_refused(&topic, ErrorCode::UnknownTopicOrPartition));
        topic.partitions = here;
    }
    (!topic.partitions.is_empty()).then_some(topic)
}

fn all_refused(topic: &OffsetCommitRequestTopic, error: ErrorCode) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: error.code(),
        ..OffsetCommitResponsePartition::default()
    });
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
        ..OffsetCommitResponseTopic::default()
    }
}

/// As Kafka orders it: what was refused comes first, and each topic is once in the answer.
fn merged(refused: Vec<OffsetCommitResponseTopic>, committed: Vec<OffsetCommitResponseTopic>) -> Vec<OffsetCommitResponseTopic> {
    let mut topics: Vec<OffsetCommitResponseTopic> = Vec::with_capacity(refused.len() + committed.len());
    // Clients may name very many topics.
    let mut places: HashMap<_, usize> = HashMap::new();
    for topic in refused.into_iter().chain(committed) {
        match places.entry((topic.name.clone(), topic.topic_id)) {
            Entry::Occupied(place) => topics[*place.get()].partitions.extend(topic.partitions),
            Entry::Vacant(place) => {
                place.insert(topics.len());
                topics.push(topic);
            }
        }
    }
    topics
}
