//! ElectLeaders: an operator wants other leaders; decided by the controller, answered when this broker knows of them.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult, TopicPartitions,
};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let timeout = controller::timeout(request.timeout_ms);
    // Only version 0 has no room for an error of the whole.
    let each_alone = ctx.api_version == 0;
    let named = request.topic_partitions.clone().filter(|_| each_alone).unwrap_or_default();
    let response = match controller::change(broker, ControllerRequest::ElectLeaders(request), timeout).await {
        Ok(ControllerReply::ElectLeaders(response)) => response,
        Ok(other) => unreachable!("the reply to ElectLeaders is not {other:?}"),
        Err(refusal) if each_alone => refused(named, &refusal),
        Err(refusal) => ElectLeadersResponse {
            error_code: refusal.code.code(),
            ..ElectLeadersResponse::default()
        },
    };
    let partitions = response.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
    let errors = partitions.map(|result| result.error_code).chain([response.error_code]);
    broker.metrics.errors(ApiKey::ElectLeaders, errors);
    response
}

fn refused(named: Vec<TopicPartitions>, refusal: &Refusal) -> ElectLeadersResponse {
    let result = |partition_id| PartitionResult {
        partition_id,
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..PartitionResult::default()
    };
    let results = named.into_iter().map(|topic| ReplicaElectionResult {
        topic: topic.topic,
        partition_result: topic.partitions.into_iter().map(result).collect(),
        ..ReplicaElectionResult::default()
    });
    ElectLeadersResponse {
        replica_election_results: results.collect(),
        ..ElectLeadersResponse::default()
    }
}
