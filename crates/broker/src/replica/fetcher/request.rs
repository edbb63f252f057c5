//! What a fetcher sends to a leader, and what it makes of the answer.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use dohle_client::{ClientConfig, Connection};
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};
use dohle_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData, ReplicaState};
use dohle_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use dohle_replication::{EpochEnd, FetchAnswer};
use uuid::Uuid;

use super::Question;
use crate::limits;
use crate::replica::cell::Cell;
use crate::state::BrokerState;

/// Topics by id, the epoch of the process that asks, and where logs part.
pub(super) const FETCH_VERSION: i16 = 17;

/// Special timestamps of ListOffsets.
pub(super) const LATEST: i64 = -1;
pub(super) const EARLIEST: i64 = -2;

pub(super) fn client_config(broker: &BrokerState) -> ClientConfig {
    let mut config = ClientConfig::for_servers("localhost:1").expect("an address");
    config.client_id = format!("broker-{}-fetcher", broker.config.node_id);
    config.connect_timeout = limits::REPLICA_CONNECT_TIMEOUT;
    config.request_timeout = limits::REPLICA_REQUEST_TIMEOUT;
    config
}

pub(super) fn fetch(broker: &BrokerState, questions: &[Question], wait_max: Duration) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for question in questions {
        let position = question.position;
        let partition = FetchPartition {
            partition: question.cell.partition.0,
            current_leader_epoch: position.current_leader_epoch.0,
            fetch_offset: position.offset.0,
            last_fetched_epoch: position.last_fetched_epoch.0,
            log_start_offset: question.log_start.0,
            partition_max_bytes: limits::REPLICA_FETCH_PARTITION_BYTES_MAX,
            ..FetchPartition::default()
        };
        let topic_id = question.cell.topic_id.0;
        match topics.last_mut().filter(|topic| topic.topic_id == topic_id) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic_id,
                partitions: vec![partition],
                ..FetchTopic::default()
            }),
        }
    }
    FetchRequest {
        replica_state: ReplicaState {
            replica_id: broker.config.node_id,
            replica_epoch: broker.broker_epoch(),
            ..ReplicaState::default()
        },
        max_wait_ms: i32::try_from(wait_max.as_millis()).unwrap_or(i32::MAX),
        min_bytes: 1,
        max_bytes: limits::REPLICA_FETCH_BYTES_MAX,
        topics,
        ..FetchRequest::default()
    }
}

/// The answers of a leader, by partition.
pub(super) struct Answers(HashMap<(Uuid, i32), PartitionData>);

pub(super) enum Answer {
    Decided(FetchAnswer, Bytes),
    /// The leader's log does not hold what was asked for. It has to be asked what it holds.
    OutOfRange,
}

impl Answers {
    pub(super) fn new(response: FetchResponse) -> Answers {
        let topics = response.responses.into_iter();
        let partitions = topics.flat_map(|topic| {
            let id = topic.topic_id;
            topic.partitions.into_iter().map(move |partition| ((id, partition.partition_index), partition))
        });
        Answers(partitions.collect())
    }

    pub(super) fn take(&mut self, cell: &Cell) -> Answer {
        let Some(answer) = self.0.remove(&(cell.topic_id.0, cell.partition.0)) else {
            return Answer::Decided(FetchAnswer::Failed, Bytes::new());
        };
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => return Answer::OutOfRange,
            code => {
                tracing::debug!("{}-{}: the leader says {code}", cell.topic, cell.partition.0);
                return Answer::Decided(FetchAnswer::Failed, Bytes::new());
            }
        }
        let diverging = answer.diverging_epoch;
        let decided = if diverging.epoch >= 0 {
            FetchAnswer::Diverging(EpochEnd {
                epoch: LeaderEpoch(diverging.epoch),
                end_offset: Offset(diverging.end_offset),
            })
        } else {
            FetchAnswer::Records {
                high_watermark: Offset(answer.high_watermark),
                log_start: Offset(answer.log_start_offset),
            }
        };
        Answer::Decided(decided, answer.records.unwrap_or_default())
    }
}

/// One end of a leader's log.
pub(super) async fn offset_at(connection: &Connection, me: BrokerId, question: &Question, timestamp: i64) -> Option<Offset> {
    let partition = ListOffsetsPartition {
        partition_index: question.cell.partition.0,
        current_leader_epoch: question.position.current_leader_epoch.0,
        timestamp,
        ..ListOffsetsPartition::default()
    };
    let request = ListOffsetsRequest {
        // As a follower: the end of the log, not of what consumers may read.
        replica_id: me.0,
        topics: vec![ListOffsetsTopic {
            name: question.cell.topic.to_string(),
            partitions: vec![partition],
            ..ListOffsetsTopic::default()
        }],
        ..ListOffsetsRequest::default()
    };
    let response = connection.call(&request).await.ok()?;
    let answer = response.topics.into_iter().next()?.partitions.into_iter().next()?;
    (answer.error_code == ErrorCode::None.code()).then_some(Offset(answer.offset))
}
