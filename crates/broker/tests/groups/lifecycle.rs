//! Brokers that end and begin again: groups and offsets are what they were.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::list_groups::ListGroupsRequest;
use dohle_protocol::messages::offset_commit::OffsetCommitRequest;
use dohle_storage::FaultyDisk;

use crate::groups_client::{AT_ONCE, Member, commit, commit_request, committed, describe, position, ready, start};
use crate::harness::TestBroker;

/// Returns when all groups are loaded.
async fn loaded(broker: &TestBroker) {
    let mut client = broker.connect().await;
    while client.call(5, &ListGroupsRequest::default()).await.error_code == ErrorCode::CoordinatorLoadInProgress.code() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn members_go_on_after_a_restart_without_joining_again() {
    let broker = start().await;
    let mut member = Member::alone(&broker, "g").await;
    assert_eq!(member.commit(0, 11).await, ErrorCode::None);
    let broker = broker.restart().await;
    member.client = broker.connect().await;
    // Trap 44 and Kafka: nobody is thrown out while groups are loaded.
    assert_eq!(member.heartbeat().await, ErrorCode::None);
    loaded(&broker).await;
    assert_eq!(member.heartbeat().await, ErrorCode::None);
    assert_eq!(position(&mut member.client, "g").await, 11);
    assert_eq!(member.commit(0, 12).await, ErrorCode::None);
    let described = describe(&mut member.client, "g").await;
    assert_eq!(described.group_state, "Stable");
    assert_eq!(described.members[0].member_assignment, "everything");
    let stale = HeartbeatRequest {
        group_id: "g".to_string(),
        generation_id: 0,
        member_id: member.id.clone(),
        ..HeartbeatRequest::default()
    };
    assert_eq!(member.client.call(4, &stale).await.error_code, ErrorCode::IllegalGeneration.code());
    assert_eq!(member.join().await.generation_id, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_survives_a_power_cut() {
    for seed in 0..5 {
        let disk = FaultyDisk::new();
        let settings = [&[("log.dirs", "/data")], AT_ONCE].concat();
        let broker = TestBroker::open(Arc::new(disk.clone()), &settings).await;
        broker.create_test_topics().await;
        ready(&broker).await;
        let mut member = Member::alone(&broker, "g").await;
        for offset in 0..=seed {
            assert_eq!(member.commit(0, offset as i64).await, ErrorCode::None);
        }
        // Perhaps in the log, perhaps not.
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: 1,
            member_id: member.id.clone(),
            ..commit_request("g", &[("t", 0, 100, "")])
        };
        member.client.send(9, &request).await;
        let crashed = disk.crash(seed);
        drop(broker);
        let broker = TestBroker::open(Arc::new(crashed), &settings).await;
        loaded(&broker).await;
        let mut client = broker.connect().await;
        let found = position(&mut client, "g").await;
        assert!(found == seed as i64 || found == 100, "seed {seed}: {found}");
        member.client = client;
        assert_eq!(member.heartbeat().await, ErrorCode::None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_groups_with_ten_offsets_each_are_loaded_soon() {
    let broker = TestBroker::start_with(&[]).await;
    broker.create_topic("wide", 10, &[]).await;
    ready(&broker).await;
    let mut client = broker.connect().await;
    let offsets: Vec<(&str, i32, i64, &str)> = (0..10).map(|partition| ("wide", partition, 5, "")).collect();
    for block in 0..20 {
        let mut sent = Vec::new();
        for number in 0..50 {
            sent.push(client.send(9, &commit_request(&format!("group {block} {number}"), &offsets)).await);
        }
        for id in sent {
            client.receive::<OffsetCommitRequest>(9, id).await;
        }
    }
    let broker = broker.restart().await;
    let begun = Instant::now();
    loaded(&broker).await;
    let mut client = broker.connect().await;
    for block in 0..20 {
        assert_eq!(committed(&mut client, &format!("group {block} 49")).await.unwrap().len(), 10);
    }
    // A second in a build with optimisations; this is without, on a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    println!("1000 groups with 10000 offsets: {:?}", begun.elapsed());
    assert_eq!(commit(&mut client, "another", 0, 1).await, ErrorCode::None);
}
