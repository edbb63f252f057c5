//! OffsetDelete: forgets what a group has committed for partitions that none of its members reads.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::id::PartitionIndex;
use dohle_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, mut request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let unknown = take_unknown(broker, &mut request);
    let group = request.group_id.clone();
    let caller = client::anonymous(ctx);
    let asked = broker.groups.ask_named(&caller, &group, GroupRequest::DeleteOffsets(request));
    let mut response = match asked.await {
        Ok(GroupResponse::DeleteOffsets(response)) => response,
        Ok(other) => unreachable!("the response to DeleteOffsets is not {other:?}"),
        Err(error) => OffsetDeleteResponse {
            error_code: error.code(),
            ..OffsetDeleteResponse::default()
        },
    };
    if response.error_code == ErrorCode::None.code() {
        response.topics = merged(unknown, response.topics);
    }
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let codes = partitions.map(|partition| partition.error_code).chain([response.error_code]);
    broker.metrics.errors(ApiKey::OffsetDelete, codes);
    response
}

/// Takes the partitions that do not exist out of the request, refused.
fn take_unknown(broker: &BrokerState, request: &mut OffsetDeleteRequest) -> Vec<OffsetDeleteResponseTopic> {
    let image = broker.quorum.image();
    let mut unknown = Vec::new();
    for topic in &mut request.topics {
        let found = image.topic(&topic.name);
        let exists = |partition: &OffsetDeleteRequestPartition| {
            found.is_some_and(|found| found.partitions.get(&PartitionIndex(partition.partition_index)).is_some())
        };
        let (here, missing): (Vec<_>, Vec<_>) = std::mem::take(&mut topic.partitions).into_iter().partition(exists);
        topic.partitions = here;
        if !missing.is_empty() {
            unknown.push(refused(topic, &missing));
        }
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    unknown
}

fn refused(topic: &OffsetDeleteRequestTopic, partitions: &[OffsetDeleteRequestPartition]) -> OffsetDeleteResponseTopic {
    let partitions = partitions.iter().map(|partition| OffsetDeleteResponsePartition {
        partition_index: partition.partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
    });
    OffsetDeleteResponseTopic {
        name: topic.name.clone(),
        partitions: partitions.collect(),
    }
}

/// What was refused comes first, and each topic is once in the answer.
fn merged(refused: Vec<OffsetDeleteResponseTopic>, deleted: Vec<OffsetDeleteResponseTopic>) -> Vec<OffsetDeleteResponseTopic> {
    let mut topics: Vec<OffsetDeleteResponseTopic> = Vec::with_capacity(refused.len() + deleted.len());
    // Clients may name very many topics.
    let mut places: HashMap<_, usize> = HashMap::new();
    for topic in refused.into_iter().chain(deleted) {
        match places.entry(topic.name.clone()) {
            Entry::Occupied(place) => topics[*place.get()].partitions.extend(topic.partitions),
            Entry::Vacant(place) => {
                place.insert(topics.len());
                topics.push(topic);
            }
        }
    }
    topics
}
