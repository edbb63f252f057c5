//! DescribeQuorum: who votes on the metadata, who leads, and how far each has come.

use std::sync::Arc;

use dohle_metadata::controller::Refusal;
use dohle_protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, RequestTopicData, TopicData,
};
use dohle_protocol::{ApiKey, ErrorCode};
use dohle_quorum::{METADATA_TOPIC, QuorumStatus, ReplicaStatus};

use crate::cluster::{controller, forwarding};
use crate::config::Endpoint;
use crate::dispatch::RequestContext;
use crate::limits::CONTROLLER_TIMEOUT_MIN;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let mut response = match ask_leader(broker, &request).await {
        Some(response) => response,
        None => describe(broker, request),
    };
    if ctx.api_version < 2 {
        response.nodes.clear();
    }
    response
}

/// Only the leader knows how far the others have come. `None` if that is this node, or cannot be asked.
async fn ask_leader(broker: &BrokerState, request: &DescribeQuorumRequest) -> Option<DescribeQuorumResponse> {
    controller::other_leader(broker)?;
    let (key, version) = (ApiKey::DescribeQuorum, *ApiKey::DescribeQuorum.valid_versions().end());
    let asked = async {
        let body = forwarding::encode_message(request, version)?;
        let body = controller::forward(broker, key, version, body, CONTROLLER_TIMEOUT_MIN).await?;
        forwarding::decode_message(version, body)
    };
    let asked: Result<DescribeQuorumResponse, Refusal> = asked.await;
    asked
        .inspect_err(|refusal| tracing::debug!("the leader of the quorum does not describe it: {refusal}"))
        .ok()
}

/// What this node knows, in the newest version.
pub(crate) fn describe(broker: &BrokerState, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let status = broker.quorum.status();
    if !is_about_the_metadata(&request.topics) {
        let topics = request.topics.into_iter().map(unknown).collect();
        return DescribeQuorumResponse {
            error_message: Some(String::new()),
            topics,
            ..DescribeQuorumResponse::default()
        };
    }
    let listener_name = broker
        .config
        .listeners
        .controllers
        .first()
        .map_or("CONTROLLER", |listener| &*listener.name);
    let nodes = status.voters.iter().map(|voter| {
        let listener = address_of(voter).map(|endpoint| Listener {
            name: listener_name.to_owned(),
            host: endpoint.host,
            port: endpoint.port,
            ..Listener::default()
        });
        Node {
            node_id: voter.node_id as i32,
            listeners: listener.into_iter().collect(),
            ..Node::default()
        }
    });
    DescribeQuorumResponse {
        // As in Kafka, whose schema has no default of null here.
        error_message: Some(String::new()),
        nodes: nodes.collect(),
        topics: vec![TopicData {
            topic_name: METADATA_TOPIC.to_string(),
            partitions: vec![partition(&status)],
            ..TopicData::default()
        }],
        ..DescribeQuorumResponse::default()
    }
}

/// Where the other voters reach this one; `None` for one that has no listener because it votes alone.
pub(super) fn address_of(voter: &ReplicaStatus) -> Option<Endpoint> {
    Endpoint::parse(&voter.address)
}

fn is_about_the_metadata(topics: &[RequestTopicData]) -> bool {
    matches!(topics, [topic] if topic.topic_name == METADATA_TOPIC && matches!(topic.partitions.as_slice(), [only] if only.partition_index == 0))
}

fn partition(status: &QuorumStatus) -> PartitionData {
    let replica = |replica: &ReplicaStatus| ReplicaState {
        replica_id: replica.node_id as i32,
        log_end_offset: replica.log_end_offset.0,
        last_fetch_timestamp: replica.last_fetch_ms,
        last_caught_up_timestamp: replica.last_caught_up_ms,
        ..ReplicaState::default()
    };
    PartitionData {
        error_message: Some(String::new()),
        leader_id: status.leader.map_or(-1, |leader| leader as i32),
        leader_epoch: status.leader_epoch.0,
        high_watermark: status.high_watermark.0,
        current_voters: status.voters.iter().map(replica).collect(),
        observers: status.observers.iter().map(replica).collect(),
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
