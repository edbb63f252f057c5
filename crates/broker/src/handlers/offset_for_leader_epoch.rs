//! OffsetForLeaderEpoch: where an epoch ended, so that a reader finds out whether its log and this one have parted.

use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::LeaderEpoch;
use dohle_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};

use crate::cluster::elsewhere;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    _ctx: &RequestContext,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| OffsetForLeaderTopicResult {
        partitions: topic
            .partitions
            .iter()
            .map(|asked| end_of_epoch(broker, &topic.topic, asked))
            .collect(),
        topic: topic.topic,
        ..OffsetForLeaderTopicResult::default()
    });
    OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..OffsetForLeaderEpochResponse::default()
    }
}

fn end_of_epoch(broker: &BrokerState, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let find = || -> Result<_, ErrorCode> {
        let found = broker.replicas.cell(topic, asked.partition);
        let cell = found.map_err(|error| elsewhere::or_by_name(broker, topic, asked.partition, error))?;
        cell.end_offset_for_epoch(LeaderEpoch(asked.current_leader_epoch), LeaderEpoch(asked.leader_epoch))
    };
    let answer = EpochEndOffset {
        partition: asked.partition,
        ..EpochEndOffset::default()
    };
    match find() {
        Ok(end) => EpochEndOffset {
            leader_epoch: end.epoch.0,
            end_offset: end.end_offset.0,
            ..answer
        },
        Err(error) => EpochEndOffset {
            error_code: error.code(),
            ..answer
        },
    }
}
