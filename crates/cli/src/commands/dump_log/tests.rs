//! Files made for the purpose, and the lines that Kafka's tool prints for them.

use bytes::Bytes;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::compression::Compression;
use dohle_protocol::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use dohle_protocol::record::Header;
use dohle_storage::{producer_snapshot, txn_index};

use super::*;

const NAME: &str = "00000000000000000100";

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    fn write(&self, extension: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(NAME).with_extension(extension);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn batch(offset: i64, timestamp: i64, values: &[&str]) -> Bytes {
    let mut builder = RecordBatchBuilder::new()
        .base_offset(Offset(offset))
        .leader_epoch(LeaderEpoch(4))
        .producer(ProducerId(9), ProducerEpoch(1), 7)
        .compression(Compression::Gzip, None);
    for value in values {
        builder.append(timestamp, Some(b"k"), Some(value.as_bytes()), &[Header::new("h", "x")]);
    }
    builder.build()
}

fn args(flags: &[&str]) -> DumpArgs {
    DumpArgs::try_parse_from([&["dump-log", "--files", "x"], flags].concat()).unwrap()
}

fn segment(path: &Path, flags: &[&str]) -> (String, Findings) {
    let (mut out, mut findings) = (Vec::new(), Findings::default());
    segment::dump(path, &args(flags), &mut findings, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), findings)
}

#[test]
fn a_segment_is_printed_batch_by_batch_and_on_demand_record_by_record() {
    let dir = Dir::new();
    let (first, second) = (batch(100, 1000, &["a", "b"]), batch(103, 1001, &["c"]));
    let path = dir.write("log", &[&first[..], &second[..], b"torn"].concat());
    let crc = |batch: &Bytes| dohle_protocol::batch::BatchHeader::parse(batch).unwrap().crc;
    let line = |range: &str, position: usize, timestamp: i64, batch: &Bytes| {
        format!(
            "{range} producerId: 9 producerEpoch: 1 partitionLeaderEpoch: 4 isTransactional: false isControl: false deleteHorizonMs: \
             OptionalLong.empty position: {position} CreateTime: {timestamp} size: {} magic: 2 compresscodec: gzip crc: {} isvalid: true\n",
            batch.len(),
            crc(batch)
        )
    };
    let one = line(
        "baseOffset: 100 lastOffset: 101 count: 2 baseSequence: 7 lastSequence: 8",
        0,
        1000,
        &first,
    );
    let two = line(
        "baseOffset: 103 lastOffset: 103 count: 1 baseSequence: 7 lastSequence: 7",
        first.len(),
        1001,
        &second,
    );
    let torn = format!("Found 4 invalid bytes at the end of {NAME}.log\n");
    let (text, findings) = segment(&path, &[]);
    assert_eq!(text, format!("Log starting offset: 100\n{one}{two}{torn}"));
    assert_eq!(findings, Findings::default());
    let (text, findings) = segment(&path, &["--print-data-log"]);
    let record = |offset: i64, timestamp: i64, sequence: i32, value: &str| {
        format!(
            "| offset: {offset} CreateTime: {timestamp} keySize: 1 valueSize: 1 sequence: {sequence} headerKeys: [h] key: k payload: {value}\n"
        )
    };
    let records = [record(100, 1000, 7, "a"), record(101, 1000, 8, "b")].concat();
    assert_eq!(
        text,
        format!("Log starting offset: 100\n{one}{records}{two}{}{torn}", record(103, 1001, 7, "c"))
    );
    assert_eq!(findings.gaps.values().next().unwrap(), &[(101, 103)]);
    let (text, _) = segment(
        &path,
        &[
            "--print-data-log",
            "--skip-record-metadata",
            "--max-bytes",
            &first.len().to_string(),
        ],
    );
    assert_eq!(
        text,
        format!("Log starting offset: 100\n{one}| key: k payload: a\n| key: k payload: b\n")
    );
}

