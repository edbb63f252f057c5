//! What the clients write and must read back: a record, whatever a client calls it.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Row {
    pub(crate) key: Option<Vec<u8>>,
    /// `None`: a tombstone.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: BTreeMap<String, Vec<u8>>,
    pub(crate) timestamp_ms: i64,
}

/// Rows of all shapes: with and without key, value and headers, empty and long, any bytes, each 7 ms after the one before.
pub(crate) fn rows(count: usize) -> Vec<Row> {
    let first_ms = now_ms() - 3_600_000;
    (0..count).map(|number| row(number, first_ms + 7 * number as i64)).collect()
}

fn row(number: usize, timestamp_ms: i64) -> Row {
    let key = match number % 7 {
        0 => None,
        1 => Some(Vec::new()),
        _ => Some(format!("key-{number}").into_bytes()),
    };
    let value = match number % 11 {
        0 => None,
        1 => Some(Vec::new()),
        _ => Some((0..(number * 37) % 2000).map(|byte| (byte * number) as u8).collect()),
    };
    let headers = (0..number % 4).map(|header| (format!("header-{header}"), vec![header as u8; (number * header) % 50]));
    Row {
        key,
        value,
        headers: headers.collect(),
        timestamp_ms,
    }
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_millis() as i64
}
