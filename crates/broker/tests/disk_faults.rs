//! Disks that fail, fill up, or lose what was not synced, seen from a client.

mod harness;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::delete_topics::DeleteTopicsRequest;
use dohle_protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use dohle_storage::FaultyDisk;
use dohle_storage::disk::Operation;
use harness::*;

const DIR: (&str, &str) = ("log.dirs", "/data");

async fn start(disk: &FaultyDisk) -> TestBroker {
    let broker = TestBroker::open(Arc::new(disk.clone()), &[DIR]).await;
    broker.create_test_topics().await;
    broker
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_power_cut_at_any_moment() {
    for seed in 0..10 {
        let disk = FaultyDisk::new();
        let broker = start(&disk).await;
        let mut client = broker.connect().await;
        let mut acknowledged = Vec::new();
        for number in 0..5 + seed {
            let value = format!("{number}");
            let acks = if number % 2 == 0 { 1 } else { -1 };
            let written = client
                .produce_with(9, &produce_request(acks, "t", 0, Some(batch_of(&[&value]))))
                .await;
            assert_eq!(written.error_code, 0);
            acknowledged.push(value);
        }
        // Written, and perhaps not synced when the power goes.
        client.send(9, &produce_request(-1, "t", 0, Some(batch_of(&["in doubt"])))).await;
        let crashed = disk.crash(seed);
        drop(broker);
        let broker = TestBroker::open(Arc::new(crashed), &[DIR]).await;
        let read = broker.connect().await.fetch("t", 0, 0).await;
        assert_eq!(error_of(read.error_code), ErrorCode::None);
        let mut found = values(read.records.unwrap());
        found.retain(|value| value != "in doubt");
        assert_eq!(found, acknowledged, "seed {seed}");
        broker.canary().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_topic_of_an_old_name_begins_at_0_and_stays_whole_in_a_power_cut() {
    let disk = FaultyDisk::new();
    let broker = start(&disk).await;
    let mut client = broker.connect().await;
    let values_of = |generation: &str| (0..5).map(|number| format!("{generation}{number}")).collect::<Vec<_>>();
    for value in values_of("old") {
        assert_eq!(client.produce("t", 0, batch_of(&[&value])).await.error_code, 0);
    }
    let deleted = client.call(2, &delete_records_request("t", 3)).await;
    assert_eq!(deleted.topics[0].partitions[0].error_code, 0);
    let request = DeleteTopicsRequest {
        topic_names: vec!["t".to_string()],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    assert_eq!(client.call(5, &request).await.responses[0].error_code, 0);
    broker.create_topic("t", 1, &[]).await;
    for value in values_of("new") {
        assert_eq!(client.produce("t", 0, batch_of(&[&value])).await.error_code, 0);
    }
    let crashed = disk.crash(1);
    drop(broker);
    let broker = TestBroker::open(Arc::new(crashed), &[DIR]).await;
    let mut client = broker.connect().await;
    assert_eq!(client.list_offset(7, "t", 0, -2).await.1, 0);
    assert_eq!(values(client.fetch("t", 0, 0).await.records.unwrap()), values_of("new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_interval_records_are_synced_a_little_later() {
    let disk = FaultyDisk::new();
    let broker = start(&disk).await;
    broker
        .create_topic("interval", 1, &[("flush.policy", "interval"), ("flush.ms", "50")])
        .await;
    let mut client = broker.connect().await;
    assert_eq!(client.produce("interval", 0, batch_of(&["x"])).await.error_code, 0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let crashed = disk.crash(1);
    drop(broker);
    let broker = TestBroker::open(Arc::new(crashed), &[DIR]).await;
    assert_eq!(values(broker.connect().await.fetch("interval", 0, 0).await.records.unwrap()), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_acknowledged_any_more_and_what_was_can_be_read() {
    let disk = FaultyDisk::new();
    let broker = start(&disk).await;
    let mut client = broker.connect().await;
    assert_eq!(client.produce("t", 0, batch_of(&["kept"])).await.error_code, 0);
    disk.fail(Operation::Sync, "t-0", ErrorKind::Other, 1);
    assert_eq!(
        error_of(client.produce("t", 0, batch_of(&["lost"])).await.error_code),
        ErrorCode::KafkaStorageError
    );
    // The disk would work again, but what it has forgotten meanwhile nobody knows.
    for partition in [0, 1] {
        assert_eq!(
            error_of(client.produce("t", partition, batch_of(&["x"])).await.error_code),
            ErrorCode::KafkaStorageError
        );
    }
    let read = client.fetch("t", 0, 0).await;
    assert_eq!((read.high_watermark, values(read.records.unwrap())), (1, vec!["kept".to_string()]));
    let described = client.call(4, &DescribeLogDirsRequest::default()).await;
    assert_eq!(error_of(described.results[0].error_code), ErrorCode::KafkaStorageError);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_records_until_there_is_room_again() {
    let disk = FaultyDisk::new();
    let broker = start(&disk).await;
    let mut client = broker.connect().await;
    assert_eq!(client.produce("t", 0, batch_of(&["a"])).await.error_code, 0);
    disk.set_free_bytes(Some(0));
    assert_eq!(
        error_of(client.produce("t", 0, batch_of(&["b"])).await.error_code),
        ErrorCode::KafkaStorageError
    );
    assert_eq!(values(client.fetch("t", 0, 0).await.records.unwrap()), ["a"]);
    disk.set_free_bytes(None);
    assert_eq!(client.produce("t", 0, batch_of(&["c"])).await.base_offset, 1);
    assert_eq!(values(client.fetch("t", 0, 0).await.records.unwrap()), ["a", "c"]);
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_spread_over_directories_and_one_may_be_missing_at_the_start() {
    let disk = FaultyDisk::new();
    let dirs = [("log.dirs", "/one,/two")];
    let broker = TestBroker::open(Arc::new(disk.clone()), &dirs).await;
    broker.create_test_topics().await;
    broker.create_topic("many", 6, &[]).await;
    let mut client = broker.connect().await;
    for partition in 0..6 {
        assert_eq!(client.produce("many", partition, batch_of(&["x"])).await.error_code, 0);
    }
    let described = client.call(4, &DescribeLogDirsRequest::default()).await;
    let held = described
        .results
        .iter()
        .map(|dir| dir.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>());
    let held: Vec<usize> = held.collect();
    assert!(held.len() == 2 && held[0].abs_diff(held[1]) <= 1, "{held:?}");
    broker.shutdown().await;

    disk.fail(Operation::Open, "/two", ErrorKind::PermissionDenied, u64::MAX);
    disk.fail(Operation::Read, "/two", ErrorKind::PermissionDenied, u64::MAX);
    disk.fail(Operation::Write, "/two", ErrorKind::PermissionDenied, u64::MAX);
    let broker = TestBroker::open(Arc::new(disk.clone()), &dirs).await;
    let mut client = broker.connect().await;
    let mut outcomes = Vec::new();
    for partition in 0..6 {
        outcomes.push(error_of(client.produce("many", partition, batch_of(&["y"])).await.error_code));
    }
    outcomes.sort_by_key(|error| error.code());
    assert_eq!(outcomes, [[ErrorCode::None; 3], [ErrorCode::KafkaStorageError; 3]].concat());
    broker.create_topic("new", 1, &[]).await;
    assert_eq!(
        client.produce("new", 0, batch_of(&["z"])).await.error_code,
        0,
        "new partitions go where there is a directory"
    );
}
