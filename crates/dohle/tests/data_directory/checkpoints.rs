//! D4: checkpoints that make no sense are ignored, and what they said is found in the logs again.

use crate::content::{Content, End, RECORDS, one_record};
use crate::harness::{EARLIEST, Node};
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
    // Each restart begins an epoch, or none does: in both cases the same must be known after the damage.
    assert!(node.stop().success());
    node.start_again();
    node.connect().produce("t", 0, one_record("in the next epoch"));
    let before = epoch_ends(&node);
    for text in ["garbage", "0\n1\n-1 -1\n", "0\n2\n5 0\n2 9\n"] {
        node.kill();
        std::fs::write(node.data().join("t-0").join(EPOCHS), text).unwrap();
        node.start_again();
        assert_eq!(epoch_ends(&node), before, "{text:?}");
    }
}

/// What is answered about the end of the first epochs that have records.
fn epoch_ends(node: &Node) -> Vec<(i16, i32, i64)> {
    let end_of = |epoch| {
        let partition = OffsetForLeaderPartition {
            partition: 0,
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
    };
    vec![end_of(0), end_of(1)]
}
