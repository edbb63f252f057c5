//! ListOffsets: offsets by timestamp, and at the ends of logs.

use std::collections::BTreeSet;
use std::sync::Arc;

use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic, ListOffsetsTopicResponse,
};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::cluster::elsewhere;
use crate::dispatch::RequestContext;
use crate::replica::cell::Cell;
use crate::replica::partition_view::{Isolation, PartitionView};
use crate::state::BrokerState;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
/// From this version on answers tell the leader epoch.
const LEADER_EPOCH_FROM: i16 = 4;
/// "None": no such record.
const UNKNOWN: i64 = -1;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let lookup = Lookup {
        broker: Arc::clone(broker),
        api_version: ctx.api_version,
        isolation: Isolation::from_wire(request.isolation_level),
        is_consumer: request.replica_id == -1,
    };
    let needs_files = |partition: &ListOffsetsPartition| partition.timestamp >= 0 || partition.timestamp == MAX_TIMESTAMP;
    let answer = if request.topics.iter().flat_map(|topic| &topic.partitions).any(needs_files) {
        tokio::task::spawn_blocking(move || lookup.all(request.topics)).await
    } else {
        Ok(lookup.all(request.topics))
    };
    match answer {
        Ok(topics) => ListOffsetsResponse {
            topics,
            ..ListOffsetsResponse::default()
        },
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

struct Lookup {
    broker: Arc<BrokerState>,
    api_version: i16,
    isolation: Isolation,
    is_consumer: bool,
}

/// Offset, timestamp and leader epoch.
struct Found(Offset, i64, LeaderEpoch);

impl Lookup {
    fn all(&self, topics: Vec<ListOffsetsTopic>) -> Vec<ListOffsetsTopicResponse> {
        let mut seen = BTreeSet::new();
        let mut twice = BTreeSet::new();
        for (name, partition) in topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|p| (&topic.name, p.partition_index)))
        {
            if !seen.insert((name, partition)) {
                twice.insert((name.clone(), partition));
            }
        }
        topics
            .into_iter()
            .map(|topic| {
                let is_twice = |partition: &ListOffsetsPartition| twice.contains(&(topic.name.clone(), partition.partition_index));
                let answer = |asked: &ListOffsetsPartition| self.partition(&topic.name, asked, is_twice(asked));
                let partitions = topic.partitions.iter().map(answer).collect();
                ListOffsetsTopicResponse {
                    partitions,
                    name: topic.name,
                    ..ListOffsetsTopicResponse::default()
                }
            })
            .collect()
    }

    fn partition(&self, topic: &str, asked: &ListOffsetsPartition, is_twice: bool) -> ListOffsetsPartitionResponse {
        let found = if is_twice {
            Err(ErrorCode::InvalidRequest)
        } else {
            self.find(topic, asked)
        };
        let answer = ListOffsetsPartitionResponse {
            partition_index: asked.partition_index,
            ..ListOffsetsPartitionResponse::default()
        };
        match found {
            Ok(Found(offset, timestamp, epoch)) => {
                let leader_epoch = if self.api_version >= LEADER_EPOCH_FROM {
                    epoch
                } else {
                    LeaderEpoch::NONE
                };
                ListOffsetsPartitionResponse {
                    offset: offset.0,
                    timestamp,
                    leader_epoch: leader_epoch.0,
                    ..answer
                }
            }
            Err(error) => {
                self.broker.metrics.error(ApiKey::ListOffsets, error);
                ListOffsetsPartitionResponse {
                    error_code: error.code(),
                    ..answer
                }
            }
        }
    }

    fn find(&self, topic: &str, asked: &ListOffsetsPartition) -> Result<Found, ErrorCode> {
        let version_min = match asked.timestamp {
            LATEST | EARLIEST | 0.. => 1,
            MAX_TIMESTAMP => 7,
            EARLIEST_LOCAL => 8,
            LATEST_TIERED => 9,
            EARLIEST_PENDING_UPLOAD => 11,
            _ => i16::MAX,
        };
        if self.api_version < version_min {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let found = self.broker.replicas.cell(topic, asked.partition_index);
        let cell = found.map_err(|error| elsewhere::or_by_name(&self.broker, topic, asked.partition_index, error))?;
        let view = cell.view(LeaderEpoch(asked.current_leader_epoch))?;
        let end = if self.is_consumer {
            view.upper_bound(self.isolation)
        } else {
            view.log_end_offset
        };
        let none = Found(Offset(UNKNOWN), UNKNOWN, LeaderEpoch::NONE);
        match asked.timestamp {
            EARLIEST | EARLIEST_LOCAL => Ok(Found(view.log_start_offset, UNKNOWN, cell.epoch_at(view.log_start_offset))),
            // There is no tiered storage.
            LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(none),
            _ if self.is_consumer && !view.is_settled => Err(if self.api_version >= 5 {
                ErrorCode::OffsetNotAvailable
            } else {
                ErrorCode::LeaderNotAvailable
            }),
            LATEST => Ok(Found(end, UNKNOWN, view.leader_epoch)),
            timestamp => Ok(search(&cell, &view, timestamp, end)?.unwrap_or(none)),
        }
    }
}

fn search(cell: &Cell, view: &PartitionView, timestamp: i64, end: Offset) -> Result<Option<Found>, ErrorCode> {
    let found = match timestamp {
        MAX_TIMESTAMP => view.log.max_timestamp_offset(end),
        timestamp => view.log.offset_for_timestamp(timestamp, end),
    };
    match found {
        Ok(found) => Ok(found.map(|found| Found(found.offset, found.timestamp, found.leader_epoch))),
        Err(error) => {
            tracing::error!(topic = %cell.topic, partition = cell.partition.0, timestamp, "search by time: {error}");
            Err(error.error_code())
        }
    }
}
