//! What happens to the rest of a cluster when nodes end, in order or not.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use dohle_protocol::ErrorCode;
use dohle_storage::disk::Operation;
use tokio::time::timeout;

use crate::nodes::{Nodes, PATIENCE, assert_created, until};

const ALL: [i32; 3] = [1, 2, 3];

/// One that is not the controller, and one that is neither.
async fn others(nodes: &Nodes) -> (i32, i32, i32) {
    let controller = nodes.controller(1).await;
    let mut rest = ALL.into_iter().filter(|id| *id != controller);
    (controller, rest.next().unwrap(), rest.next().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_is_fenced_without_waiting_for_its_session() {
    let mut nodes = Nodes::of(&ALL);
    for id in ALL {
        nodes.set(id, "broker.session.timeout.ms", "60000");
    }
    nodes.start(&ALL).await;
    let (_, killed, other) = others(&nodes).await;
    until(ALL.to_vec(), async || nodes.brokers(other).await).await;
    let begun = Instant::now();
    nodes.kill(killed);
    let left: Vec<i32> = ALL.into_iter().filter(|id| *id != killed).collect();
    until(left, async || nodes.brokers(other).await).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    nodes.start(&[killed]).await;
    until(ALL.to_vec(), async || nodes.brokers(other).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_controller_is_killed_and_another_one_fences_it_and_decides() {
    let mut nodes = Nodes::of(&ALL);
    for id in ALL {
        nodes.set(id, "broker.session.timeout.ms", "60000");
    }
    nodes.start(&ALL).await;
    let (controller, one, other) = others(&nodes).await;
    until(ALL.to_vec(), async || nodes.brokers(one).await).await;
    nodes.kill(controller);
    assert_created(&nodes.create(one, "decided", 1, 2, 10_000).await);
    assert_created(&nodes.create(other, "decided-too", 1, 2, 10_000).await);
    let mut left = vec![one, other];
    left.sort_unstable();
    until(left, async || nodes.brokers(one).await).await;
    nodes.start(&[controller]).await;
    until(ALL.to_vec(), async || nodes.brokers(controller).await).await;
    assert_eq!(nodes.topics(controller).await, ["decided", "decided-too"]);
}

/// What it knows of the cluster would grow old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_a_node_whose_metadata_log_has_no_room_ends_and_starts_when_there_is_some() {
    let mut nodes = Nodes::of(&ALL);
    let disks = ALL.map(|id| nodes.give_disk(id));
    nodes.start(&ALL).await;
    until(ALL.to_vec(), async || nodes.brokers(1).await).await;
    let (_, full, other) = others(&nodes).await;
    let disk = &disks[full as usize - 1];
    let log = "__cluster_metadata-0/00000000000000000000.log";
    disk.fail(Operation::Write, log, ErrorKind::StorageFull, u64::MAX);
    assert_created(&nodes.create(other, "unheard", 1, 2, 10_000).await);
    let failure = timeout(PATIENCE, nodes.broker(full).failed()).await.expect("it goes on");
    assert!(failure.contains("__cluster_metadata-0"), "{failure}");
    nodes.kill(full);
    let refused = timeout(PATIENCE, nodes.try_start(full))
        .await
        .expect("it waits for ever")
        .unwrap_err();
    assert!(refused.to_string().contains("__cluster_metadata-0"), "{refused}");
    disk.clear_faults();
    nodes.start(&[full]).await;
    until(vec!["unheard".to_owned()], async || nodes.topics(full).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_back_before_it_was_missed_need_not_wait_for_its_session() {
    let mut nodes = Nodes::of(&ALL);
    for id in ALL {
        nodes.set(id, "broker.session.timeout.ms", "60000");
    }
    nodes.start(&ALL).await;
    let (controller, other, _) = others(&nodes).await;
    for killed in [other, controller] {
        nodes.kill(killed);
        let begun = Instant::now();
        nodes.start(&[killed]).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_metadata_are_read_and_changes_time_out_with_a_reason() {
    let mut nodes = Nodes::of(&ALL);
    nodes.start(&ALL).await;
    assert_created(&nodes.create(1, "before", 1, 3, 10_000).await);
    let (controller, one, left) = others(&nodes).await;
    nodes.kill(controller);
    nodes.kill(one);
    let begun = Instant::now();
    let refused = nodes.create(left, "never", 1, 1, 3_000).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(ErrorCode::from_code(refused.error_code), ErrorCode::RequestTimedOut);
    let message = refused.error_message.unwrap();
    assert!(
        message.contains("Of 3 controllers 1 can be reached") && message.contains("2 are a majority"),
        "{message}"
    );
    assert_eq!(nodes.topics(left).await, ["before"]);

    nodes.start(&[one]).await;
    assert_created(&nodes.create(left, "after", 1, 1, 10_000).await);
    assert_eq!(nodes.topics(left).await, ["after", "before"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_after_the_other_is_restarted_and_none_is_missed() {
    let mut nodes = Nodes::of(&ALL);
    nodes.start(&ALL).await;
    assert_created(&nodes.create(1, "kept", 3, 3, 10_000).await);
    for id in ALL {
        let other = if id == 1 { 2 } else { 1 };
        nodes.stop(&[id]).await;
        let left: Vec<i32> = ALL.into_iter().filter(|left| *left != id).collect();
        until(left, async || nodes.brokers(other).await).await;
        let topic = nodes.metadata(other).await.topics.remove(0);
        assert!(
            topic
                .partitions
                .iter()
                .all(|partition| partition.leader_id != id && partition.error_code == 0),
            "{topic:?}"
        );
        nodes.start(&[id]).await;
        until(ALL.to_vec(), async || nodes.brokers(other).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_waits_for_a_majority_for_as_long_as_it_takes() {
    let mut nodes = Nodes::of(&ALL);
    let alone = timeout(Duration::from_secs(2), nodes.try_start(1)).await;
    assert!(alone.is_err(), "one of three is no majority");
    nodes.start(&[1, 2]).await;
    assert_created(&nodes.create(2, "two-are-enough", 1, 2, 10_000).await);
    nodes.start(&[3]).await;
    assert_eq!(nodes.topics(3).await, ["two-are-enough"]);
}
