//! Header, checksum and the fields that are changed in place.

use bytes::BytesMut;

use super::*;
use crate::builder::RecordBatchBuilder;

fn batch_of(records: usize) -> Bytes {
    let mut builder = RecordBatchBuilder::new()
        .producer(ProducerId(7), ProducerEpoch(1), 5)
        .base_offset(Offset(100));
    for index in 0..records {
        builder.append(1_000 + index as i64, Some(b"key"), Some(b"value"), &[]);
    }
    builder.build()
}

#[test]
fn a_header_is_read_and_written_back() {
    let bytes = batch_of(3);
    let header = BatchHeader::parse(&bytes).unwrap();
    assert_eq!(header.to_bytes(), bytes[..HEADER_BYTES]);
    assert_eq!(header.size_in_bytes(), bytes.len());
    assert_eq!(
        (header.base_offset, header.last_offset(), header.next_offset()),
        (Offset(100), Offset(102), Offset(103))
    );
    assert_eq!((header.base_timestamp, header.max_timestamp), (1_000, 1_002));
    assert_eq!((header.base_sequence, header.last_sequence(), header.record_count), (5, 7, 3));
    assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(7), ProducerEpoch(1)));
    assert_eq!(header.compression(), Ok(Compression::None));
    assert_eq!(header.delete_horizon(), None);
    assert!(!header.is_control() && !header.is_transactional());
}

#[test]
fn w10_other_formats_are_named_even_if_shorter_than_a_header() {
    let mut bytes = batch_of(1).to_vec();
    bytes[MAGIC_AT] = 1;
    assert_eq!(BatchHeader::parse(&bytes[..20]), Err(BatchError::Magic(1)));
    bytes[MAGIC_AT] = 3;
    assert_eq!(BatchHeader::parse(&bytes), Err(BatchError::Magic(3)));
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let bytes = batch_of(1);
    for length in [i32::MIN, -1, 0, 48] {
        let mut bytes = bytes.to_vec();
        bytes[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(BatchHeader::parse(&bytes), Err(BatchError::Length(length)));
    }
    assert_eq!(BatchHeader::parse(&bytes[..60]), Err(BatchError::Cut { needed: 61, have: 60 }));
    let cut = bytes.slice(..bytes.len() - 1);
    assert_eq!(
        RecordBatch::parse(&cut),
        Err(BatchError::Cut {
            needed: bytes.len(),
            have: bytes.len() - 1
        })
    );
}

#[test]
fn trap_28_batches_are_shared_and_the_last_one_may_be_cut() {
    let bytes: Bytes = [batch_of(1), batch_of(4), batch_of(2)].concat().into();
    let found: Vec<RecordBatch> = batches(bytes.clone()).collect::<Result<_, _>>().unwrap();
    assert_eq!(found.iter().map(|batch| batch.header.record_count).collect::<Vec<_>>(), [1, 4, 2]);
    assert_eq!(found[0].bytes.as_ptr(), bytes.as_ptr());
    let mut cut = batches(bytes.slice(..bytes.len() - 5));
    assert!(cut.next().unwrap().is_ok() && cut.next().unwrap().is_ok());
    assert!(matches!(cut.next(), Some(Err(BatchError::Cut { .. }))));
    assert!(cut.next().is_none());
}

#[test]
fn trap_13_offset_and_leader_epoch_are_outside_the_checksum() {
    let mut bytes = BytesMut::from(&batch_of(2)[..]);
    patch_base_offset(&mut bytes, Offset(i64::MAX - 1));
    patch_leader_epoch(&mut bytes, LeaderEpoch(42));
    verify_crc(&bytes).unwrap();
    let header = BatchHeader::parse(&bytes).unwrap();
    assert_eq!(
        (header.base_offset, header.partition_leader_epoch),
        (Offset(i64::MAX - 1), LeaderEpoch(42))
    );
    assert_eq!(header.last_offset(), Offset(i64::MAX));
}

#[test]
fn trap_13_stamping_recomputes_the_checksum() {
    let mut bytes = BytesMut::from(&batch_of(2)[..]);
    patch_timestamps(&mut bytes, TimestampType::LogAppendTime, 5_000);
    verify_crc(&bytes).unwrap();
    let header = BatchHeader::parse(&bytes).unwrap();
    assert_eq!(
        (header.timestamp_type(), header.max_timestamp),
        (TimestampType::LogAppendTime, 5_000)
    );
    patch_timestamps(&mut bytes, TimestampType::CreateTime, 1_001);
    assert_eq!(bytes, batch_of(2));
}

#[test]
fn w9_every_flipped_bit_under_the_checksum_is_found() {
    let bytes = batch_of(2);
    for at in CRC_AT..bytes.len() {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x10;
        assert!(matches!(verify_crc(&bytes), Err(BatchError::Checksum { .. })), "byte {at}");
    }
}

#[test]
fn w14_codecs_5_to_7_are_unknown() {
    for id in 5i16..8 {
        let header = BatchHeader {
            attributes: id,
            ..BatchHeader::parse(&batch_of(1)).unwrap()
        };
        assert_eq!(header.compression(), Err(BatchError::Codec(id as u8)));
    }
}

#[test]
fn trap_20_sequences_wrap_from_the_largest_to_zero() {
    assert_eq!(increment_sequence(i32::MAX, 1), 0);
    assert_eq!(increment_sequence(i32::MAX - 1, 4), 2);
    assert_eq!(increment_sequence(5, 0), 5);
    assert_eq!(decrement_sequence(0, 1), i32::MAX);
    assert_eq!(decrement_sequence(2, 4), i32::MAX - 1);
    let header = BatchHeader {
        base_sequence: i32::MAX,
        last_offset_delta: 2,
        ..BatchHeader::parse(&batch_of(3)).unwrap()
    };
    assert_eq!(header.last_sequence(), 1);
    assert_eq!(
        BatchHeader {
            base_sequence: NO_SEQUENCE,
            ..header
        }
        .last_sequence(),
        NO_SEQUENCE
    );
}
