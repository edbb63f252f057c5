//! Any damage to any file of a partition: the log does not open, or it opens as a log that can be read, appended to, closed and reopened.

#![no_main]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use dohle_protocol::batch;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::id::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use dohle_storage::{AppendContext, AppendOrigin, Disk, FaultyDisk, LogConfig, LogIdentity, OpenState, PartitionLog, ReadRequest};
use libfuzzer_sys::fuzz_target;

const DIR: &str = "/data/t-0";
const NOW_MS: i64 = 1_700_000_000_000;

/// The files of a healthy log: several segments, a producer, transactions, two epochs.
static HEALTHY: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(healthy_files);

// The first three bytes are what the checkpoints say; each four of the others damage one file.
fuzz_target!(|data: &[u8]| {
    let Some((&[choices, recovery_point, log_start], damage)) = data.split_first_chunk() else {
        return;
    };
    let files = damaged_files(damage);
    let is_log = |path: &Path| path.extension().is_some_and(|extension| extension == "log");
    let records_damaged = files.iter().zip(&*HEALTHY).any(|(now, healthy)| is_log(&now.0) && now != healthy);
    let disk: Arc<dyn Disk> = Arc::new(disk_of(&files));
    let state = OpenState {
        clean_shutdown: choices & 1 != 0,
        recovery_point: Offset(i64::from(recovery_point)),
        log_start: (choices & 2 != 0).then_some(Offset(i64::from(log_start))),
    };
    let Ok(mut log) = open(&disk, state) else { return };
    read_all(&mut log);
    append(&mut log);
    read_all(&mut log);
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    log.close_clean().expect("this disk does not fail");
    let closed = OpenState {
        clean_shutdown: true,
        recovery_point: end,
        log_start: Some(start),
    };
    let reopened = open(&disk, closed).expect("what was closed can be opened");
    let found = (reopened.log_start_offset(), reopened.log_end_offset());
    // Everything but the records themselves can be rebuilt, so damage to it loses nothing.
    assert!(
        found == (start, end) || records_damaged,
        "closed at {:?}, reopened at {found:?}",
        (start, end)
    );
});

fn open(disk: &Arc<dyn Disk>, state: OpenState) -> Result<PartitionLog, dohle_storage::OpenError> {
    let identity = LogIdentity {
        topic: "t".into(),
        partition: PartitionIndex(0),
        topic_id: TopicId::ZERO,
    };
    let config = LogConfig {
        segment_bytes: 400,
        index_interval_bytes: 1,
        ..LogConfig::default()
    };
    PartitionLog::open(Arc::clone(disk), DIR.into(), identity, Arc::new(config), state, NOW_MS)
}

/// Reads as consumers do. Damage in the middle may surface as an error, never as a batch that is not one.
fn read_all(log: &mut PartitionLog) {
    let view = log.read_view();
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    assert!(start <= end);
    let mut offset = start;
    while offset < end {
        let request = ReadRequest {
            offset,
            upper_bound: end,
            max_bytes: 300,
            min_one_batch: true,
        };
        let Ok(result) = view.read(request) else { break };
        for found in batch::batches(result.records) {
            let found = found.expect("whole batches");
            found.verify_crc().expect("intact batches");
            assert!(found.header.last_offset() < end);
        }
        if result.next_offset <= offset {
            break;
        }
        offset = result.next_offset;
    }
    view.aborted_transactions(start, end);
    let _ = view.offset_for_timestamp(NOW_MS + 3, end);
    let _ = view.max_timestamp_offset(end);
    log.end_offset_for_epoch(LeaderEpoch(1));
    log.last_stable_offset(end);
}

fn append(log: &mut PartitionLog) {
    let end = log.log_end_offset();
    let mut batch = RecordBatchBuilder::new();
    batch.append(NOW_MS, None, Some(b"after"), &[]);
    if let Ok(info) = log.append_as_leader(batch.build(), context(LeaderEpoch(9))) {
        assert_eq!(info.base_offset, end);
        assert_eq!(log.log_end_offset(), end + 1);
        let request = ReadRequest {
            offset: end,
            upper_bound: end + 1,
            max_bytes: 1,
            min_one_batch: true,
        };
        let read = log.read_view().read(request).expect("what was appended can be read");
        assert_eq!(read.records, info.bytes);
    }
}

fn context(leader_epoch: LeaderEpoch) -> AppendContext {
    AppendContext {
        leader_epoch,
        now_ms: NOW_MS,
        origin: AppendOrigin::Coordinator,
        zstd_allowed: true,
        turned_away: None,
    }
}

fn damaged_files(damage: &[u8]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = HEALTHY.clone();
    for change in damage.chunks_exact(4) {
        let (which, operation) = (usize::from(change[0]) % files.len(), change[0] >> 5);
        let position = usize::from(u16::from_be_bytes([change[1], change[2]]));
        let content = &mut files[which].1;
        let position = position % (content.len() + 1);
        match operation {
            0..=3 => content.iter_mut().skip(position).take(1).for_each(|byte| *byte = change[3]),
            4 => content.truncate(position),
            5 => content[position..].fill(0),
            6 => content.extend(std::iter::repeat_n(change[3], position)),
            _ => content.clear(),
        }
    }
    files
}

fn disk_of(files: &[(PathBuf, Vec<u8>)]) -> FaultyDisk {
    let disk = FaultyDisk::new();
    disk.create_dir(Path::new(DIR)).expect("this disk does not fail");
    // A file whose damage is a length of zero is missing every other time.
    for (index, (path, content)) in files.iter().enumerate() {
        if !content.is_empty() || index % 2 == 0 {
            disk.write(path, content).expect("this disk does not fail");
        }
    }
    disk
}

fn healthy_files() -> Vec<(PathBuf, Vec<u8>)> {
    let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new());
    let mut log = open(&disk, OpenState::default()).expect("a new log");
    for round in 0..4 {
        let (id, epoch) = (ProducerId(5), ProducerEpoch(1));
        for sequence in [2 * round, 2 * round + 1] {
            let mut batch = RecordBatchBuilder::new().producer(id, epoch, sequence).transactional();
            batch.append(NOW_MS + i64::from(sequence), Some(b"key"), Some(b"value"), &[]);
            append_healthy(&mut log, batch.build(), round);
        }
        let marker = EndTxnMarker {
            committed: round % 2 == 1,
            coordinator_epoch: 0,
        };
        append_healthy(&mut log, marker.to_batch(NOW_MS, id, epoch, LeaderEpoch(round / 2)), round);
    }
    log.close_clean().expect("a healthy disk");
    let names = disk.list(Path::new(DIR)).expect("the directory exists");
    let mut paths: Vec<_> = names.into_iter().map(|entry| Path::new(DIR).join(entry.name)).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), disk.read(&path).expect("the file exists")))
        .collect()
}

fn append_healthy(log: &mut PartitionLog, batch: Bytes, round: i32) {
    log.append_as_leader(batch, context(LeaderEpoch(round / 2))).expect("a good batch");
}
