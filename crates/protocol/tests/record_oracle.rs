//! Batches and records against an independent implementation, in both directions and with every codec.

use bytes::{Bytes, BytesMut};
use dohle_protocol::batch::{self, BatchHeader, RecordBatch};
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::compression::Compression;
use dohle_protocol::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use dohle_protocol::record::{DecodeLimits, Header, Record};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as oracle;
use proptest::prelude::*;

const LIMITS: DecodeLimits = DecodeLimits {
    decompressed_bytes_max: 64 << 20,
};

/// What the records of one batch have in common.
#[derive(Debug, Clone, Copy)]
struct Common {
    base_offset: i64,
    leader_epoch: i32,
    producer: (i64, i16, i32),
    transactional: bool,
}

const PLAIN: Common = Common {
    base_offset: 0,
    leader_epoch: -1,
    producer: (-1, -1, -1),
    transactional: false,
};

fn ours(common: Common, codec: Compression, records: &[Record]) -> Bytes {
    let (id, epoch, sequence) = common.producer;
    let mut builder = RecordBatchBuilder::new()
        .compression(codec, None)
        .base_offset(Offset(common.base_offset))
        .leader_epoch(LeaderEpoch(common.leader_epoch))
        .producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    if common.transactional {
        builder = builder.transactional();
    }
    for record in records {
        builder.append_record(record);
    }
    builder.build()
}

fn to_oracle(common: Common, record: &Record) -> oracle::Record {
    let delta = (record.offset.0 - common.base_offset) as i32;
    oracle::Record {
        transactional: common.transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: common.leader_epoch,
        producer_id: common.producer.0,
        producer_epoch: common.producer.1,
        timestamp_type: oracle::TimestampType::Creation,
        offset: record.offset.0,
        // The oracle starts a new batch where this is not in step with the offset, even without a producer id.
        sequence: common.producer.2.wrapping_add(delta),
        timestamp: record.timestamp,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record
            .headers
            .iter()
            .map(|header| (StrBytes::from_utf8(header.key.clone()).unwrap(), header.value.clone()))
            .collect(),
    }
}

fn oracle_codec(codec: Compression) -> oracle::Compression {
    match codec {
        Compression::None => oracle::Compression::None,
        Compression::Gzip => oracle::Compression::Gzip,
        Compression::Snappy => oracle::Compression::Snappy,
        Compression::Lz4 => oracle::Compression::Lz4,
        Compression::Zstd => oracle::Compression::Zstd,
    }
}

fn theirs(common: Common, codec: Compression, records: &[Record]) -> Bytes {
    let records: Vec<_> = records.iter().map(|record| to_oracle(common, record)).collect();
    let options = oracle::RecordEncodeOptions {
        version: 2,
        compression: oracle_codec(codec),
    };
    let mut out = BytesMut::new();
    oracle::RecordBatchEncoder::encode(&mut out, records.iter(), &options).unwrap();
    out.freeze()
}

fn text(value: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(value.as_bytes()))
}

