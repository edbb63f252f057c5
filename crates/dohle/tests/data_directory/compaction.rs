//! Compacted topics: cleaned while the node runs, stops and dies, and whole afterwards.
#![allow(clippy::disallowed_methods, reason = "a node is killed at some moment of its work")]

use crate::content::{files, records};
use crate::harness::{Connection, Node};
use bytes::Bytes;
use dohle_protocol::batch::batches;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_protocol::record::Record;
use std::collections::BTreeMap;
use std::time::Duration;

const NODE: &[&str] = &["log.cleaner.backoff.ms=1"];
/// Times of records are that far apart, so that each begins a segment.
const STEP_MS: i64 = 10_000;
const FIRST_MS: i64 = 1_700_000_000_000;
const TOPIC: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.ms", "1000"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("file.delete.delay.ms", "0"),
];

fn keyed(number: i64, key: &str) -> Bytes {
    fill(RecordBatchBuilder::new(), number, key)
}

fn fill(mut builder: RecordBatchBuilder, number: i64, key: &str) -> Bytes {
    builder.append(
        FIRST_MS + number * STEP_MS,
        Some(key.as_bytes()),
        Some(number.to_string().as_bytes()),
        &[],
    );
    builder.build()
}

fn read(connection: &mut Connection) -> Vec<Record> {
    let mut found: Vec<Record> = Vec::new();
    let mut next = 0;
    loop {
        let answer = connection.fetch("t", 0, next);
        assert_eq!(answer.error_code, 0);
        let bytes = answer.records.unwrap_or_default();
        let Some(last) = batches(bytes.clone()).map(|batch| batch.unwrap()).last() else {
            return found;
        };
        found.extend(records(&bytes));
        next = last.header.next_offset().0;
    }
}

fn offsets(connection: &mut Connection) -> Vec<i64> {
    read(connection).into_iter().map(|record| record.offset.0).collect()
}

fn wait_for(node: &Node, expected: &[i64]) {
    node.wait_until("cleaned", |node| offsets(&mut node.connect()) == expected);
}

#[test]
fn a_compacted_topic_keeps_the_last_record_of_each_key_across_restarts() {
    let mut node = Node::start(NODE);
    let mut connection = node.connect();
    connection.create_topic("t", 1, TOPIC);
    connection.create_topic("deleted", 1, &[("segment.ms", "1000")]);
    let producer = connection.producer_id();
    for number in 0..20 {
        let builder = RecordBatchBuilder::new().producer(ProducerId(producer), ProducerEpoch(0), number as i32);
        let answer = connection.produce("t", 0, fill(builder, number, &format!("key {}", number % 4)));
        assert_eq!((answer.error_code, answer.base_offset), (0, number));
        connection.produce("deleted", 0, keyed(number, "key"));
    }
    // The last segment is active; the record in it has replaced none yet.
    wait_for(&node, &[15, 16, 17, 18, 19]);
    assert_eq!(files(&node, "deleted", "log").len(), 20, "not compacted");
    let checkpoint = || std::fs::read_to_string(node.data().join("cleaner-offset-checkpoint")).unwrap();
    node.wait_until("the checkpoint", |_| checkpoint() == "0\n1\nt 0 19\n");
    for end in crate::content::End::BOTH {
        end.come_to(&mut node);
        node.start_again();
        assert_eq!(offsets(&mut node.connect()), [15, 16, 17, 18, 19], "{end:?}");
        assert!(!node.log().contains("rebuilding"), "{}", node.log());
    }
    // The producer is still known.
    let mut connection = node.connect();
    let produce = |connection: &mut Connection, number: i64| {
        let builder = RecordBatchBuilder::new().producer(ProducerId(producer), ProducerEpoch(0), number as i32);
        let answer = connection.produce("t", 0, fill(builder, number, "key 3"));
        (answer.error_code, answer.base_offset)
    };
    assert_eq!(produce(&mut connection, 19), (0, 19), "sent again");
    assert_eq!(produce(&mut connection, 30).0, 45);
    assert_eq!(produce(&mut connection, 20), (0, 20));
    wait_for(&node, &[16, 17, 18, 19, 20]);
}

#[test]
fn f14_a_node_that_is_killed_while_it_cleans_loses_nothing() {
    let mut node = Node::start(NODE);
    node.connect().create_topic("t", 1, TOPIC);
    let mut latest: BTreeMap<String, i64> = BTreeMap::new();
    let mut number = 0;
    for round in 0..12u64 {
        let mut connection = node.connect();
        for _ in 0..30 {
            let key = format!("key {}", number * number % 23);
            let answer = connection.produce("t", 0, keyed(number, &key));
            assert_eq!((answer.error_code, answer.base_offset), (0, number));
            latest.insert(key, number);
            number += 1;
        }
        std::thread::sleep(Duration::from_millis(round * 3 % 20));
        node.kill();
        node.start_again();
        let found = read(&mut node.connect());
        assert!(found.is_sorted_by_key(|record| record.offset), "round {round}");
        for record in &found {
            let value = record.offset.0.to_string();
            assert_eq!(record.value.as_deref(), Some(value.as_bytes()), "round {round}");
        }
        for (key, offset) in &latest {
            assert!(
                found.iter().any(|record| record.offset.0 == *offset),
                "round {round}: {key} at {offset} is missing"
            );
        }
    }
    let leftovers = |node: &Node| {
        let names = std::fs::read_dir(node.data().join("t-0")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".swap") || name.ends_with(".cleaned")).count()
    };
    // The active segment holds one record, which has not replaced the one of its key yet.
    node.wait_until("cleaned", |node| offsets(&mut node.connect()).len() <= latest.len() + 1);
    // The records show a round before its files have their last names, and another may follow.
    node.wait_until("without leftovers", |node| leftovers(node) == 0);
}

#[test]
fn a_log_that_cannot_be_cleaned_is_named_and_the_others_go_on() {
    let metrics = crate::harness::free_port();
    let listener = format!("metrics.listener=127.0.0.1:{metrics}");
    let mut node = Node::start(&["log.cleaner.backoff.ms=1", "log.cleaner.enable=false", &listener]);
    let mut connection = node.connect();
    for topic in ["t", "bad"] {
        connection.create_topic(topic, 1, TOPIC);
        for number in 0..10 {
            connection.produce(topic, 0, keyed(number, "key"));
        }
    }
    assert_eq!(offsets(&mut connection).len(), 10, "switched off");
    drop(connection);
    assert!(node.stop().success());
    let damaged = &files(&node, "bad", "log")[3];
    crate::content::rewrite(damaged, |bytes| bytes[70] ^= 1);
    node.set("log.cleaner.enable=true");
    node.start_again();
    wait_for(&node, &[8, 9]);
    node.wait_until("named", |node| node.log().contains("the log is not cleaned any more"));
    assert!(
        node.log()
            .lines()
            .any(|line| line.contains("not cleaned any more") && line.contains("bad") && line.contains("offset 3"))
    );
    // Counted when the round is over, which is after it is logged.
    for line in [
        "dohle_cleaner_uncleanable_partitions 1",
        "dohle_cleaner_removed_records_total 8",
        "dohle_cleaner_rounds_total 1",
    ] {
        node.wait_until(line, |_| scrape(metrics).lines().any(|found| found == line));
    }
    assert_eq!(files(&node, "bad", "log").len(), 10, "untouched");
}

fn scrape(port: u16) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
