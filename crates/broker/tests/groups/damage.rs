//! A coordinator whose log cannot be written, or has been changed behind its back.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_storage::FaultyDisk;
use dohle_storage::disk::Operation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::groups_client::{AT_ONCE, Member, commit, committed, position, ready};
use crate::harness::{TestBroker, batch_of};

const LOG: &str = "/data/__consumer_offsets-0/00000000000000000000.log";

async fn open(disk: &FaultyDisk) -> TestBroker {
    let settings = [&[("log.dirs", "/data")], AT_ONCE].concat();
    TestBroker::open(Arc::new(disk.clone()), &settings).await
}

async fn start(disk: &FaultyDisk) -> TestBroker {
    let broker = open(disk).await;
    broker.create_test_topics().await;
    ready(&broker).await;
    broker
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_skipped_and_the_rest_is_served() {
    let disk = FaultyDisk::new();
    let broker = start(&disk).await;
    let mut client = broker.connect().await;
    let groups = ["before", "damaged", "behind", "far behind"];
    client.produce("t", 0, batch_of(&["record"; 10])).await;
    for (offset, group) in (1..).zip(groups) {
        assert_eq!(commit(&mut client, group, 0, offset).await, ErrorCode::None);
    }
    broker.shutdown().await;
    disk.tamper(Path::new(LOG), |bytes| {
        let at = bytes
            .windows(7)
            .position(|window| window == b"damaged")
            .expect("the name of the group");
        bytes[at] ^= 1;
    });
    let address = free_address().await;
    let settings = [AT_ONCE, &[("log.dirs", "/data"), ("metrics.listener", &address)]].concat();
    let broker = TestBroker::open(Arc::new(disk.clone()), &settings).await;
    let mut client = broker.connect().await;
    while committed(&mut client, "before").await == Err(ErrorCode::CoordinatorLoadInProgress) {}
    let mut found = Vec::new();
    for group in groups {
        found.push(position(&mut client, group).await);
    }
    assert_eq!(found, [1, -1, 3, 4]);
    assert_eq!(commit(&mut client, "damaged", 0, 7).await, ErrorCode::None);
    let log = crate::harness::log_text();
    assert!(
        log.lines()
            .any(|line| line.contains("skipped") && line.contains("shard=0 offset=1")),
        "{log}"
    );
    let metrics = scrape(&address).await;
    for line in [
        "dohle_group_skipped_records_total{shard=\"0\"} 1",
        "dohle_group_skipped_offset{shard=\"0\"} 1",
        "dohle_group_load_seconds_count 1",
        "dohle_group_offset_commits_total 1",
        "dohle_groups{state=\"Empty\"} 4",
        "dohle_group_lag{group=\"behind\",topic=\"t\",partition=\"0\"} 7",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_a_commit_is_refused_and_nothing_else_is_lost() {
    let disk = FaultyDisk::new();
    let broker = start(&disk).await;
    let mut member = Member::alone(&broker, "g").await;
    assert_eq!(member.commit(0, 1).await, ErrorCode::None);
    disk.set_free_bytes(Some(0));
    assert_eq!(member.commit(0, 2).await, ErrorCode::NotCoordinator);
    assert_eq!(position(&mut member.client, "g").await, 1);
    assert_eq!(member.heartbeat().await, ErrorCode::None);
    disk.set_free_bytes(None);
    assert_eq!(member.commit(0, 3).await, ErrorCode::None);
    assert_eq!(position(&mut member.client, "g").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_log_cannot_be_synced_nobody_is_told_what_may_be_lost() {
    let disk = FaultyDisk::new();
    let broker = start(&disk).await;
    let mut member = Member::alone(&broker, "g").await;
    assert_eq!(member.commit(0, 1).await, ErrorCode::None);
    disk.fail(Operation::Sync, "__consumer_offsets", ErrorKind::Other, u64::MAX);
    assert_eq!(member.commit(0, 2).await, ErrorCode::NotCoordinator);
    // The offset that may be lost is not told to anybody, and the one before is not told for it.
    assert_eq!(committed(&mut member.client, "g").await, Err(ErrorCode::NotCoordinator));
    assert_eq!(member.commit(0, 3).await, ErrorCode::NotCoordinator);
    drop(broker);
    let broker = open(&disk.crash(3)).await;
    let mut client = broker.connect().await;
    while committed(&mut client, "g").await == Err(ErrorCode::CoordinatorLoadInProgress) {}
    assert!([1, 2].contains(&position(&mut client, "g").await));
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

async fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
