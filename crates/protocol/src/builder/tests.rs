//! What a builder writes, read back.

use super::*;
use crate::batch::RecordBatch;
use crate::record::DecodeLimits;
use proptest::prelude::*;

const LIMITS: DecodeLimits = DecodeLimits {
    decompressed_bytes_max: 64 << 20,
};

fn parsed(builder: RecordBatchBuilder) -> RecordBatch {
    let batch = RecordBatch::parse(&builder.build()).unwrap();
    batch.verify_crc().unwrap();
    batch
}

#[test]
fn trap_24_compaction_keeps_offsets_and_the_end_of_a_batch() {
    let mut builder = RecordBatchBuilder::new().base_offset(Offset(100)).delete_horizon(5_000);
    let kept = Record {
        offset: Offset(103),
        timestamp: 4_000,
        key: Some(Bytes::from_static(b"k")),
        ..Record::default()
    };
    builder.append_record(&kept);
    let batch = parsed(builder.last_offset(Offset(109)));
    assert_eq!((batch.header.last_offset(), batch.header.record_count), (Offset(109), 1));
    assert_eq!((batch.header.delete_horizon(), batch.header.max_timestamp), (Some(5_000), 4_000));
    assert_eq!(batch.records(LIMITS).unwrap().collect::<Result<Vec<_>, _>>(), Ok(vec![kept]));
}

#[test]
fn trap_24_an_empty_batch_keeps_the_last_sequence_of_a_producer() {
    let builder = RecordBatchBuilder::new()
        .compression(Compression::Zstd, None)
        .base_offset(Offset(100))
        .producer(ProducerId(1), ProducerEpoch(0), 20)
        .last_offset(Offset(104));
    let batch = parsed(builder);
    assert_eq!(
        (batch.bytes.len(), batch.header.record_count, batch.header.last_sequence()),
        (HEADER_BYTES, 0, 24)
    );
    assert_eq!(batch.records(LIMITS).unwrap().count(), 0);
}

#[test]
fn flags_are_where_readers_look_for_them() {
    let mut builder = RecordBatchBuilder::new()
        .transactional()
        .control()
        .leader_epoch(LeaderEpoch(6))
        .log_append_time(9);
    builder.append(3, None, Some(b"v"), &[]);
    let header = parsed(builder).header;
    assert_eq!(header.attributes, 0x38);
    assert_eq!(
        (header.partition_leader_epoch, header.max_timestamp, header.base_timestamp),
        (LeaderEpoch(6), 9, 3)
    );
}

type Fields = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn fields() -> impl Strategy<Value = Fields> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let header = (prop::collection::vec(any::<u8>(), 0..20), prop::option::of(bytes()));
    (
        0i64..1 << 50,
        prop::option::of(bytes()),
        prop::option::of(bytes()),
        prop::collection::vec(header, 0..4),
    )
}

proptest! {
    #[test]
    fn records_survive(rows in prop::collection::vec(fields(), 1..30), codec in 0u8..5, base in 0i64..1 << 60) {
        let codec = Compression::from_id(codec).unwrap();
        let mut builder = RecordBatchBuilder::new().compression(codec, None).base_offset(Offset(base));
        let mut expected = Vec::new();
        for (index, (timestamp, key, value, headers)) in rows.into_iter().enumerate() {
            let record = Record {
                offset: Offset(base + index as i64),
                timestamp,
                key: key.map(Bytes::from),
                value: value.map(Bytes::from),
                headers: headers.into_iter().map(|(key, value)| Header { key: key.into(), value: value.map(Bytes::from) }).collect(),
            };
            let before = builder.size_in_bytes();
            builder.append(timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
            let bound = RecordBatchBuilder::record_size_bound(record.key.as_deref(), record.value.as_deref(), &record.headers);
            prop_assert!(builder.size_in_bytes() - before <= bound);
            expected.push(record);
        }
        let size = builder.size_in_bytes();
        let batch = parsed(builder);
        prop_assert!(codec != Compression::None || batch.bytes.len() == size);
        prop_assert_eq!(batch.header.compression(), Ok(codec));
        prop_assert_eq!(batch.header.max_timestamp, expected.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!(batch.records(LIMITS).unwrap().collect::<Result<Vec<_>, _>>(), Ok(expected));
    }
}
