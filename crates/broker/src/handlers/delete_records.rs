//! DeleteRecords: moves the start of logs forward. The new start is written down before the answer leaves.

use std::sync::Arc;

use dohle_metadata::topic_name;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::Offset;
use dohle_protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use crate::dispatch::RequestContext;
use crate::replica::cell::Cell;
use crate::replica::log_directory::LogDirectory;
use crate::state::BrokerState;

/// In a request: up to the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let broker = Arc::clone(broker);
    match tokio::task::spawn_blocking(move || delete_all(&broker, request)).await {
        Ok(topics) => DeleteRecordsResponse {
            topics,
            ..DeleteRecordsResponse::default()
        },
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn delete_all(broker: &Arc<BrokerState>, request: DeleteRecordsRequest) -> Vec<DeleteRecordsTopicResult> {
    let mut changed: Vec<Arc<Cell>> = Vec::new();
    let mut topics = Vec::new();
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|asked| {
            let offset = (asked.offset != HIGH_WATERMARK).then_some(Offset(asked.offset));
            let result = DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                ..DeleteRecordsPartitionResult::default()
            };
            match delete(broker, &topic.name, asked.partition_index, offset) {
                Ok((cell, log_start)) => {
                    changed.push(cell);
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
    make_durable(broker, &changed, &mut topics);
    topics
}

fn delete(broker: &BrokerState, topic: &str, partition: i32, offset: Option<Offset>) -> Result<(Arc<Cell>, Offset), ErrorCode> {
    if topic_name::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let cell = broker.replicas.cell(topic, partition)?;
    let log_start = cell.delete_records(offset)?;
    Ok((cell, log_start))
}

/// Writes the log starts down. The segments that nobody can read any more go with the next look at the retention.
fn make_durable(broker: &Arc<BrokerState>, changed: &[Arc<Cell>], topics: &mut [DeleteRecordsTopicResult]) {
    let mut directories: Vec<&Arc<LogDirectory>> = Vec::new();
    for cell in changed {
        if !directories.iter().any(|directory| Arc::ptr_eq(directory, &cell.directory)) {
            directories.push(&cell.directory);
        }
    }
    let written = |directory: &&Arc<LogDirectory>| broker.replicas.write_checkpoints(directory).is_ok();
    if directories.iter().all(written) {
        return;
    }
    let succeeded = topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions)
        .filter(|partition| partition.error_code == 0);
    succeeded.for_each(|partition| partition.error_code = ErrorCode::KafkaStorageError.code());
}
