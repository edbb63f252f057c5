//! D5: producer snapshots and transaction indexes that are damaged are made again by reading the log, and what they are for still works.

use crate::content::{Damage, End, records};
use crate::harness::{Connection, Node};
use bytes::Bytes;
use dohle_protocol::batch::patch_base_offset;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const EPOCH: ProducerEpoch = ProducerEpoch(0);

/// Three records of a producer, from a sequence on.
fn batch(producer: i64, sequence: i32) -> Bytes {
    let mut builder = RecordBatchBuilder::new().producer(ProducerId(producer), EPOCH, sequence);
    for number in 0..3 {
        builder.append(1_700_000_000_000 + number, None, Some(b"value"), &[]);
    }
    builder.build()
}

fn produce(connection: &mut Connection, producer: i64, sequence: i32) -> (i16, i64) {
    let answer = connection.produce("t", 0, batch(producer, sequence));
    (answer.error_code, answer.base_offset)
}

#[test]
fn d5_duplicates_are_known_although_the_producer_snapshots_are_damaged() {
    let damages: [Damage; 4] = [
        ("missing", |path| std::fs::remove_file(path).unwrap()),
        ("empty", |path| std::fs::write(path, b"").unwrap()),
        ("garbage", |path| std::fs::write(path, [7; 300]).unwrap()),
        ("bit", |path| crate::content::rewrite(path, |bytes| bytes[20] ^= 1)),
    ];
    for end in End::BOTH {
        for (name, damage) in damages {
            // No snapshot after an orderly stop means that there were no producers.
            if (end, name) == (End::Stopped, "missing") {
                continue;
            }
            let mut node = Node::start(&[]);
            let mut connection = node.connect();
            connection.create_topic("t", 1, &[("retention.ms", "-1")]);
            let producer = connection.producer_id();
            for (sequence, offset) in [(0, 0), (3, 3), (6, 6)] {
                assert_eq!(produce(&mut connection, producer, sequence), (0, offset));
            }
            drop(connection);
            // A snapshot is written when a log is closed.
            assert!(node.stop().success());
            node.start_again();
            end.come_to(&mut node);
            let snapshots = crate::content::files(&node, "t", "snapshot");
            assert!(!snapshots.is_empty(), "{end:?}: nothing to damage");
            snapshots.iter().for_each(|path| damage(path));
            node.start_again();
            let mut connection = node.connect();
            assert_eq!(produce(&mut connection, producer, 6), (0, 6), "{end:?}, {name}: sent again");
            assert_eq!(
                produce(&mut connection, producer, 12).0,
                OUT_OF_ORDER_SEQUENCE_NUMBER,
                "{end:?}, {name}: a gap"
            );
            assert_eq!(produce(&mut connection, producer, 9), (0, 9), "{end:?}, {name}: the next");
        }
    }
}

/// An aborted transaction, its marker, and a committed record: as another broker would have written them.
fn transactions() -> Vec<u8> {
    let aborted = |offset: i64, sequence| {
        let mut builder = RecordBatchBuilder::new()
            .producer(ProducerId(500), EPOCH, sequence)
            .transactional()
            .base_offset(Offset(offset))
            .leader_epoch(LeaderEpoch(0));
        builder.append(1_700_000_000_000, None, Some(b"aborted"), &[]);
        builder.build()
    };
    let marker = EndTxnMarker {
        committed: false,
        coordinator_epoch: 0,
    };
    let mut marker = marker.to_batch(1_700_000_000_001, ProducerId(500), EPOCH, LeaderEpoch(0)).to_vec();
    patch_base_offset(&mut marker, Offset(2));
    let mut plain = RecordBatchBuilder::new().base_offset(Offset(3)).leader_epoch(LeaderEpoch(0));
    plain.append(1_700_000_000_002, None, Some(b"plain"), &[]);
    [&aborted(0, 0)[..], &aborted(1, 1), &marker, &plain.build()].concat()
}

#[test]
fn d5_aborted_transactions_are_known_although_the_transaction_index_is_damaged() {
    for index in [None, Some(&b"garbage"[..]), Some(&[9; 68]), Some(&[])] {
        let mut node = Node::start(&[]);
        node.connect().create_topic("t", 1, &[("retention.ms", "-1")]);
        node.kill();
        let dir = node.data().join("t-0");
        std::fs::write(dir.join("00000000000000000000.log"), transactions()).unwrap();
        if let Some(index) = index {
            std::fs::write(dir.join("00000000000000000000.txnindex"), index).unwrap();
        }
        for start in ["first", "second"] {
            node.start_again();
            let answer = node.connect().fetch_isolated("t", 0, 0, 1);
            assert_eq!(
                (answer.error_code, answer.high_watermark, answer.last_stable_offset),
                (0, 4, 4),
                "{start} start"
            );
            let aborted = answer
                .aborted_transactions
                .expect("a list")
                .into_iter()
                .map(|txn| (txn.producer_id, txn.first_offset));
            assert_eq!(aborted.collect::<Vec<_>>(), [(500, 0)], "{start} start");
            assert_eq!(records(&answer.records.expect("records")).len(), 4);
            assert!(node.stop().success());
        }
    }
}
