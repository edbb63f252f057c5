//! DescribeQuorum: who votes on the metadata, who leads, and how far each has come.

use crate::dispatch::RequestContext;
use crate::state::BrokerState;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Node, PartitionData, ReplicaState, RequestTopicData, TopicData,
};
use dohle_quorum::{METADATA_TOPIC, QuorumStatus};
use std::sync::Arc;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let status = broker.quorum.status();
    if !is_about_the_metadata(&request.topics) {
        let topics = request.topics.into_iter().map(unknown).collect();
        return DescribeQuorumResponse {
            error_message: Some(String::new()),
            topics,
            ..DescribeQuorumResponse::default()
        };
    }
    DescribeQuorumResponse {
        // As in Kafka, whose schema has no default of null here.
        error_message: Some(String::new()),
        topics: vec![TopicData {
            topic_name: METADATA_TOPIC.to_string(),
            partitions: vec![partition(&status)],
            ..TopicData::default()
        }],
        // While there is one voter its listener is not open, hence there are no addresses to tell.
        nodes: status
            .voters
            .iter()
            .filter(|_| ctx.api_version >= 2)
            .map(|voter| Node {
                node_id: voter.node_id as i32,
                ..Node::default()
            })
            .collect(),
        ..DescribeQuorumResponse::default()
    }
}

fn is_about_the_metadata(topics: &[RequestTopicData]) -> bool {
    matches!(topics, [topic] if topic.topic_name == METADATA_TOPIC && matches!(topic.partitions.as_slice(), [only] if only.partition_index == 0))
}

fn partition(status: &QuorumStatus) -> PartitionData {
    let voters = status.voters.iter().map(|voter| ReplicaState {
        replica_id: voter.node_id as i32,
        log_end_offset: voter.log_end_offset.0,
        last_fetch_timestamp: voter.last_fetch_ms,
        last_caught_up_timestamp: voter.last_caught_up_ms,
        ..ReplicaState::default()
    });
    PartitionData {
        error_message: Some(String::new()),
        leader_id: status.leader.map_or(-1, |leader| leader as i32),
        leader_epoch: status.leader_epoch.0,
        high_watermark: status.high_watermark.0,
        current_voters: voters.collect(),
        ..PartitionData::default()
    }
}

fn unknown(topic: RequestTopicData) -> TopicData {
    let partitions = topic.partitions.iter().map(|partition| PartitionData {
        partition_index: partition.partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        error_message: Some(ErrorCode::UnknownTopicOrPartition.message().to_string()),
        ..PartitionData::default()
    });
    TopicData {
        partitions: partitions.collect(),
        topic_name: topic.topic_name,
        ..TopicData::default()
    }
}
