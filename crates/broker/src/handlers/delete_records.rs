//! DeleteRecords: moves the start of logs forward. The new start is written down before the answer leaves, and the followers that are there
//! have followed.

use std::sync::Arc;

use dohle_metadata::topic_name;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::Offset;
use dohle_protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use tokio::time::Instant;

use crate::cluster::{controller, elsewhere};
use crate::dispatch::RequestContext;
use crate::limits;
use crate::replica::cell::Cell;
use crate::replica::log_directory::LogDirectory;
use crate::state::BrokerState;

/// In a request: up to the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let deadline = Instant::now() + controller::timeout(request.timeout_ms);
    let deleting = Arc::clone(broker);
    match tokio::task::spawn_blocking(move || delete_all(&deleting, request)).await {
        Ok((mut topics, changed)) => {
            wait_for_followers(broker, changed, &mut topics, deadline).await;
            DeleteRecordsResponse {
                topics,
                ..DeleteRecordsResponse::default()
            }
        }
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A log that begins later now.
struct Changed {
    /// Of its topic and partition in the answer.
    place: (usize, usize),
    cell: Arc<Cell>,
    log_start: Offset,
}

fn delete_all(broker: &Arc<BrokerState>, request: DeleteRecordsRequest) -> (Vec<DeleteRecordsTopicResult>, Vec<Changed>) {
    let mut changed: Vec<Changed> = Vec::new();
    let mut topics = Vec::new();
    for (topic_place, topic) in request.topics.into_iter().enumerate() {
        let partitions = topic.partitions.iter().enumerate().map(|(place, asked)| {
            let offset = (asked.offset != HIGH_WATERMARK).then_some(Offset(asked.offset));
            let result = DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                ..DeleteRecordsPartitionResult::default()
            };
            match delete(broker, &topic.name, asked.partition_index, offset) {
                Ok((cell, log_start)) => {
                    let place = (topic_place, place);
                    changed.push(Changed { place, cell, log_start });
                    DeleteRecordsPartitionResult {
                        low_watermark: log_start.0,
                        ..result
                    }
                }
                Err(error) => DeleteRecordsPartitionResult {
                    low_watermark: -1,
                    error_code: error.code(),
                    ..result
                },
            }
        });
        let partitions = partitions.collect();
        topics.push(DeleteRecordsTopicResult {
            partitions,
            name: topic.name,
            ..DeleteRecordsTopicResult::default()
        });
    }
    if !make_durable(broker, &changed, &mut topics) {
        changed.clear();
    }
    (topics, changed)
}

async fn wait_for_followers(broker: &BrokerState, mut changed: Vec<Changed>, topics: &mut [DeleteRecordsTopicResult], deadline: Instant) {
    loop {
        let image = broker.quorum.image();
        let is_there = |id| image.broker(id).is_some_and(|broker| !broker.fenced);
        changed.retain(|Changed { place, cell, log_start }| {
            let result = &mut topics[place.0].partitions[place.1];
            match cell.low_watermark(is_there) {
                Ok(low) if low < *log_start => return true,
                Ok(low) => result.low_watermark = low.0,
                Err(error) => (result.low_watermark, result.error_code) = (-1, error.code()),
            }
            false
        });
        if changed.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            for Changed { place, .. } in changed {
                let result = &mut topics[place.0].partitions[place.1];
                (result.low_watermark, result.error_code) = (-1, ErrorCode::RequestTimedOut.code());
            }
            return;
        }
        tokio::time::sleep(limits::LOW_WATERMARK_LOOK).await;
    }
}

fn delete(broker: &BrokerState, topic: &str, partition: i32, offset: Option<Offset>) -> Result<(Arc<Cell>, Offset), ErrorCode> {
    if topic_name::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let found = broker.replicas.cell(topic, partition);
    let cell = found.map_err(|error| elsewhere::or_by_name(broker, topic, partition, error))?;
    let log_start = cell.delete_records(offset)?;
    Ok((cell, log_start))
}

/// Writes the log starts down; false if that cannot be done. The segments that nobody can read any more go with the next look at the retention.
fn make_durable(broker: &Arc<BrokerState>, changed: &[Changed], topics: &mut [DeleteRecordsTopicResult]) -> bool {
    let mut directories: Vec<&Arc<LogDirectory>> = Vec::new();
    for Changed { cell, .. } in changed {
        if !directories.iter().any(|directory| Arc::ptr_eq(directory, &cell.directory)) {
            directories.push(&cell.directory);
        }
    }
    let written = |directory: &&Arc<LogDirectory>| broker.replicas.write_checkpoints(directory).is_ok();
    if directories.iter().all(written) {
        return true;
    }
    let succeeded = topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions)
        .filter(|partition| partition.error_code == 0);
    succeeded.for_each(|partition| partition.error_code = ErrorCode::KafkaStorageError.code());
    false
}
