//! What a client cannot bring about at will: slow loading, lost leadership, a panic, the records of another coordinator.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::coordinator_records::OffsetCommitValue;
use dohle_protocol::id::{BrokerId, PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::join_group::JoinGroupRequest;
use dohle_protocol::messages::offset_fetch::OffsetFetchRequestGroup;
use dohle_replication::Assignment;
use dohle_storage::{FaultyDisk, LogConfig, LogDir, LogIdentity, OpenState, PartitionLog};

use super::*;
use crate::replica::cell::CellServices;
use crate::replica::cleaner_queue::CleanerQueue;
use crate::replica::followed::Followed;
use crate::replica::isr_proposals::IsrProposals;
use crate::replica::log_directory::LogDirectory;
use crate::replica::schedule::Schedule;
use crate::replica::topic_settings::FlushPolicy;

const CALLER: Caller = Caller {
    client_id: String::new(),
    client_host: String::new(),
    api_version: 5,
};

fn cell() -> Arc<Cell> {
    let disk = Arc::new(FaultyDisk::new());
    let dir = LogDir::open(Arc::clone(&disk) as Arc<_>, Path::new("/data"), "cluster", BrokerId(1)).unwrap();
    let identity = LogIdentity {
        topic: "__consumer_offsets".into(),
        partition: PartitionIndex(0),
        topic_id: TopicId::ZERO,
    };
    let path = dir.partition_dir("__consumer_offsets", PartitionIndex(0));
    let (directory, _) = LogDirectory::new(dir, Arc::clone(&disk) as Arc<_>);
    let log = PartitionLog::open(disk, path, identity, Arc::new(LogConfig::default()), OpenState::default(), 0).unwrap();
    let services = CellServices {
        me: BrokerId(1),
        schedule: Schedule::default(),
        metrics: Arc::new(Metrics::new()),
        tail_budget: Arc::default(),
        checkpoint_interval: Duration::from_secs(60),
        cleaner: CleanerQueue::default(),
        followed: Followed::default(),
        isr_proposals: IsrProposals::default(),
    };
    let cell = Cell::new(log, directory, Arc::new(services), FlushPolicy::Commit.into(), Offset::ZERO);
    lead(&cell, 0);
    cell
}

fn lead(cell: &Arc<Cell>, epoch: i32) {
    cell.assign(&Assignment::alone(BrokerId(1), LeaderEpoch(epoch)));
}

fn services(loads: usize) -> Arc<ShardServices> {
    Arc::new(ShardServices {
        metrics: Arc::new(Metrics::new()),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
        loads: Semaphore::new(loads),
        member_bytes: AtomicUsize::new(0),
    })
}

fn shard(cell: &Arc<Cell>, services: &Arc<ShardServices>) -> Arc<Shard> {
    Shard::new(
        Arc::clone(cell),
        cell.writable_epoch().unwrap(),
        Arc::clone(services),
        GroupConfig::default(),
        1 << 20,
    )
}

fn commit(offset: i64) -> GroupRequest {
    use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        ..OffsetCommitRequestPartition::default()
    };
    GroupRequest::CommitOffsets(OffsetCommitRequest {
        group_id: "g".to_string(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_string(),
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    })
}

async fn committed(shard: &Arc<Shard>) -> Result<Vec<i64>, ErrorCode> {
    let request = OffsetFetchRequestGroup {
        group_id: "g".to_string(),
        ..OffsetFetchRequestGroup::default()
    };
    let Ok(GroupResponse::FetchOffsets(fetched)) = shard.ask(&CALLER, GroupRequest::FetchOffsets(request))?.answer().await else {
        panic!("another answer");
    };
    let partitions = fetched.topics.iter().flat_map(|topic| &topic.partitions);
    Ok(partitions.map(|partition| partition.committed_offset).collect())
}

/// What is committed once the shard answers.
async fn committed_when_loaded(shard: &Arc<Shard>) -> Vec<i64> {
    loop {
        match committed(shard).await {
            Err(ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator) => tokio::time::sleep(Duration::from_millis(1)).await,
            other => return other.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_before_all_is_loaded_and_topics_deleted_meanwhile_are_forgotten() {
    let cell = cell();
    let first = shard(&cell, &services(1));
    for offset in 1..=3 {
        first.ask(&CALLER, commit(offset)).unwrap().answer().await.unwrap();
    }
    let (busy, busier) = (services(0), services(0));
    let (second, third) = (shard(&cell, &busy), shard(&cell, &busier));
    third.topics_deleted(&["t"]);
    for waiting in [&second, &third] {
        assert_eq!(committed(waiting).await, Err(ErrorCode::CoordinatorLoadInProgress));
        assert_eq!(waiting.ask(&CALLER, commit(9)).unwrap_err(), ErrorCode::CoordinatorLoadInProgress);
    }
    busy.loads.add_permits(1);
    assert_eq!(committed_when_loaded(&second).await, [3]);
    busier.loads.add_permits(1);
    assert_eq!(committed_when_loaded(&third).await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_in_an_older_epoch_is_not_written() {
    let cell = cell();
    let shard = shard(&cell, &services(1));
    shard.ask(&CALLER, commit(1)).unwrap().answer().await.unwrap();
    lead(&cell, 1);
    let end = cell.inspect(PartitionLog::log_end_offset);
    assert_eq!(
        shard.ask(&CALLER, commit(2)).unwrap().answer().await,
        Err(ErrorCode::NotCoordinator)
    );
    assert_eq!(cell.inspect(PartitionLog::log_end_offset), end);
    assert_eq!(committed(&shard).await, Err(ErrorCode::NotCoordinator));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_without_groups_has_no_task_and_forgets_who_hangs_up() {
    let services = services(1);
    let shard = shard(&cell(), &services);
    let unknown = HeartbeatRequest {
        group_id: "g".to_string(),
        ..HeartbeatRequest::default()
    };
    shard
        .ask(&CALLER, GroupRequest::Heartbeat(unknown))
        .unwrap()
        .answer()
        .await
        .unwrap();
    assert_eq!(services.tasks.len(), 0);
    let join = JoinGroupRequest {
        group_id: "g".to_string(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_string(),
        protocols: vec![Default::default()],
        ..JoinGroupRequest::default()
    };
    // Before version 4 a member is given its id and joins in one.
    let caller = Caller { api_version: 3, ..CALLER };
    let waiting = |shard: &Shard| match &*shard.state.lock() {
        State::Active(active) => active.waiting.len(),
        _ => panic!("not active"),
    };
    let pending = shard.ask(&caller, GroupRequest::Join(join)).unwrap();
    assert_eq!((waiting(&shard), services.tasks.len()), (1, 1));
    drop(pending);
    assert_eq!(waiting(&shard), 0);
    shard.end();
    services.tasks.close();
    services.tasks.wait().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_panic_the_machine_is_thrown_away_and_loaded_again() {
    let cell = cell();
    let shard = shard(&cell, &services(1));
    let pending = shard.ask(&CALLER, commit(1)).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| shard.turn(|_, _| panic!("a defect"))));
    assert!(panicked.is_err());
    assert_eq!(committed(&shard).await, Err(ErrorCode::NotCoordinator));
    // It was appended before.
    pending.answer().await.unwrap();
    assert_eq!(committed_when_loaded(&shard).await, [1]);
}

/// As a Kafka that has transactions leaves them behind.
#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_a_transaction_count_once_it_has_been_committed() {
    let cell = cell();
    let append = |batch| {
        let context = ProduceContext {
            origin: AppendOrigin::Coordinator,
            leader_epoch: LeaderEpoch::NONE,
            acks: Acks::None,
            zstd_allowed: true,
            turned_away: None,
            now_ms: 1,
            now: tokio::time::Instant::now(),
            request_bytes: 0,
        };
        cell.append(batch, context, || unreachable!("nobody waits")).unwrap();
    };
    let record = |partition, offset| {
        let value = OffsetCommitValue {
            offset,
            ..OffsetCommitValue::default()
        };
        GroupRecord::OffsetCommit {
            group: "g".to_string(),
            topic: "t".to_string(),
            partition,
            value: Some(value),
        }
    };
    for (producer, committed) in [(7, Some(true)), (8, Some(false)), (9, None)] {
        let (key, value) = record(producer as i32, producer).encode();
        let mut batch = RecordBatchBuilder::new()
            .producer(ProducerId(producer), ProducerEpoch(0), 0)
            .transactional();
        batch.append(1, Some(&key), value.as_deref(), &[]);
        append(batch.build());
        if let Some(committed) = committed {
            let marker = EndTxnMarker {
                committed,
                coordinator_epoch: 0,
            };
            append(marker.to_batch(1, ProducerId(producer), ProducerEpoch(0), LeaderEpoch(0)));
        }
    }
    assert_eq!(committed_when_loaded(&shard(&cell, &services(1))).await, [7]);
}

#[tokio::test]
async fn members_of_all_shards_share_the_memory_of_the_broker() {
    use dohle_protocol::messages::join_group::JoinGroupRequestProtocol;
    let join = || {
        let protocol = JoinGroupRequestProtocol {
            name: "range".to_string(),
            ..JoinGroupRequestProtocol::default()
        };
        GroupRequest::Join(JoinGroupRequest {
            group_id: "g".to_string(),
            protocol_type: "consumer".to_string(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocols: vec![protocol],
            ..JoinGroupRequest::default()
        })
    };
    let caller = Caller { api_version: 3, ..CALLER };
    let services = services(1);
    let (full, ended) = (shard(&cell(), &services), shard(&cell(), &services));
    let _joining = ended.ask(&caller, join()).unwrap();
    let taken = services.member_bytes.load(Ordering::Relaxed);
    assert!(taken > 0);
    services
        .member_bytes
        .fetch_add(limits::GROUP_MEMBER_BYTES_MAX - taken, Ordering::Relaxed);
    let Ok(GroupResponse::Join(refused)) = full.ask(&caller, join()).unwrap().answer().await else {
        panic!("another answer");
    };
    assert_eq!(refused.error_code, ErrorCode::GroupMaxSizeReached.code());
    ended.end();
    assert_eq!(
        services.member_bytes.load(Ordering::Relaxed),
        limits::GROUP_MEMBER_BYTES_MAX - taken
    );
    let _joining = full.ask(&caller, join()).unwrap();
    assert_eq!(services.member_bytes.load(Ordering::Relaxed), limits::GROUP_MEMBER_BYTES_MAX);
}
