//! Members in this process, so that it can be seen at every moment who owns what.

use crate::journal::Journal;
use crate::member::{Member, consumer};
use crate::{TOPIC, node_with_topic, produce, producer};
use dohle_client::TopicPartition;
use std::time::Duration;

const PARTITIONS: i32 = 12;

/// Members come and leave in order: nothing is read twice, nothing is left out, and at no moment a partition has two owners.
async fn a_clean_run_reads_each_record_once(strategy: &str) {
    const RECORDS: usize = 3_000;
    let node = node_with_topic(PARTITIONS);
    let setting = format!("partition.assignment.strategy={strategy}");
    let journal = Journal::new();
    let start = async |name| Member::start(name, &node, &journal, &[&setting]).await;
    let producer = producer(&node).await;
    let (a, b, c) = (start("a").await, start("b").await, start("c").await);
    produce(&producer, 0..RECORDS / 3).await;
    journal.wait_for_owners(12, &["a", "b", "c"]).await;
    let (d, e) = (start("d").await, start("e").await);
    produce(&producer, RECORDS / 3..RECORDS / 2).await;
    journal.wait_for_owners(12, &["a", "b", "c", "d", "e"]).await;
    a.leave().await;
    produce(&producer, RECORDS / 2..RECORDS).await;
    journal.wait_for_owners(12, &["b", "c", "d", "e"]).await;
    journal.wait_for_records(RECORDS).await;
    for member in [b, c, d, e] {
        member.leave().await;
    }
    journal.assert_each_was_read_once(RECORDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_run_reads_each_record_once_with_the_default_assignors() {
    a_clean_run_reads_each_record_once("range,cooperative-sticky").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_run_reads_each_record_once_with_round_robin() {
    a_clean_run_reads_each_record_once("roundrobin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_run_reads_each_record_once_with_sticky() {
    a_clean_run_reads_each_record_once("sticky").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_run_reads_each_record_once_with_cooperative_sticky() {
    a_clean_run_reads_each_record_once("cooperative-sticky").await;
}

/// A member dies, then the node, twice. Every record is read at least once, and in order.
#[tokio::test(flavor = "multi_thread")]
async fn the_others_take_over_from_the_dead_and_the_group_survives_its_node() {
    const RECORDS: usize = 2_000;
    let mut node = node_with_topic(PARTITIONS);
    let journal = Journal::new();
    let producer = producer(&node).await;
    let mut members = Vec::new();
    for name in ["a", "b", "c"] {
        members.push(Member::start(name, &node, &journal, &[]).await);
    }
    journal.wait_for_owners(12, &["a", "b", "c"]).await;
    produce(&producer, 0..RECORDS / 4).await;
    members.remove(0).die().await;
    journal.wait_for_owners(12, &["b", "c"]).await;
    produce(&producer, RECORDS / 4..RECORDS / 2).await;
    journal.wait_for_records(RECORDS / 2).await;
    for part in [RECORDS / 2..RECORDS * 3 / 4, RECORDS * 3 / 4..RECORDS] {
        node.kill();
        node.start_again();
        let end = part.end;
        produce(&producer, part).await;
        journal.wait_for_records(end).await;
        journal.wait_for_owners(12, &["b", "c"]).await;
    }
    for member in members {
        member.leave().await;
    }
    assert_eq!(journal.entries().read.len(), RECORDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_of_four_members_for_three_partitions_one_is_idle_without_an_error() {
    let node = node_with_topic(3);
    let journal = Journal::new();
    let producer = producer(&node).await;
    let mut members = Vec::new();
    for name in ["a", "b", "c", "d"] {
        members.push(Member::start(name, &node, &journal, &[]).await);
    }
    journal
        .wait_until("three of four own one each", |entries| {
            entries.owners.values().collect::<std::collections::BTreeSet<_>>().len() == 3
        })
        .await;
    produce(&producer, 0..100).await;
    journal.wait_for_records(100).await;
    for member in members {
        member.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_comes_back_soon_finds_its_partitions_and_disturbs_nobody() {
    let node = node_with_topic(4);
    let settings = ["group.instance.id=one", "session.timeout.ms=30000"];
    let mut first = consumer(&node, &settings).await;
    let mut other = consumer(&node, &["session.timeout.ms=30000"]).await;
    while first.assignment().len() != 2 || other.assignment().len() != 2 {
        first.poll(Duration::from_millis(20)).await.unwrap();
        other.poll(Duration::from_millis(20)).await.unwrap();
    }
    let (had, generation) = (first.assignment(), other.membership().unwrap().1);
    first.close(Duration::from_secs(10)).await.unwrap();
    let mut again = consumer(&node, &settings).await;
    while again.assignment().is_empty() {
        again.poll(Duration::from_millis(20)).await.unwrap();
    }
    for _ in 0..10 {
        other.poll(Duration::from_millis(50)).await.unwrap();
    }
    assert_eq!(again.assignment(), had);
    assert_eq!(other.membership().unwrap().1, generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_created_and_partitions_that_are_added_later_are_read() {
    let node = node_with_topic(1);
    let mut reading = consumer(&node, &["metadata.max.age.ms=200", "group.id=h"]).await;
    reading.subscribe_matching(|topic| topic.starts_with('t')).unwrap();
    while reading.assignment().len() != 1 {
        reading.poll(Duration::from_millis(50)).await.unwrap();
    }
    node.connect().create_topic("t2", 2, &[]);
    let expected = [
        TopicPartition::new(TOPIC, 0),
        TopicPartition::new("t2", 0),
        TopicPartition::new("t2", 1),
    ];
    while reading.assignment() != expected {
        reading.poll(Duration::from_millis(50)).await.unwrap();
    }
    reading.close(Duration::from_secs(10)).await.unwrap();
}
