//! Records read back, and records that cannot be.

use super::*;
use crate::batch::{self, HEADER_BYTES};
use crate::builder::RecordBatchBuilder;
use crate::compression::Compression;

const LIMITS: DecodeLimits = DecodeLimits {
    decompressed_bytes_max: 1 << 20,
};

fn headers() -> Vec<Header> {
    vec![
        Header::new("a", "1"),
        Header {
            key: Bytes::from_static(b"a"),
            value: None,
        },
        Header::new("", ""),
    ]
}

fn sample(codec: Compression) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new().compression(codec, None).base_offset(Offset(10));
    builder.append(1_000, Some(b"key"), Some(b"value"), &headers());
    builder.append(900, None, None, &[]);
    builder.append(1_100, Some(b""), Some(b""), &[]);
    RecordBatch::parse(&builder.build()).unwrap()
}

/// The sample with a changed number of records, and with `payload` instead of its records.
fn forged(record_count: i32, payload: &[u8]) -> RecordBatch {
    let header = batch::BatchHeader {
        record_count,
        batch_length: (HEADER_BYTES - batch::LOG_OVERHEAD_BYTES + payload.len()) as i32,
        ..sample(Compression::None).header
    };
    RecordBatch::parse(&[&header.to_bytes()[..], payload].concat().into()).unwrap()
}

fn decode(batch: &RecordBatch) -> Result<Vec<Record>, RecordError> {
    batch.records(LIMITS)?.collect()
}

#[test]
fn records_come_back_with_every_codec() {
    for codec in Compression::ALL {
        let records = decode(&sample(codec)).unwrap();
        assert_eq!(
            records.iter().map(|record| (record.offset.0, record.timestamp)).collect::<Vec<_>>(),
            [(10, 1000), (11, 900), (12, 1100)]
        );
        assert_eq!(
            (records[0].key.as_deref(), records[0].value.as_deref()),
            (Some(&b"key"[..]), Some(&b"value"[..]))
        );
        assert_eq!(records[0].headers, headers(), "duplicate keys, order and null values are kept");
        assert_eq!((&records[1].key, &records[1].value), (&None, &None));
        assert_eq!(
            (records[2].key.as_deref(), records[2].value.as_deref()),
            (Some(&b""[..]), Some(&b""[..]))
        );
    }
}

#[test]
fn uncompressed_records_are_shared_not_copied() {
    let batch = sample(Compression::None);
    let range = batch.bytes.as_ptr_range();
    let record = batch.records(LIMITS).unwrap().next().unwrap().unwrap();
    assert!(range.contains(&record.value.unwrap().as_ptr()) && range.contains(&record.headers[0].key.as_ptr()));
}

#[test]
fn trap_17_all_records_of_a_stamped_batch_read_back_its_max_timestamp() {
    let mut bytes = sample(Compression::None).bytes.to_vec();
    batch::patch_timestamps(&mut bytes, TimestampType::LogAppendTime, 7_777);
    let records = decode(&RecordBatch::parse(&bytes.into()).unwrap()).unwrap();
    assert!(records.iter().all(|record| record.timestamp == 7_777));
}

#[test]
fn w11_a_count_that_does_not_fit_the_bytes_is_an_error_and_reserves_nothing() {
    let payload = sample(Compression::None).payload();
    assert_eq!(decode(&forged(3, &payload)).unwrap().len(), 3);
    assert_eq!(
        decode(&forged(i32::MAX, &payload)),
        Err(RecordError::Count {
            declared: i32::MAX,
            found: 3
        })
    );
    assert_eq!(decode(&forged(-1, &payload)), Err(RecordError::Count { declared: -1, found: 0 }));
    assert_eq!(decode(&forged(2, &payload)), Err(RecordError::TrailingBytes(8)));
    assert_eq!(decode(&forged(4, &payload)), Err(RecordError::Count { declared: 4, found: 3 }));
    assert_eq!(decode(&forged(0, &[])), Ok(vec![]));
}

#[test]
fn w11_invalid_fields_are_errors() {
    // length, attributes, timestamp delta, offset delta, key, value, header count
    let good = [12, 0, 0, 0, 1, 1, 0];
    assert_eq!(decode(&forged(1, &good)).unwrap().len(), 1);
    let with = |at: usize, byte: u8| {
        let mut payload = good;
        payload[at] = byte;
        decode(&forged(1, &payload)).unwrap_err()
    };
    assert_eq!(with(0, 14), RecordError::Field("length"), "longer than the batch");
    assert_eq!(with(0, 1), RecordError::Field("length"), "negative");
    assert_eq!(with(0, 0), RecordError::Field("length"), "empty");
    assert_eq!(with(0, 10), RecordError::Field("header count"), "cut by its own length");
    assert_eq!(with(4, 2 * 7), RecordError::Field("key"), "key beyond the record");
    assert_eq!(with(5, 2 * 7), RecordError::Field("value"), "value beyond the record");
    assert_eq!(with(6, 1), RecordError::Field("header count"), "headers -1");
    assert_eq!(with(6, 2), RecordError::Field("header key"), "one header declared, none there");
    assert_eq!(
        with(3, 0x80),
        RecordError::Field("header count"),
        "a number that swallows the next byte"
    );
    assert_eq!(
        decode(&forged(1, &[14, 0, 0, 0, 1, 1, 0, 9])),
        Err(RecordError::Length { declared: 7, taken: 6 })
    );
    assert_eq!(
        decode(&forged(1, &[16, 0, 0, 0, 1, 1, 2, 1, 1])),
        Err(RecordError::Field("header key")),
        "null header key"
    );
    let huge_header_count = [20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(decode(&forged(1, &huge_header_count)), Err(RecordError::Field("header key")));
}

#[test]
fn nothing_follows_an_error() {
    let mut records = forged(3, &[12, 0, 0, 0, 1, 1, 1, 12, 0, 0, 0, 1, 1, 0]).records(LIMITS).unwrap();
    assert!(records.next().unwrap().is_err());
    assert!(records.next().is_none());
}