#[test]
fn indexes_are_printed_and_compared_with_the_log() {
    let dir = Dir::new();
    let (first, second) = (batch(100, 1000, &["a", "b"]), batch(102, 999, &["c"]));
    dir.write("log", &[&first[..], &second[..]].concat());
    let position = first.len() as u32;
    let entry = |offset: u32, position: u32| [offset.to_be_bytes(), position.to_be_bytes()].concat();
    // The second entry is right, the third one points into the middle; zeros at the end are room that was allocated.
    let path = dir.write(
        "index",
        &[entry(1, 0), entry(2, position), entry(3, position + 1), vec![0; 16]].concat(),
    );
    let (mut out, mut findings) = (Vec::new(), Findings::default());
    indexes::dump_offset_index(&path, &args(&[]), &mut findings, &mut out).unwrap();
    let expected = format!(
        "offset: 101 position: 0\noffset: 102 position: {position}\noffset: 103 position: {}\n",
        position + 1
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert_eq!(findings.index_mismatches[&path], [(103, -1)]);

    let entry = |timestamp: i64, offset: u32| [&timestamp.to_be_bytes()[..], &offset.to_be_bytes()].concat();
    let path = dir.write(
        "timeindex",
        &[entry(1000, 1), entry(999, 2), entry(1005, 2), entry(1006, 7)].concat(),
    );
    let (mut out, mut findings) = (Vec::new(), Findings::default());
    indexes::dump_time_index(&path, &args(&["--verify-index-only"]), &mut findings, &mut out).unwrap();
    assert!(out.is_empty());
    assert_eq!(findings.time_mismatches[&path], [(1005, 999)]);
    assert_eq!(findings.times_out_of_order[&path], [(999, 1000)]);
    assert_eq!(findings.times_not_found[&path], [(107, -1)]);
}

#[test]
fn sanity_checks_look_at_the_length_alone() {
    let dir = Dir::new();
    let mut out = Vec::new();
    let good = dir.write("index", &[0, 0, 0, 1, 0, 0, 0, 0]);
    indexes::dump_offset_index(&good, &args(&["--index-sanity-check"]), &mut Findings::default(), &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("{} passed sanity check.\n", good.display())
    );
    let bad = dir.write("timeindex", &[0; 13]);
    assert!(indexes::dump_time_index(&bad, &args(&["--index-sanity-check"]), &mut Findings::default(), &mut Vec::new()).is_err());
}

#[test]
fn aborted_transactions_and_producers_are_printed() {
    let dir = Dir::new();
    let aborted = txn_index::AbortedTxn {
        producer_id: ProducerId(9),
        first_offset: Offset(100),
        last_offset: Offset(105),
        last_stable_offset: Offset(106),
    };
    let mut out = Vec::new();
    indexes::dump_txn_index(&dir.write("txnindex", &aborted.to_bytes()), &mut out).unwrap();
    let producer = producer_snapshot::ProducerSnapshotEntry {
        producer_id: ProducerId(9),
        epoch: ProducerEpoch(2),
        last_sequence: 1,
        last_offset: Offset(103),
        offset_delta: 3,
        last_timestamp: 77,
        coordinator_epoch: -1,
        txn_first_offset: Some(Offset(100)),
    };
    indexes::dump_producer_snapshot(&dir.write("snapshot", &producer_snapshot::encode(&[producer])), &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "version: 0 producerId: 9 firstOffset: 100 lastOffset: 105 lastStableOffset: 106\n\
         producerId: 9 producerEpoch: 2 coordinatorEpoch: -1 currentTxnFirstOffset: OptionalLong[100] lastTimestamp: 77 \
         firstSequence: 2147483646 lastSequence: 1 lastOffset: 103 offsetDelta: 3 timestamp: 77\n"
    );
}

#[test]
fn a_file_that_is_none_of_a_log_is_an_error() {
    let dir = Dir::new();
    let path = dir.0.path().join("nope.log");
    assert!(segment::dump(&path, &args(&[]), &mut Findings::default(), &mut Vec::new()).is_err());
}
