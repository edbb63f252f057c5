//! Idempotent producers whose batches are turned away and come again: each record is written once, in order, and no gap is reported that
//! the producer has not made.

use dohle_protocol::ErrorCode;
use dohle_protocol::ErrorCode::{KafkaStorageError, NotLeaderOrFollower, OutOfOrderSequenceNumber, UnknownTopicOrPartition};

use crate::log::Log;
use crate::nodes::{Nodes, until};

const ALL: [i32; 3] = [1, 2, 3];
const PRODUCER: i64 = 5;
const NONE: ErrorCode = ErrorCode::None;

/// A client that has several batches on the way to a broker that is about to lead: the first one comes too early, the second one does not.
async fn leader_changes_between(first_known: bool) {
    let mut nodes = Nodes::of(&ALL);
    nodes.start(&ALL).await;
    until(ALL.to_vec(), async || nodes.brokers(1).await).await;
    let log = Log::create(&nodes, 1, "t", 3, &[]).await;
    until(ALL.to_vec(), async || log.isr(&nodes, 1).await).await;
    let leader = log.leader(&nodes, 1).await;
    let produce = async |nodes: &Nodes, id: i32, sequence: i32| log.produce_numbered(nodes, id, PRODUCER, sequence).await;
    let early = if first_known {
        assert_eq!(produce(&nodes, leader, 0).await, NONE);
        1
    } else {
        0
    };
    for follower in ALL.into_iter().filter(|id| *id != leader) {
        assert_eq!(produce(&nodes, follower, early).await, NotLeaderOrFollower);
    }
    nodes.kill(leader);
    let witness = ALL.into_iter().find(|id| *id != leader).unwrap();
    until(true, async || ![-1, leader].contains(&log.leader(&nodes, witness).await)).await;
    let next = log.leader(&nodes, witness).await;
    // When another producer is heard, this one is, too.
    until(NONE, async || log.produce_numbered(&nodes, next, PRODUCER + 1, 0).await).await;
    for late in [early + 1, early + 2] {
        assert_eq!(produce(&nodes, next, late).await, NotLeaderOrFollower);
    }
    for again in early..early + 3 {
        assert_eq!(produce(&nodes, next, again).await, NONE);
    }
    let written: Vec<String> = (0..early + 3).map(|sequence| sequence.to_string()).collect();
    let mut read = log.read(&nodes, next).await;
    // The other producer's.
    read.remove(early as usize);
    assert_eq!(read, written);
    assert_eq!(
        produce(&nodes, next, early + 5).await,
        OutOfOrderSequenceNumber,
        "a gap that nobody else has made"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_a_batch_that_came_before_its_broker_led_is_no_gap() {
    leader_changes_between(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_batch_of_a_producer_is_not_overtaken_while_leaders_change() {
    leader_changes_between(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_batch_of_a_producer_is_not_overtaken_while_its_topic_is_made() {
    let mut nodes = Nodes::of(&[1]);
    nodes.start(&[1]).await;
    let produce = async |log: &Log, sequence: i32| log.produce_numbered(&nodes, 1, PRODUCER, sequence).await;
    let other = Log::create(&nodes, 1, "other", 1, &[]).await;
    let later = Log::named("later");
    assert_eq!(produce(&later, 0).await, UnknownTopicOrPartition);
    let later = Log::create(&nodes, 1, "later", 1, &[]).await;
    assert_eq!(produce(&later, 1).await, UnknownTopicOrPartition);
    // Of a producer that was not turned away any number is taken (KIP-360), and so it is elsewhere.
    assert_eq!(produce(&other, 1).await, NONE);
    assert_eq!(produce(&later, 0).await, NONE);
    assert_eq!(produce(&later, 1).await, NONE);
    assert_eq!(later.read(&nodes, 1).await, ["0", "1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_what_follows_a_batch_that_found_no_room_is_no_gap() {
    let mut nodes = Nodes::of(&[1]);
    let disk = nodes.give_disk(1);
    nodes.start(&[1]).await;
    let log = Log::create(&nodes, 1, "t", 1, &[]).await;
    let produce = async |producer_id: i64, sequence: i32| log.produce_numbered(&nodes, 1, producer_id, sequence).await;
    for producer_id in [PRODUCER, PRODUCER + 1] {
        assert_eq!(produce(producer_id, 0).await, NONE);
    }
    disk.set_free_bytes(Some(0));
    assert_eq!(produce(PRODUCER, 1).await, KafkaStorageError);
    disk.set_free_bytes(None);
    assert_eq!(produce(PRODUCER, 2).await, KafkaStorageError);
    assert_eq!(produce(PRODUCER + 1, 2).await, OutOfOrderSequenceNumber);
    for sequence in [1, 2] {
        until(NONE, async || produce(PRODUCER, sequence).await).await;
    }
    assert_eq!(produce(PRODUCER, 4).await, OutOfOrderSequenceNumber);
}
