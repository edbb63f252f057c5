//! What of an answer reaches the application.

use bytes::BytesMut;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::compression::Compression;
use dohle_protocol::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use super::*;
use crate::properties::Properties;

fn config(isolation: &str) -> ConsumerConfig {
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", "localhost:9092");
    properties.set("isolation.level", isolation);
    ConsumerConfig::from_properties(&properties).unwrap()
}

/// A batch of `values` at `offset`, by a transactional producer if `producer` is given.
fn batch(offset: i64, producer: Option<i64>, values: &[&str]) -> Bytes {
    let mut builder = RecordBatchBuilder::new()
        .base_offset(Offset(offset))
        .compression(Compression::Gzip, None);
    if let Some(id) = producer {
        builder = builder.producer(ProducerId(id), ProducerEpoch(0), 0).transactional();
    }
    for value in values {
        builder.append(0, None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

fn marker(offset: i64, producer: i64, committed: bool) -> Bytes {
    let marker = EndTxnMarker {
        committed,
        coordinator_epoch: 0,
    }
    .to_batch(0, ProducerId(producer), ProducerEpoch(0), LeaderEpoch(0));
    let mut bytes = marker.to_vec();
    dohle_protocol::batch::patch_base_offset(&mut bytes, Offset(offset));
    Bytes::from(bytes)
}

fn fetched(from: i64, isolation: &str, batches: &[Bytes], aborted: &[(i64, i64)]) -> Fetched {
    let mut records = BytesMut::new();
    batches.iter().for_each(|batch| records.extend_from_slice(batch));
    let aborted = aborted.iter().map(|&(producer_id, first_offset)| AbortedTransaction {
        producer_id,
        first_offset,
        ..Default::default()
    });
    let data = PartitionData {
        records: Some(records.freeze()),
        aborted_transactions: Some(aborted.collect()),
        ..Default::default()
    };
    Fetched::new(TopicPartition::new("t", 0), from, data, &config(isolation))
}

fn read(mut fetched: Fetched, step: usize) -> Vec<(i64, String)> {
    let mut records = Vec::new();
    while !fetched.take(step, &mut records).unwrap() {}
    records
        .iter()
        .map(|record| (record.offset, String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap()))
        .collect()
}

fn pairs(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|&(offset, value)| (offset, value.to_owned())).collect()
}

#[test]
fn trap_28_records_below_the_position_are_skipped_and_a_cut_batch_is_left_for_the_next_fetch() {
    let last = batch(5, None, &["f"]);
    let batches = [
        batch(0, None, &["a", "b", "c"]),
        batch(3, None, &["d", "e"]),
        last.slice(..last.len() - 1),
    ];
    for step in [1, 2, 100] {
        let fetched = fetched(1, "read_uncommitted", &batches, &[]);
        assert_eq!(fetched.next_fetch(), Ok(5));
        assert_eq!(read(fetched, step), pairs(&[(1, "b"), (2, "c"), (3, "d"), (4, "e")]));
    }
}

#[test]
fn trap_36_read_committed_skips_what_was_aborted() {
    let batches = [
        batch(0, Some(1), &["aborted 1"]),
        batch(1, Some(2), &["committed 2"]),
        batch(2, None, &["plain"]),
        marker(3, 1, false),
        marker(4, 2, true),
        batch(5, Some(1), &["committed 1"]),
        marker(6, 1, true),
        batch(7, Some(2), &["aborted 2"]),
        marker(8, 2, false),
    ];
    let committed = fetched(0, "read_committed", &batches, &[(1, 0), (2, 7)]);
    assert_eq!(committed.next_fetch(), Ok(9));
    assert_eq!(read(committed, 10), pairs(&[(1, "committed 2"), (2, "plain"), (5, "committed 1")]));
    assert_eq!(read(fetched(0, "read_uncommitted", &batches, &[]), 10).len(), 5);
}

#[test]
fn a_damaged_batch_is_an_error_after_the_records_before_it_and_is_never_passed_over() {
    let mut wrong_crc = batch(1, None, &["b"]).to_vec();
    *wrong_crc.last_mut().unwrap() ^= 1;
    // One record more is announced than there is.
    let mut too_short = RecordBatchBuilder::new().base_offset(Offset(1));
    too_short.append(0, None, Some(b"b"), &[]);
    let mut too_short = too_short.build().to_vec();
    too_short[23..27].copy_from_slice(&1_i32.to_be_bytes());
    too_short[57..61].copy_from_slice(&2_i32.to_be_bytes());
    for (damaged, before, check_crcs) in [(wrong_crc, 1, true), (too_short, 2, false)] {
        let batches = [batch(0, None, &["a"]), Bytes::from(damaged), batch(3, None, &["d"])];
        let mut fetched = fetched(0, "read_uncommitted", &batches, &[]);
        fetched.check_crcs = check_crcs;
        let mut records = Vec::new();
        for _ in 0..3 {
            let error = fetched.take(10, &mut records).unwrap_err();
            assert!(
                matches!(error, ConsumeError::BadBatch { .. } | ConsumeError::BadRecord { .. }),
                "{error}"
            );
            assert_eq!((records.len(), fetched.position()), (before, before as i64));
        }
    }
}
