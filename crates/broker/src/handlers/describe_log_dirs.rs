//! DescribeLogDirs: the log directories, the partitions in them, and the room that is left.

use std::collections::BTreeMap;
use std::path::{Path, absolute};
use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};
use dohle_storage::PartitionLog;

use crate::dispatch::RequestContext;
use crate::replica::log_directory::LogDirectory;
use crate::replica::table::TopicReplicas;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let mut topics = broker.replicas.topics();
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    let asked: Option<BTreeMap<String, Vec<i32>>> = request.topics.map(|topics| topics.into_iter().map(into_entry).collect());
    let working = broker
        .replicas
        .directories()
        .iter()
        .map(|directory| describe(directory, &topics, asked.as_ref()));
    let missing = broker.replicas.missing_directories().iter().map(|path| offline(path));
    DescribeLogDirsResponse {
        results: working.chain(missing).collect(),
        ..DescribeLogDirsResponse::default()
    }
}

fn into_entry(topic: DescribableLogDirTopic) -> (String, Vec<i32>) {
    (topic.topic, topic.partitions)
}

fn describe(
    directory: &Arc<LogDirectory>,
    topics: &[Arc<TopicReplicas>],
    asked: Option<&BTreeMap<String, Vec<i32>>>,
) -> DescribeLogDirsResult {
    if directory.is_offline() {
        return offline(directory.path());
    }
    let described = topics.iter().filter_map(|topic| {
        let wanted = match asked {
            Some(asked) => Some(asked.get(&*topic.name)?),
            None => None,
        };
        let here = topic.cells().filter(|cell| Arc::ptr_eq(&cell.directory, directory));
        let here = here.filter(|cell| wanted.is_none_or(|partitions| partitions.contains(&cell.partition.0)));
        let partitions: Vec<_> = here
            .map(|cell| DescribeLogDirsPartition {
                partition_index: cell.partition.0,
                partition_size: cell.inspect(PartitionLog::size_in_bytes) as i64,
                ..DescribeLogDirsPartition::default()
            })
            .collect();
        (!partitions.is_empty()).then(|| DescribeLogDirsTopic {
            name: topic.name.to_string(),
            partitions,
            ..DescribeLogDirsTopic::default()
        })
    });
    let (total_bytes, usable_bytes) = volume(directory.path());
    DescribeLogDirsResult {
        log_dir: shown(directory.path()),
        topics: described.collect(),
        total_bytes,
        usable_bytes,
        ..DescribeLogDirsResult::default()
    }
}

fn offline(path: &Path) -> DescribeLogDirsResult {
    DescribeLogDirsResult {
        error_code: ErrorCode::KafkaStorageError.code(),
        log_dir: shown(path),
        ..DescribeLogDirsResult::default()
    }
}

fn shown(path: &Path) -> String {
    absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Size of the volume and bytes left on it; -1 if they are not known.
fn volume(path: &Path) -> (i64, i64) {
    let bytes = |blocks: u64, block_bytes: u64| i64::try_from(blocks.saturating_mul(block_bytes)).unwrap_or(i64::MAX);
    rustix::fs::statvfs(path).map_or((-1, -1), |volume| {
        (bytes(volume.f_blocks, volume.f_frsize), bytes(volume.f_bavail, volume.f_frsize))
    })
}
