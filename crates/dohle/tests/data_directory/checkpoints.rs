//! D4: checkpoints that make no sense are ignored, and what they said is found in the logs again.

use crate::content::{Content, End, RECORDS, one_record};
use crate::harness::{EARLIEST, Node};
use dohle_protocol::batch::BatchHeader;
use dohle_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic};

const DIRECTORY_CHECKPOINTS: [&str; 3] = [
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "replication-offset-checkpoint",
];
const EPOCHS: &str = "leader-epoch-checkpoint";

#[test]
fn d4_checkpoints_of_garbage_or_negative_or_huge_numbers_are_ignored() {
    let contents = [
        "",
        "garbage\u{1}\n",
        "0\n1\nt 0 -5\n",
        "0\n1\nt 0 9000000\n",
        "0\n99\nt 0 1\n",
        "7\n0\n",
    ];
    for end in End::BOTH {
        let mut node = Node::start(&[]);
        let content = Content::write(&mut node.connect(), "t");
        for (number, text) in contents.into_iter().enumerate() {
            end.come_to(&mut node);
            for name in DIRECTORY_CHECKPOINTS {
                std::fs::write(node.data().join(name), text).unwrap();
            }
            node.start_again();
            content.assert_readable(&mut node.connect(), "t", 0, RECORDS);
            let start = node.connect().list_offset("t", 0, EARLIEST).offset;
            assert_eq!(start, 0, "{end:?}, content {number}");
        }
        let answer = node.connect().produce("t", 0, one_record("after"));
        assert_eq!((answer.error_code, answer.base_offset), (0, RECORDS));
    }
}

#[test]
fn d4_damage_is_told() {
    let mut node = Node::start(&[]);
    Content::write(&mut node.connect(), "t");
    assert!(node.stop().success());
    for name in DIRECTORY_CHECKPOINTS {
        std::fs::write(node.data().join(name), "garbage").unwrap();
    }
    std::fs::write(node.data().join("t-0").join(EPOCHS), "garbage").unwrap();
    node.start_again();
    let log = node.log();
    for name in DIRECTORY_CHECKPOINTS.iter().chain(&[EPOCHS]) {
        let told = log.lines().any(|line| line.contains(name) && line.contains("WARN"));
        assert!(told, "{name} is not named:\n{log}");
    }
}

#[test]
fn d4_leader_epochs_are_read_off_the_log() {
    let mut node = Node::start(&[]);
    Content::write(&mut node.connect(), "t");
    // A crash ends a leader's epoch.
    node.kill();
    node.start_again();
    node.connect().produce("t", 0, one_record("in a later epoch"));
    let records = node.connect().fetch("t", 0, RECORDS).records.expect("records");
    let later = BatchHeader::parse(&records).unwrap().partition_leader_epoch.0;
    assert!(later > 0, "the same epoch after a crash");
    let epoch_ends = |node: &Node| [0, later - 1, later].map(|epoch| epoch_end(node, epoch));
    let ends = [(0, 0, RECORDS), (0, 0, RECORDS), (0, later, RECORDS + 1)];
    assert_eq!(epoch_ends(&node), ends);
    for text in ["garbage", "0\n1\n-1 -1\n", "0\n2\n5 0\n2 9\n"] {
        node.kill();
        std::fs::write(node.data().join("t-0").join(EPOCHS), text).unwrap();
        node.start_again();
        assert_eq!(epoch_ends(&node), ends, "{text:?}");
    }
}

/// What is answered about the end of an epoch: error, epoch, offset.
fn epoch_end(node: &Node, epoch: i32) -> (i16, i32, i64) {
    let partition = OffsetForLeaderPartition {
        leader_epoch: epoch,
        ..Default::default()
    };
    let topic = OffsetForLeaderTopic {
        topic: "t".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let mut answer = node.connect().call(4, &request).expect("an answer");
    let found = answer.topics.remove(0).partitions.remove(0);
    (found.error_code, found.leader_epoch, found.end_offset)
}

#[test]
fn a_partition_that_cannot_be_opened_keeps_its_place_in_the_checkpoints() {
    let mut node = Node::start(&[]);
    let content = Content::write(&mut node.connect(), "t");
    assert!(node.stop().success());
    let index = crate::content::files(&node, "t", "index").remove(0);
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    node.start_again();
    assert_eq!(node.connect().fetch("t", 0, 0).error_code, 56);
    node.connect().create_topic("u", 1, &[]);
    node.connect().produce("u", 0, one_record("another topic"));
    assert!(node.stop().success());
    let recovery_points = std::fs::read_to_string(node.data().join(DIRECTORY_CHECKPOINTS[0])).unwrap();
    assert!(recovery_points.contains(&format!("t 0 {RECORDS}\n")), "{recovery_points}");
    std::fs::remove_dir(&index).unwrap();
    node.start_again();
    content.assert_readable(&mut node.connect(), "t", 0, RECORDS);
}
