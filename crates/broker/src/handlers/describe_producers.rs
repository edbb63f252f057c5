//! DescribeProducers: what the logs remember of their producers.

use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use dohle_storage::PartitionLog;

use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    _ctx: &RequestContext,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|topic| TopicResponse {
        partitions: topic
            .partition_indexes
            .iter()
            .map(|index| partition(broker, &topic.name, *index))
            .collect(),
        name: topic.name,
        ..TopicResponse::default()
    });
    DescribeProducersResponse {
        topics: topics.collect(),
        ..DescribeProducersResponse::default()
    }
}

fn partition(broker: &BrokerState, topic: &str, partition_index: i32) -> PartitionResponse {
    let find = || -> Result<_, ErrorCode> {
        let cell = broker.replicas.cell(topic, partition_index)?;
        cell.check_leader()?;
        Ok(cell.inspect(producers))
    };
    match find() {
        Ok(active_producers) => PartitionResponse {
            partition_index,
            active_producers,
            ..PartitionResponse::default()
        },
        Err(error) => PartitionResponse {
            partition_index,
            error_code: error.code(),
            error_message: Some(error.message().to_string()),
            ..PartitionResponse::default()
        },
    }
}

fn producers(log: &PartitionLog) -> Vec<ProducerState> {
    let producers = log.producers().iter().map(|(id, entry)| ProducerState {
        producer_id: id.0,
        producer_epoch: entry.epoch.0.into(),
        last_sequence: entry.last_sequence(),
        last_timestamp: entry.last_timestamp,
        coordinator_epoch: entry.coordinator_epoch,
        current_txn_start_offset: entry.txn_first_offset.map_or(-1, |offset| offset.0),
        ..ProducerState::default()
    });
    producers.collect()
}
