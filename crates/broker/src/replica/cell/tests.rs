//! What a client cannot bring about or see: idle caches, a panic while the lock is held, and what is synced.

mod replicated;

use std::path::Path;
use std::time::Duration;

use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::TopicId;
use dohle_storage::{FaultyDisk, LogConfig, LogDir, LogIdentity, OpenState};

use super::*;
use crate::replica::produce_wait::ProduceWait;

fn leading_cell(flush: FlushPolicy) -> Arc<Cell> {
    let cell = cell_with(flush.into());
    cell.assign(&Assignment::alone(BrokerId(1), LeaderEpoch(0)));
    cell
}

/// On broker 1, without a role.
fn cell_with(settings: ReplicationSettings) -> Arc<Cell> {
    cell_on(&FaultyDisk::new(), settings)
}

fn cell_on(disk: &FaultyDisk, settings: ReplicationSettings) -> Arc<Cell> {
    let disk = Arc::new(disk.clone());
    let dir = LogDir::open(Arc::clone(&disk) as Arc<_>, Path::new("/data"), "cluster", BrokerId(1)).unwrap();
    let identity = LogIdentity {
        topic: "t".into(),
        partition: PartitionIndex(0),
        topic_id: TopicId::ZERO,
    };
    let path = dir.partition_dir("t", PartitionIndex(0));
    let (directory, _) = LogDirectory::new(dir, Arc::clone(&disk) as Arc<_>);
    let log = PartitionLog::open(disk, path, identity, Arc::new(LogConfig::default()), OpenState::default(), 0).unwrap();
    let services = CellServices {
        me: BrokerId(1),
        schedule: Schedule::default(),
        cleaner: CleanerQueue::default(),
        followed: Followed::default(),
        isr_proposals: IsrProposals::default(),
        metrics: Arc::new(Metrics::new()),
        tail_budget: Arc::default(),
        checkpoint_interval: Duration::from_secs(60),
    };
    Cell::new(log, directory, Arc::new(services), settings, Offset::ZERO)
}

fn append(cell: &Arc<Cell>, now: Instant) -> Result<Offset, ProduceError> {
    let mut batch = RecordBatchBuilder::new();
    batch.append(1, None, Some(b"value"), &[]);
    let context = ProduceContext {
        origin: AppendOrigin::Client,
        leader_epoch: LeaderEpoch::NONE,
        acks: Acks::All,
        zstd_allowed: true,
        turned_away: None,
        now_ms: 1,
        now,
        request_bytes: 0,
    };
    let wait = Arc::new(ProduceWait::default());
    cell.append(batch.build(), context, || wait.ticket(0).into())
        .map(|(info, _)| info.base_offset)
}

fn is_cached(cell: &Cell, offset: i64) -> bool {
    let (_, tail) = cell
        .view_at((LeaderEpoch::NONE, true), Offset(offset), Isolation::ReadUncommitted, 1000, true)
        .unwrap();
    tail.is_some()
}

#[test]
fn the_recent_batches_of_a_partition_are_dropped_whenever_it_is_idle() {
    let cell = leading_cell(FlushPolicy::Os);
    let start = Instant::now();
    for round in 0..3 {
        let now = start + round * 10 * limits::TAIL_CACHE_IDLE_MAX;
        append(&cell, now).unwrap();
        assert!(is_cached(&cell, round.into()));
        let due = cell.drop_idle_tail(now + Duration::from_secs(1)).expect("not idle yet");
        assert_eq!(due, now + limits::TAIL_CACHE_IDLE_MAX);
        assert_eq!(cell.drop_idle_tail(due), None);
        assert!(!is_cached(&cell, round.into()));
        assert!(cell.lock().last_append.is_none(), "the next append plans the next look");
    }
}

#[test]
fn after_a_panic_under_the_lock_nothing_is_appended_and_the_rest_can_be_read() {
    let cell = leading_cell(FlushPolicy::Os);
    append(&cell, Instant::now()).unwrap();
    let panicking = Arc::clone(&cell);
    let result = std::thread::spawn(move || panicking.inspect(|_| panic!("a bug, for this test"))).join();
    assert!(result.is_err());
    let refused = append(&cell, Instant::now()).unwrap_err();
    assert!(
        matches!(refused, ProduceError::Refused(ErrorCode::KafkaStorageError)),
        "{refused:?}"
    );
    assert_eq!(cell.view(LeaderEpoch::NONE).unwrap().high_watermark, Offset(1));
    assert!(cell.close().is_err(), "the next start has to look for damage");
}

/// Nothing that is due after a day becomes due in a test.
fn by_count(records_max: i64) -> FlushPolicy {
    FlushPolicy::Interval {
        after: limits::FLUSH_INTERVAL_MAX,
        records_max,
    }
}

fn wait_until_synced(cell: &Cell, offset: i64) {
    cell.directory.committer().drain();
    assert_eq!(cell.positions().recovery_point, Offset(offset));
}

#[test]
fn by_interval_records_are_synced_as_soon_as_there_are_enough_of_them() {
    let cell = leading_cell(by_count(3));
    for synced in [3, 6] {
        for _ in 0..2 {
            append(&cell, Instant::now()).unwrap();
        }
        assert_eq!(cell.positions().recovery_point, Offset(synced - 3));
        append(&cell, Instant::now()).unwrap();
        wait_until_synced(&cell, synced);
    }
}

#[test]
fn a_new_flush_policy_is_not_kept_waiting_by_the_old_one() {
    let cell = leading_cell(FlushPolicy::Os);
    append(&cell, Instant::now()).unwrap();
    let log = Arc::new(LogConfig::default());
    let replication = by_count(9).into();
    cell.configure(&TopicSettings { log, replication });
    wait_until_synced(&cell, 1);
}
