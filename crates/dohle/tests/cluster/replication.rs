//! Partitions on several nodes: what is acknowledged, what is left when nodes are gone, and what comes back.

use std::io::ErrorKind;
use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use dohle_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use dohle_storage::disk::Operation;

use crate::log::{Log, NONE};
use crate::nodes::{Nodes, until};

const ALL: [i32; 3] = [1, 2, 3];

async fn started() -> Nodes {
    let mut nodes = Nodes::of(&ALL);
    nodes.start(&ALL).await;
    until(ALL.to_vec(), async || nodes.brokers(1).await).await;
    nodes
}

fn values(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// The two that are not `id`.
fn rest(id: i32) -> [i32; 2] {
    let mut rest = ALL.into_iter().filter(|other| *other != id);
    [rest.next().unwrap(), rest.next().unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_all_acknowledge_is_on_all_of_them() {
    let nodes = started().await;
    let log = Log::create(&nodes, 1, "t", 3, &[]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    let leader = log.leader(&nodes, 1).await;
    let written = values("v", 30);
    for (number, value) in written.iter().enumerate() {
        let answer = log.produce(&nodes, leader, -1, value).await;
        assert_eq!((answer.error_code, answer.base_offset), (NONE, number as i64));
    }
    for id in ALL {
        // A follower knows a little later what is committed.
        until(written.clone(), async || log.read(&nodes, id).await).await;
    }
    // Who does not lead says so, and who does.
    let refused = log.produce(&nodes, rest(leader)[0], -1, "nobody").await;
    assert_eq!(ErrorCode::from_code(refused.error_code), ErrorCode::NotLeaderOrFollower);
    assert_eq!(refused.current_leader.leader_id, leader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_without_a_replica_says_who_leads() {
    let nodes = started().await;
    let log = Log::create(&nodes, 1, "elsewhere", 1, &[]).await;
    let leader = log.leader(&nodes, 1).await;
    for other in rest(leader) {
        let refused = log.produce(&nodes, other, 1, "x").await;
        assert_eq!(ErrorCode::from_code(refused.error_code), ErrorCode::NotLeaderOrFollower);
        let refused = log.fetch(&nodes, other, 0, "").await;
        assert_eq!(ErrorCode::from_code(refused.error_code), ErrorCode::NotLeaderOrFollower);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed_and_nothing_acknowledged_is_lost() {
    let mut nodes = started().await;
    let log = Log::create(&nodes, 1, "t", 3, &[("min.insync.replicas", "2")]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    let mut written = Vec::new();
    for round in 0..2 {
        let leader = log.leader(&nodes, 1 + round).await;
        for value in values(&format!("round-{round}"), 10) {
            let answer = log.produce(&nodes, leader, -1, &value).await;
            assert_eq!(answer.error_code, NONE);
            written.push(value);
        }
        nodes.kill(leader);
        let witness = rest(leader)[0];
        until(true, async || ![-1, leader].contains(&log.leader(&nodes, witness).await)).await;
        let next = log.leader(&nodes, witness).await;
        let answer = log.produce_until_led(&nodes, next, "after").await;
        assert_eq!(answer.error_code, NONE);
        written.push("after".to_owned());
        assert_eq!(log.read(&nodes, next).await, written);
        nodes.start(&[leader]).await;
        until(ALL.to_vec(), async || log.isr(&nodes, witness).await).await;
    }
    for id in ALL {
        until(written.clone(), async || log.read(&nodes, id).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_comes_back_cuts_what_nobody_else_has() {
    const CONTROLLER: i32 = 4;
    let mut nodes = Nodes::with_roles(&[CONTROLLER], "controller");
    ALL.iter().for_each(|id| nodes.add_broker(*id));
    nodes.start(&[&ALL[..], &[CONTROLLER]].concat()).await;
    until(ALL.to_vec(), async || nodes.brokers(1).await).await;
    let log = Log::create(&nodes, 1, "t", 3, &[]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    let leader = log.leader(&nodes, 1).await;
    assert_eq!(log.produce(&nodes, leader, -1, "kept").await.error_code, NONE);
    let others = rest(leader);
    // Without a controller nobody leaves the replicas in sync. Those that stop in order are trusted when they are back.
    nodes.kill(CONTROLLER);
    nodes.stop(&others).await;
    for value in values("cut", 5) {
        assert_eq!(log.produce(&nodes, leader, 1, &value).await.error_code, NONE);
    }
    nodes.kill(leader);
    nodes.start(&[&others[..], &[CONTROLLER]].concat()).await;
    until(true, async || others.contains(&log.leader(&nodes, others[0]).await)).await;
    let next = log.leader(&nodes, others[0]).await;
    assert_eq!(log.produce_until_led(&nodes, next, "instead").await.error_code, NONE);
    nodes.start(&[leader]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, next).await).await;
    for id in ALL {
        until(vec!["kept".to_owned(), "instead".to_owned()], async || log.read(&nodes, id).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_too_few_in_sync_nothing_is_acknowledged_by_all() {
    let mut nodes = Nodes::of(&[1]);
    nodes.add_broker(2);
    nodes.add_broker(3);
    nodes.start(&ALL).await;
    until(ALL.to_vec(), async || nodes.brokers(1).await).await;
    let log = Log::create(&nodes, 1, "t", 3, &[("min.insync.replicas", "2")]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    nodes.kill(2);
    nodes.kill(3);
    until((1, vec![1]), async || (log.leader(&nodes, 1).await, log.isr(&nodes, 1).await)).await;
    until(ErrorCode::NotEnoughReplicas, async || {
        ErrorCode::from_code(log.produce(&nodes, 1, -1, "refused").await.error_code)
    })
    .await;
    assert_eq!(log.produce(&nodes, 1, 1, "one").await.error_code, NONE);
    assert!(log.read(&nodes, 1).await.is_empty(), "nothing is committed by fewer than two");
    nodes.start(&[2]).await;
    until(vec![1, 2], async || log.isr(&nodes, 1).await).await;
    assert_eq!(log.produce(&nodes, 1, -1, "two").await.error_code, NONE);
    assert_eq!(log.read(&nodes, 1).await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_flush_policy_commit_followers_sync_before_they_count() {
    let mut nodes = started().await;
    let log = Log::create(&nodes, 1, "t", 3, &[("flush.policy", "commit")]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    let leader = log.leader(&nodes, 1).await;
    let written = values("v", 10);
    for value in &written {
        assert_eq!(log.produce(&nodes, leader, -1, value).await.error_code, NONE);
    }
    ALL.iter().for_each(|id| nodes.kill(*id));
    nodes.start(&ALL).await;
    until(true, async || log.leader(&nodes, 1).await != -1).await;
    let leader = log.leader(&nodes, 1).await;
    until(written, async || log.read(&nodes, leader).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_fails_makes_room_for_another() {
    let mut nodes = Nodes::of(&ALL);
    let disks = ALL.map(|id| nodes.give_disk(id));
    nodes.start(&ALL).await;
    until(ALL.to_vec(), async || nodes.brokers(1).await).await;
    let log = Log::create(&nodes, 1, "t", 3, &[("flush.policy", "commit"), ("min.insync.replicas", "2")]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    let leader = log.leader(&nodes, 1).await;
    assert_eq!(log.produce(&nodes, leader, -1, "before").await.error_code, NONE);
    disks[leader as usize - 1].fail(Operation::Sync, "t-0", ErrorKind::Other, 1);
    let refused = log.produce(&nodes, leader, -1, "in doubt").await;
    assert_ne!(refused.error_code, NONE);
    let others = rest(leader);
    until(others.to_vec(), async || log.isr(&nodes, others[0]).await).await;
    let next = log.leader(&nodes, others[0]).await;
    assert!(others.contains(&next), "{next}");
    assert_eq!(log.produce_until_led(&nodes, next, "after").await.error_code, NONE);
    let mut read = log.read(&nodes, next).await;
    read.retain(|value| value != "in doubt");
    assert_eq!(read, ["before", "after"]);
    // With its disk it comes back.
    nodes.kill(leader);
    nodes.start(&[leader]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, next).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_is_full_makes_room_for_another_until_it_has_room_itself() {
    let mut nodes = Nodes::of(&ALL);
    let disks = ALL.map(|id| nodes.give_disk(id));
    nodes.start(&ALL).await;
    until(ALL.to_vec(), async || nodes.brokers(1).await).await;
    let log = Log::create(&nodes, 1, "t", 3, &[("min.insync.replicas", "2")]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    let leader = log.leader(&nodes, 1).await;
    let full = &disks[leader as usize - 1];
    full.fail(Operation::Write, "t-0", ErrorKind::StorageFull, u64::MAX);
    let refused = log.produce(&nodes, leader, -1, "no room").await;
    assert_eq!(ErrorCode::from_code(refused.error_code), ErrorCode::KafkaStorageError);
    let others = rest(leader);
    until(others.to_vec(), async || log.isr(&nodes, others[0]).await).await;
    let next = log.leader(&nodes, others[0]).await;
    assert!(others.contains(&next), "{next}");
    assert_eq!(log.produce_until_led(&nodes, next, "room").await.error_code, NONE);
    full.clear_faults();
    until(ALL.to_vec(), async || log.isr(&nodes, next).await).await;
    assert_eq!(log.read(&nodes, next).await, ["room"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_broker_with_a_full_disk_has_is_still_read_there() {
    let mut nodes = Nodes::of(&ALL);
    let disks = ALL.map(|id| nodes.give_disk(id));
    nodes.start(&ALL).await;
    until(ALL.to_vec(), async || nodes.brokers(1).await).await;
    let log = Log::create(&nodes, 1, "t", 1, &[]).await;
    let leader = log.leader(&nodes, 1).await;
    assert_eq!(log.produce(&nodes, leader, -1, "kept").await.error_code, NONE);
    disks[leader as usize - 1].fail(Operation::Write, "t-0", ErrorKind::StorageFull, u64::MAX);
    // Long enough for several heartbeats.
    for _ in 0..20 {
        let refused = log.produce(&nodes, leader, -1, "no room").await;
        assert_eq!(ErrorCode::from_code(refused.error_code), ErrorCode::KafkaStorageError);
        assert_eq!(log.read(&nodes, leader).await, ["kept"]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(log.leader(&nodes, rest(leader)[0]).await, leader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_moves_to_other_brokers_with_its_records() {
    let nodes = started().await;
    let log = Log::create(&nodes, 1, "moves", 1, &[]).await;
    let from = log.leader(&nodes, 1).await;
    let written = values("v", 20);
    for value in &written {
        assert_eq!(log.produce(&nodes, from, -1, value).await.error_code, NONE);
    }
    let dir = nodes.dir(from).join("moves-0");
    assert!(dir.exists());
    let to = rest(from);
    let partition = ReassignablePartition {
        replicas: Some(to.to_vec()),
        ..ReassignablePartition::default()
    };
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: 10_000,
        topics: vec![ReassignableTopic {
            name: "moves".to_owned(),
            partitions: vec![partition],
            ..ReassignableTopic::default()
        }],
        ..AlterPartitionReassignmentsRequest::default()
    };
    let answer = nodes.ask(1, &request).await;
    assert_eq!(answer.error_code, NONE, "{answer:?}");
    until(to.to_vec(), async || log.replicas(&nodes, 1).await).await;
    until(true, async || to.contains(&log.leader(&nodes, 1).await)).await;
    for id in to {
        until(written.clone(), async || log.read(&nodes, id).await).await;
    }
    until(false, async || dir.exists()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_deleted_on_all_replicas() {
    let nodes = started().await;
    let log = Log::create(&nodes, 1, "t", 3, &[]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    let leader = log.leader(&nodes, 1).await;
    for value in values("v", 4) {
        assert_eq!(log.produce(&nodes, leader, -1, &value).await.error_code, NONE);
    }
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".to_owned(),
            partitions: vec![DeleteRecordsPartition {
                offset: 3,
                ..DeleteRecordsPartition::default()
            }],
            ..DeleteRecordsTopic::default()
        }],
        timeout_ms: 10_000,
        ..DeleteRecordsRequest::default()
    };
    let answer = nodes.ask(leader, &request).await.topics.remove(0).partitions.remove(0);
    assert_eq!((answer.error_code, answer.low_watermark), (NONE, 3));
    for id in rest(leader) {
        assert_eq!(log.fetch(&nodes, id, 3, "").await.log_start_offset, 3, "before the answer left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kip_392_a_consumer_is_sent_to_the_replica_in_its_rack() {
    let mut nodes = Nodes::of(&ALL);
    for id in ALL {
        nodes.set(id, "broker.rack", &format!("rack-{id}"));
        nodes.set(
            id,
            "replica.selector.class",
            "org.apache.kafka.common.replica.RackAwareReplicaSelector",
        );
    }
    nodes.start(&ALL).await;
    until(ALL.to_vec(), async || nodes.brokers(1).await).await;
    let log = Log::create(&nodes, 1, "t", 3, &[]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    let leader = log.leader(&nodes, 1).await;
    assert_eq!(log.produce(&nodes, leader, -1, "v").await.error_code, NONE);
    for id in rest(leader) {
        let sent = log.fetch(&nodes, leader, 0, &format!("rack-{id}")).await;
        assert_eq!((sent.error_code, sent.preferred_read_replica), (NONE, id));
        until(vec!["v".to_owned()], async || log.read(&nodes, id).await).await;
    }
    let served = log.fetch(&nodes, leader, 0, &format!("rack-{leader}")).await;
    assert_eq!(served.preferred_read_replica, -1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_finds_its_offsets_at_the_next_coordinator() {
    let mut nodes = started().await;
    let log = Log::create(&nodes, 1, "t", 3, &[]).await;
    until(true, async || log.coordinator(&nodes, 1, "g").await.is_some()).await;
    let coordinator = log.coordinator(&nodes, 1, "g").await.unwrap();
    until(NONE, async || log.commit(&nodes, coordinator, "g", 42).await).await;
    nodes.kill(coordinator);
    let witness = rest(coordinator)[0];
    let next = async || log.coordinator(&nodes, witness, "g").await.filter(|id| *id != coordinator);
    until(true, async || next().await.is_some()).await;
    until(Some(42), async || {
        let id = next().await?;
        log.committed(&nodes, id, "g").await
    })
    .await;
}
