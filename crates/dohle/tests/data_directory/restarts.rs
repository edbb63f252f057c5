//! What a stop, a kill and a start leave of a healthy node.

use crate::content::{Content, End, RECORDS, one_record, read_all};
use crate::harness::{EARLIEST, Node, fetch_request};
use dohle_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

#[test]
fn sigterm_ends_well_and_leaves_the_marker_for_one_start() {
    let mut node = Node::start(&[]);
    let content = Content::write(&mut node.connect(), "t");
    let marker = node.data().join(CLEAN_SHUTDOWN);
    assert!(!marker.exists());
    assert_eq!(node.stop().code(), Some(0), "{}", node.log());
    assert!(marker.exists());
    node.start_again();
    assert!(!marker.exists(), "the marker would survive a crash");
    content.assert_readable(&mut node.connect(), "t", 0, RECORDS);
    node.kill();
    assert!(!marker.exists());
}

#[test]
fn sigterm_does_not_wait_for_long_polls() {
    let mut node = Node::start(&[]);
    let mut connection = node.connect();
    connection.create_topic("t", 1, &[]);
    let mut waiting = fetch_request("t", 0, 0);
    (waiting.max_wait_ms, waiting.min_bytes) = (600_000, 1);
    connection.send(12, &waiting).unwrap();
    // Answered after the fetch was begun: requests of a connection are begun in order.
    node.connect().list_offset("t", 0, EARLIEST);
    let began = Instant::now();
    assert_eq!(node.stop().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// A client that does not take its answers holds up the end for some seconds; a second signal does not wait for that.
#[test]
fn a_second_sigterm_ends_the_process_at_once() {
    let mut node = Node::start(&[]);
    let content = Content::write(&mut node.connect(), "t");
    let mut deaf = node.connect();
    for _ in 0..60 {
        deaf.send(12, &fetch_request("t", 0, 0)).unwrap();
    }
    node.connect().list_offset("t", 0, EARLIEST);
    node.terminate();
    node.wait_until("the first signal is heard", |node| node.log().contains("stopping"));
    node.terminate();
    assert_eq!(node.wait().code(), Some(1), "{}", node.log());
    assert!(!node.data().join(CLEAN_SHUTDOWN).exists());
    node.start_again();
    content.assert_readable(&mut node.connect(), "t", 0, RECORDS);
}

#[test]
fn topics_configurations_and_records_are_there_after_a_stop_and_after_a_kill() {
    for end in End::BOTH {
        let mut node = Node::start(&[]);
        let mut connection = node.connect();
        connection.create_topic("kept", 3, &[("retention.ms", "777777777")]);
        connection.set_topic_config("kept", "max.message.bytes", "55555");
        for partition in 0..3 {
            assert_eq!(connection.produce("kept", partition, one_record("value")).error_code, 0);
        }
        connection.create_topic("gone", 1, &[]);
        connection.produce("gone", 0, one_record("gone"));
        connection.delete_topic("gone");
        connection.create_topic("again", 1, &[]);
        connection.produce("again", 0, one_record("of the first of this name"));
        connection.delete_topic("again");
        connection.create_topic("again", 1, &[]);
        drop(connection);
        for _ in 0..2 {
            end.come_to(&mut node);
            node.start_again();
            let mut connection = node.connect();
            assert_eq!(connection.topic_config("kept", "retention.ms"), "777777777", "{end:?}");
            assert_eq!(connection.topic_config("kept", "max.message.bytes"), "55555", "{end:?}");
            for partition in 0..3 {
                assert_eq!(
                    connection.fetch("kept", partition, 0).high_watermark,
                    1,
                    "{end:?}, partition {partition}"
                );
            }
            assert_eq!(connection.fetch("gone", 0, 0).error_code, 3, "{end:?}");
            assert_eq!(read_all(&mut connection, "again", 0), [], "{end:?}");
            let names = std::fs::read_dir(node.data())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let deleted: Vec<_> = names.filter(|name| name.ends_with("-delete") || name.starts_with("gone")).collect();
            assert!(deleted.is_empty(), "{end:?}: {deleted:?}");
        }
    }
}

#[test]
fn deleted_records_stay_deleted() {
    for end in End::BOTH {
        let mut node = Node::start(&[]);
        let content = Content::write(&mut node.connect(), "t");
        let partition = DeleteRecordsPartition {
            partition_index: 0,
            offset: 160,
            ..Default::default()
        };
        let topic = DeleteRecordsTopic {
            name: "t".into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = DeleteRecordsRequest {
            topics: vec![topic],
            timeout_ms: 10_000,
            ..Default::default()
        };
        let answer = node.connect().call(2, &request).expect("an answer");
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
        end.come_to(&mut node);
        node.start_again();
        assert_eq!(node.connect().list_offset("t", 0, EARLIEST).offset, 160, "{end:?}");
        assert_eq!(node.connect().fetch("t", 0, 159).error_code, 1, "{end:?}");
        content.assert_readable(&mut node.connect(), "t", 160, RECORDS);
    }
}

#[test]
fn a_producer_id_is_never_given_twice() {
    let mut node = Node::start(&[]);
    let mut given = BTreeSet::new();
    for end in [End::Killed, End::Stopped, End::Killed, End::Killed] {
        let mut connection = node.connect();
        for _ in 0..5 {
            let id = connection.producer_id();
            assert!(given.insert(id), "{id} was given before");
        }
        drop(connection);
        end.come_to(&mut node);
        node.start_again();
    }
}