fn record(offset: i64, timestamp: i64, key: Option<Bytes>, value: Option<Bytes>, headers: &[(&'static str, Option<Bytes>)]) -> Record {
    let headers = headers
        .iter()
        .map(|(key, value)| Header {
            key: Bytes::from_static(key.as_bytes()),
            value: value.clone(),
        })
        .collect();
    Record {
        offset: Offset(offset),
        timestamp,
        key,
        value,
        headers,
    }
}

#[test]
fn uncompressed_batches_are_the_same_bytes() {
    let large = Some(Bytes::from(vec![b'x'; 70_000]));
    let cases: [(Common, Vec<Record>); 6] = [
        (PLAIN, vec![record(0, 0, None, None, &[])]),
        (PLAIN, vec![record(0, 1_700_000_000_000, text("key"), text("value"), &[])]),
        (
            PLAIN,
            vec![
                record(0, 5, text(""), text(""), &[("", text("")), ("h", None)]),
                record(1, 70, None, large, &[]),
            ],
        ),
        (
            Common {
                base_offset: 1 << 40,
                leader_epoch: 3,
                ..PLAIN
            },
            (0..200)
                .map(|n| {
                    record(
                        (1 << 40) + n,
                        1_000 + 37 * n,
                        text("k"),
                        text("v"),
                        &[("trace", text("0123456789"))],
                    )
                })
                .collect(),
        ),
        (
            Common {
                producer: (4_000, 7, 100),
                transactional: true,
                ..PLAIN
            },
            (0..3).map(|n| record(n, n, text("k"), None, &[])).collect(),
        ),
        (
            Common {
                producer: (1, 0, i32::MAX),
                ..PLAIN
            },
            vec![record(0, 1, text("k"), text("v"), &[])],
        ),
    ];
    for (common, records) in cases {
        assert_eq!(
            ours(common, Compression::None, &records),
            theirs(common, Compression::None, &records),
            "{common:?}"
        );
    }
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let bytes = || prop::option::of(prop::collection::vec(0u8..8, 0..300).prop_map(Bytes::from));
    // The oracle keeps headers in a map, so their keys must differ.
    let headers = prop::collection::btree_map("[a-zß]{0,8}", bytes(), 0..4);
    let row = (0i64..1 << 45, bytes(), bytes(), headers);
    prop::collection::vec(row, 1..40).prop_map(|rows| {
        // The oracle takes the least timestamp as the base, Kafka and we the first.
        let least = rows.iter().map(|row| row.0).min().unwrap_or(0);
        rows.into_iter()
            .enumerate()
            .map(|(index, (timestamp, key, value, headers))| Record {
                offset: Offset(index as i64),
                timestamp: if index == 0 { least } else { timestamp },
                key,
                value,
                headers: headers
                    .into_iter()
                    .map(|(key, value)| Header {
                        key: Bytes::from(key),
                        value,
                    })
                    .collect(),
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn generated_uncompressed_batches_are_the_same_bytes(records in records()) {
        prop_assert_eq!(ours(PLAIN, Compression::None, &records), theirs(PLAIN, Compression::None, &records));
    }

    #[test]
    fn what_the_oracle_writes_is_read(records in records(), codec in 0u8..5) {
        let codec = Compression::from_id(codec).unwrap();
        let batch = RecordBatch::parse(&theirs(PLAIN, codec, &records)).unwrap();
        prop_assert_eq!(batch.verify_crc(), Ok(()));
        prop_assert_eq!(batch.header.compression(), Ok(codec));
        prop_assert_eq!(batch.records(LIMITS).unwrap().collect::<Result<Vec<_>, _>>(), Ok(records));
    }

    #[test]
    fn what_we_write_is_read_by_the_oracle(records in records(), codec in 0u8..5) {
        let codec = Compression::from_id(codec).unwrap();
        let mut bytes = ours(PLAIN, codec, &records);
        let set = oracle::RecordBatchDecoder::decode(&mut bytes).unwrap();
        prop_assert_eq!(set.compression, oracle_codec(codec));
        let expected: Vec<_> = records.iter().map(|record| to_oracle(PLAIN, record)).collect();
        prop_assert_eq!(set.records, expected);
    }

    #[test]
    fn cut_or_flipped_bytes_never_panic(records in records(), codec in 0u8..5, at: prop::sample::Index, flip in 1u8..) {
        let mut bytes = ours(PLAIN, Compression::from_id(codec).unwrap(), &records).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let forged = Bytes::from(bytes);
        for batch in batch::batches(forged.clone()).chain(batch::batches(forged.slice(..at))).flatten() {
            if let Ok(found) = batch.records(DecodeLimits { decompressed_bytes_max: 1 << 20 }) {
                found.for_each(drop);
            }
        }
        let _ = BatchHeader::parse(&forged[at..]);
    }
}
