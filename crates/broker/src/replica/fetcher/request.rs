//! How a fetcher asks, and whom.

use std::time::Duration;

use dohle_client::{ClientConfig, Connection};
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, Offset};
use dohle_protocol::messages::fetch::{FetchRequest, ReplicaState};
use dohle_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use super::Question;
use crate::limits;
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

/// `about` says about which partitions.
pub(super) fn fetch(broker: &BrokerState, about: FetchRequest, wait_max: Duration) -> FetchRequest {
    FetchRequest {
        replica_state: ReplicaState {
            replica_id: broker.config.node_id,
            replica_epoch: broker.broker_epoch(),
            ..ReplicaState::default()
        },
        max_wait_ms: i32::try_from(wait_max.as_millis()).unwrap_or(i32::MAX),
        min_bytes: 1,
        max_bytes: limits::REPLICA_FETCH_BYTES_MAX,
        ..about
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
