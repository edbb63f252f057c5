//! A topic with known records in several segments, and the check that they are all there.

use crate::harness::{Connection, Node};
use bytes::Bytes;
use dohle_protocol::batch::batches;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::record::{DecodeLimits, Record};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Batches of a filled topic; five to a segment.
pub(crate) const BATCHES: i64 = 23;
pub(crate) const RECORDS_PER_BATCH: i64 = 20;
pub(crate) const RECORDS: i64 = BATCHES * RECORDS_PER_BATCH;
const VALUE_BYTES: usize = 10_000;
const STEP_MS: i64 = 100;
const LIMITS: DecodeLimits = DecodeLimits {
    decompressed_bytes_max: 16 << 20,
};

/// How a node came to its end before its files were damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Killed,
}

impl End {
    pub(crate) const BOTH: [End; 2] = [End::Stopped, End::Killed];

    pub(crate) fn come_to(self, node: &mut Node) {
        match self {
            End::Stopped => assert!(node.stop().success(), "{}", node.log()),
            End::Killed => node.kill(),
        }
    }
}

/// Records with consecutive numbers and times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content {
    first_ms: i64,
}

impl Content {
    /// Makes a topic of one partition and fills it.
    pub(crate) fn write(connection: &mut Connection, topic: &str) -> Content {
        connection.create_topic(topic, 1, &[("segment.bytes", "1048576")]);
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock after 1970")
            .as_millis() as i64;
        let content = Content {
            first_ms: now_ms - 3_600_000,
        };
        for batch in 0..BATCHES {
            let answer = connection.produce(topic, 0, content.batch(batch));
            assert_eq!((answer.error_code, answer.base_offset), (0, batch * RECORDS_PER_BATCH));
        }
        content
    }

    fn batch(self, number: i64) -> Bytes {
        let mut builder = RecordBatchBuilder::new();
        for offset in number * RECORDS_PER_BATCH..(number + 1) * RECORDS_PER_BATCH {
            builder.append(self.time_of(offset), Some(offset.to_string().as_bytes()), Some(&value(offset)), &[]);
        }
        builder.build()
    }

    fn time_of(self, offset: i64) -> i64 {
        self.first_ms + offset * STEP_MS
    }

    /// The records from `start` to `end` are there, nothing else is, each is found by its offset and by its time, and the next one written follows.
    pub(crate) fn assert_readable(self, connection: &mut Connection, topic: &str, start: i64, end: i64) {
        let read = read_all(connection, topic, start);
        assert_eq!(read.len() as i64, end - start, "{topic}");
        assert!(
            (start..end).zip(read).all(|(offset, found)| found == (offset, value(offset))),
            "{topic}: other records"
        );
        for offset in (start..end).step_by(7) {
            let first = records(&connection.fetch(topic, 0, offset).records.expect("records"))
                .remove(0)
                .offset
                .0;
            assert_eq!(
                first,
                offset / RECORDS_PER_BATCH * RECORDS_PER_BATCH,
                "{topic}: the batch that contains {offset}"
            );
            let found = connection.list_offset(topic, 0, self.time_of(offset) - STEP_MS / 2);
            assert_eq!(
                (found.error_code, found.offset, found.timestamp),
                (0, offset, self.time_of(offset)),
                "{topic}"
            );
        }
        let after = connection.fetch(topic, 0, end);
        assert_eq!((after.error_code, after.high_watermark), (0, end), "{topic}");
        assert_eq!(connection.fetch(topic, 0, end + 1).error_code, 1, "{topic}");
    }
}

/// Offsets and values of all records from an offset on.
pub(crate) fn read_all(connection: &mut Connection, topic: &str, start: i64) -> Vec<(i64, Vec<u8>)> {
    let mut read: Vec<(i64, Vec<u8>)> = Vec::new();
    loop {
        let answer = connection.fetch(topic, 0, read.last().map_or(start, |(offset, _)| offset + 1));
        assert_eq!(answer.error_code, 0, "{topic} after {} records", read.len());
        let found = records(&answer.records.unwrap_or_default());
        if found.is_empty() {
            return read;
        }
        read.extend(
            found
                .into_iter()
                .map(|record| (record.offset.0, record.value.expect("a value").to_vec())),
        );
    }
}

pub(crate) fn records(bytes: &Bytes) -> Vec<Record> {
    let whole = batches(bytes.clone()).map(|batch| batch.expect("a whole batch"));
    whole
        .flat_map(|batch| batch.records(LIMITS).expect("records").map(|record| record.expect("a record")))
        .collect()
}

pub(crate) fn value(offset: i64) -> Vec<u8> {
    let mut value = format!("value {offset} ").into_bytes();
    value.extend((value.len()..VALUE_BYTES).map(|byte| (byte as i64 * offset) as u8));
    value
}

/// One record, for topics that need no more.
pub(crate) fn one_record(value: &str) -> Bytes {
    let mut builder = RecordBatchBuilder::new();
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_millis() as i64;
    builder.append(now_ms, None, Some(value.as_bytes()), &[]);
    builder.build()
}

/// The files of a partition with an extension, in the order of their offsets.
pub(crate) fn files(node: &Node, topic: &str, extension: &str) -> Vec<PathBuf> {
    let dir = node.data().join(format!("{topic}-0"));
    let paths = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    found
}

/// A name, and what is done to a file.
pub(crate) type Damage = (&'static str, fn(&Path));

/// Changes a file, whatever it holds.
pub(crate) fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}
