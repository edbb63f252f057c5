//! D6: the vote or the metadata log is damaged. The node does not start, says what can be done, and changes nothing.

use crate::content::{End, one_record, read_all, rewrite};
use crate::harness::Node;
use bytes::Bytes;
use dohle_protocol::batch::batches;
use dohle_protocol::builder::RecordBatchBuilder;
use std::path::PathBuf;

fn dir(node: &Node) -> PathBuf {
    node.data().join("__cluster_metadata-0")
}

fn vote(node: &Node) -> PathBuf {
    dir(node).join("quorum-state")
}

/// The last segment of the metadata log.
fn log(node: &Node) -> PathBuf {
    crate::content::files(node, "__cluster_metadata", "log").pop().expect("a segment")
}

/// A node with a topic and a record, killed.
fn killed_node() -> Node {
    let mut node = Node::start(&[]);
    node.connect().create_topic("t", 1, &[]);
    node.connect().produce("t", 0, one_record("kept"));
    node.kill();
    node
}

/// The start fails, the output has all of `words`, and the files stay as they are.
fn assert_refused(node: &mut Node, words: &[&str]) {
    let files = |node: &Node| [vote(node), log(node)].map(|path| std::fs::read(path).ok());
    let before = files(node);
    let refused = node.try_start().expect_err("damage is no reason to start");
    assert_eq!(refused.status.code(), Some(1), "{}", refused.output);
    for word in words {
        assert!(refused.output.contains(word), "\"{word}\" is missing in:\n{}", refused.output);
    }
    assert!(!refused.output.contains("panicked"), "{}", refused.output);
    assert!(files(node) == before, "files were changed");
}

fn assert_starts(node: &mut Node) {
    node.start_again();
    assert_eq!(read_all(&mut node.connect(), "t", 0), [(0, b"kept".to_vec())]);
    node.connect().create_topic("another", 1, &[]);
}

#[test]
fn d6_a_vote_that_is_half_written_or_missing_stops_the_start() {
    let mut node = killed_node();
    let good = std::fs::read(vote(&node)).unwrap();
    for damaged in [&good[..good.len() / 2], b"", &[0; 100]] {
        std::fs::write(vote(&node), damaged).unwrap();
        assert_refused(&mut node, &["the vote in", "quorum-state", "Restore the file"]);
    }
    std::fs::remove_file(vote(&node)).unwrap();
    assert_refused(&mut node, &["quorum-state", "missing", "Restore the whole directory"]);
    std::fs::write(vote(&node), good).unwrap();
    assert_starts(&mut node);
}

#[test]
fn d6_a_metadata_log_that_lost_entries_stops_the_start() {
    let words = ["the metadata log in", "damaged or lost", "Restore the whole directory"];
    for end in End::BOTH {
        let mut node = killed_node();
        node.start_again();
        end.come_to(&mut node);
        let good = std::fs::read(log(&node)).unwrap();
        for position in [good.len() / 4, good.len() / 2] {
            rewrite(&log(&node), |bytes| bytes[position] ^= 1);
            assert_refused(&mut node, &words);
            std::fs::write(log(&node), &good).unwrap();
        }
        // After a kill, only the entries before the start that preceded it are known to have been there.
        let length = if end == End::Stopped { good.len() - 1 } else { good.len() / 4 };
        std::fs::write(log(&node), &good[..length]).unwrap();
        assert_refused(&mut node, &words);
        std::fs::write(log(&node), good).unwrap();
        assert_starts(&mut node);
    }
}

#[test]
fn d6_a_torn_end_that_was_never_acknowledged_is_cut() {
    let mut node = killed_node();
    rewrite(&log(&node), |bytes| bytes.extend([1; 77]));
    assert_starts(&mut node);
    node.kill();
    assert_starts_with_another(&mut node);
}

fn assert_starts_with_another(node: &mut Node) {
    node.start_again();
    assert_eq!(node.connect().produce("another", 0, one_record("x")).error_code, 0);
}

#[test]
fn d7_an_entry_of_a_newer_release_stops_the_start() {
    let mut node = killed_node();
    let last = batches(Bytes::from(std::fs::read(log(&node)).unwrap()))
        .last()
        .expect("an entry")
        .unwrap()
        .header;
    let mut newer = RecordBatchBuilder::new()
        .base_offset(last.next_offset())
        .leader_epoch(last.partition_leader_epoch);
    newer.append(last.max_timestamp, None, Some(&[99, 0, 1, 2, 3]), &[]);
    rewrite(&log(&node), |bytes| bytes.extend(newer.build()));
    assert_refused(&mut node, &["the metadata log in", "kind 99", "unknown to this release"]);
}
