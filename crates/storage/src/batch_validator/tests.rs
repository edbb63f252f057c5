//! What a log accepts, by row of the bad inputs and by trap.

use super::*;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_protocol::record::{DecodeLimits, Record};
use proptest::prelude::*;

const NOW_MS: i64 = 1_700_000_000_000;
const CLIENT: ValidationContext = ValidationContext {
    origin: AppendOrigin::Client,
    now_ms: NOW_MS,
    zstd_allowed: true,
};
const COORDINATOR: ValidationContext = ValidationContext {
    origin: AppendOrigin::Coordinator,
    ..CLIENT
};

fn builder(records: usize) -> RecordBatchBuilder {
    let mut builder = RecordBatchBuilder::new();
    for index in 0..records {
        builder.append(NOW_MS - index as i64, Some(b"key"), Some(b"value"), &[]);
    }
    builder
}

fn plain(records: usize) -> Bytes {
    builder(records).build()
}

fn compressed(codec: Compression, records: usize) -> Bytes {
    builder(records).compression(codec, None).build()
}

/// The batch with other header fields, and a checksum that fits them.
fn forged(batch: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).unwrap();
    change(&mut header);
    let mut bytes = [&header.to_bytes()[..], &batch[HEADER_BYTES..]].concat();
    patch_timestamps(&mut bytes, header.timestamp_type(), header.max_timestamp);
    bytes.into()
}

fn strict() -> LogConfig {
    LogConfig::default()
}

fn relaxed() -> LogConfig {
    LogConfig {
        strict_validation: false,
        ..LogConfig::default()
    }
}

/// The code and text of the refusal, whichever depth is configured.
fn refused_always(records: &Bytes) -> i16 {
    let codes = [strict(), relaxed()].map(|config| refused(records, &config));
    assert_eq!(codes[0], codes[1], "strict and relaxed");
    codes[0]
}

fn refused(records: &Bytes, config: &LogConfig) -> i16 {
    let error = validate(records.clone(), config, CLIENT).unwrap_err();
    assert!(!error.to_string().is_empty());
    error.error_code().code()
}

fn records(batch: &RecordBatch) -> Vec<Record> {
    batch.verify_crc().unwrap();
    batch
        .records(DecodeLimits {
            decompressed_bytes_max: 1 << 30,
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn a_good_batch_is_placed_in_its_own_bytes() {
    for config in [strict(), relaxed()] {
        let bytes = plain(3);
        let address = bytes.as_ptr();
        let placed = validate(bytes, &config, CLIENT).unwrap().place(Offset(1_000), LeaderEpoch(7));
        assert_eq!(placed.bytes.as_ptr(), address, "nothing is copied");
        assert_eq!(
            (placed.header.base_offset, placed.header.last_offset()),
            (Offset(1_000), Offset(1_002))
        );
        assert_eq!(BatchHeader::parse(&placed.bytes), Ok(placed.header));
        assert_eq!(records(&placed)[2].offset, Offset(1_002));
        assert_eq!(placed.header.partition_leader_epoch, LeaderEpoch(7));
    }
}

#[test]
fn a_batch_that_somebody_else_holds_is_not_changed() {
    let bytes = plain(1);
    let placed = validate(bytes.clone(), &strict(), CLIENT).unwrap().place(Offset(5), LeaderEpoch(1));
    assert_eq!((bytes, placed.header.base_offset), (plain(1), Offset(5)));
}

#[test]
fn every_codec_is_taken_as_it_is() {
    for codec in Compression::ALL {
        let bytes = compressed(codec, 100);
        for config in [strict(), relaxed()] {
            let placed = validate(bytes.clone(), &config, CLIENT).unwrap().place(Offset(0), LeaderEpoch(-1));
            assert_eq!(placed.bytes, bytes, "{codec}");
        }
    }
}

#[test]
fn w9_a_flipped_bit_is_corrupt() {
    let mut bytes = plain(1).to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(refused_always(&bytes.into()), 2);
}

#[test]
fn w10_trap_12_exactly_one_batch_of_format_2() {
    let one = plain(1);
    let mut old = one.to_vec();
    old[16] = 1;
    let two = Bytes::from([&one[..], &one[..]].concat());
    let cut = one.slice(..one.len() - 1);
    let trailing = Bytes::from([&one[..], b"x"].concat());
    for records in [Bytes::new(), old.into(), two, cut, trailing, one.slice(..30)] {
        assert_eq!(refused_always(&records), 87);
    }
}

#[test]
fn w11_trap_14_counts_that_do_not_fit() {
    let three = plain(3);
    let codes = [
        forged(&three, |header| header.record_count = i32::MAX),
        forged(&three, |header| header.record_count = 0),
        forged(&three, |header| header.record_count = -1),
        forged(&three, |header| header.last_offset_delta = 3),
        forged(&three, |header| header.last_offset_delta = -1),
        forged(&three, |header| {
            (header.record_count, header.last_offset_delta) = (i32::MAX, i32::MAX - 1)
        }),
        forged(&three, |header| {
            (header.record_count, header.last_offset_delta) = (i32::MIN, i32::MAX)
        }),
        forged(&compressed(Compression::Zstd, 3), |header| {
            (header.record_count, header.last_offset_delta) = (i32::MAX, i32::MAX - 1)
        }),
    ]
    .map(|records| refused_always(&records));
    assert_eq!(codes, [87; 8]);
}

#[test]
fn w11_what_only_a_look_at_the_records_shows() {
    for codec in Compression::ALL {
        let three = compressed(codec, 3);
        let fewer = forged(&three, |header| (header.record_count, header.last_offset_delta) = (2, 1));
        let more = forged(&three, |header| (header.record_count, header.last_offset_delta) = (4, 3));
        assert_eq!((refused(&fewer, &strict()), refused(&more, &strict())), (87, 87), "{codec}");
        assert!(validate(fewer, &relaxed(), CLIENT).is_ok());
    }
    let negative_headers = {
        let mut bytes = plain(1).to_vec();
        *bytes.last_mut().unwrap() = 1;
        forged(&bytes.into(), |_| ())
    };
    assert_eq!(refused(&negative_headers, &strict()), 87);
    let mut gap = RecordBatchBuilder::new();
    for offset in [0, 2] {
        gap.append_record(&Record {
            offset: Offset(offset),
            timestamp: NOW_MS,
            ..Record::default()
        });
    }
    let gap = forged(&gap.build(), |header| header.last_offset_delta = 1);
    assert_eq!(
        validate(gap, &strict(), CLIENT).unwrap_err(),
        ValidationError::OffsetDelta { index: 1, found: 2 }
    );
}

#[test]
fn w12_clients_write_no_control_records_and_number_their_batches() {
    let producer = |id, epoch, sequence| builder(1).producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    let codes = [
        builder(1).control().build(),
        producer(5, 0, -1).build(),
        producer(5, -1, 0).build(),
        builder(1).transactional().build(),
        builder(1).base_offset(Offset(1)).build(),
    ]
    .map(|records| refused_always(&records));
    assert_eq!(codes, [87; 5]);
    assert!(validate(producer(5, 0, 0).transactional().build(), &strict(), CLIENT).is_ok());
}

#[test]
fn trap_23_the_coordinator_writes_markers() {
    let config = LogConfig {
        compression: CompressionSetting::Codec(Compression::Zstd, None),
        compact: true,
        ..strict()
    };
    let marker = EndTxnMarker {
        committed: true,
        coordinator_epoch: 1,
    };
    let bytes = marker.to_batch(NOW_MS, ProducerId(1), ProducerEpoch(0), LeaderEpoch(0));
    let placed = validate(bytes, &config, COORDINATOR).unwrap().place(Offset(3), LeaderEpoch(0));
    assert_eq!(EndTxnMarker::from_batch(&placed), Ok(Some(marker)));
    assert_eq!(placed.header.compression(), Ok(Compression::None), "markers stay as they are");
}

#[test]
fn w13_a_bomb_is_too_large() {
    let value = vec![0; limits::PRODUCED_BYTES_DECOMPRESSED_MAX];
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let mut bomb = RecordBatchBuilder::new().compression(codec, None);
        bomb.append(NOW_MS, None, Some(&value), &[]);
        let bomb = bomb.build();
        assert!(bomb.len() < 1 << 20, "{codec}: {}", bomb.len());
        assert_eq!(refused(&bomb, &strict()), 10, "{codec}");
    }
}

#[test]
fn w14_codecs_and_their_data() {
    let zstd = compressed(Compression::Zstd, 3);
    let early = ValidationContext {
        zstd_allowed: false,
        ..CLIENT
    };
    assert_eq!(validate(zstd, &strict(), early).unwrap_err().error_code().code(), 76);
    for id in 5..8 {
        assert_eq!(refused_always(&forged(&plain(1), |header| header.attributes = id)), 76);
    }
    for codec in &Compression::ALL[1..] {
        let garbage = forged(&plain(1), |header| header.attributes = i16::from(codec.id()));
        assert_eq!(refused(&garbage, &strict()), 87, "{codec}");
    }
}

#[test]
fn w15_trap_16_the_limit_is_for_the_whole_batch_as_compressed() {
    let batch = compressed(Compression::Gzip, 1_000);
    let config = |max| LogConfig {
        max_message_bytes: max as u32,
        ..strict()
    };
    assert!(validate(batch.clone(), &config(batch.len()), CLIENT).is_ok());
    assert_eq!(refused(&batch, &config(batch.len() - 1)), 10);
    let uncompressed = LogConfig {
        compression: CompressionSetting::Codec(Compression::None, None),
        ..config(batch.len())
    };
    assert_eq!(refused(&batch, &uncompressed), 10, "what is written counts, not only what came");
}

#[test]
fn w16_timestamps_out_of_range_are_named() {
    let year_ms = 365 * 24 * 3_600_000;
    let mut batch = builder(1);
    batch.append(NOW_MS + year_ms, Some(b"k"), None, &[]);
    batch.append(NOW_MS - year_ms, Some(b"k"), None, &[]);
    batch.append(NO_TIMESTAMP, Some(b"k"), None, &[]);
    let batch = batch.build();
    for config in [strict(), relaxed()] {
        let error = validate(batch.clone(), &config, CLIENT).unwrap_err();
        assert_eq!(error.error_code(), ErrorCode::InvalidTimestamp);
        assert_eq!(error.rejections().iter().map(|record| record.batch_index).collect::<Vec<_>>(), [1]);
        assert!(error.rejections()[0].reason.to_string().contains(&(NOW_MS + year_ms).to_string()));
        let bounded = LogConfig {
            timestamp_before_max_ms: 1_000,
            ..config.clone()
        };
        let error = validate(batch.clone(), &bounded, CLIENT).unwrap_err();
        assert_eq!(
            error.rejections().iter().map(|record| record.batch_index).collect::<Vec<_>>(),
            [1, 2]
        );
        let free = LogConfig {
            timestamp_after_max_ms: i64::MAX,
            ..config.clone()
        };
        assert!(validate(batch.clone(), &free, CLIENT).is_ok());
        let stamping = LogConfig {
            timestamp_type: TimestampType::LogAppendTime,
            ..bounded
        };
        assert!(validate(batch.clone(), &stamping, CLIENT).is_ok());
    }
}

#[test]
fn w16_trap_15_a_compacted_topic_takes_no_record_without_key() {
    for codec in Compression::ALL {
        let mut batch = builder(2).compression(codec, None);
        batch.append(NOW_MS, None, Some(b"value"), &[]);
        let batch = batch.build();
        for config in [strict(), relaxed()] {
            let error = validate(
                batch.clone(),
                &LogConfig {
                    compact: true,
                    ..config.clone()
                },
                CLIENT,
            )
            .unwrap_err();
            assert_eq!(error.error_code(), ErrorCode::InvalidRecord);
            assert_eq!(
                error.rejections(),
                [RecordRejection {
                    batch_index: 2,
                    reason: RejectionReason::NoKey
                }]
            );
            assert!(validate(batch.clone(), &config, CLIENT).is_ok());
        }
    }
}

#[test]
fn faults_are_not_listed_without_end() {
    let mut batch = RecordBatchBuilder::new();
    for _ in 0..10 * limits::RECORD_ERRORS_MAX {
        batch.append(NOW_MS, None, None, &[]);
    }
    let error = validate(batch.build(), &LogConfig { compact: true, ..strict() }, CLIENT).unwrap_err();
    assert_eq!(error.rejections().len(), limits::RECORD_ERRORS_MAX);
}

#[test]
fn trap_13_trap_17_the_log_stamps_and_the_checksum_follows() {
    let config = LogConfig {
        timestamp_type: TimestampType::LogAppendTime,
        ..strict()
    };
    for codec in Compression::ALL {
        let placed = validate(compressed(codec, 3), &config, CLIENT)
            .unwrap()
            .place(Offset(9), LeaderEpoch(0));
        assert_eq!(
            (placed.header.timestamp_type(), placed.header.max_timestamp),
            (TimestampType::LogAppendTime, NOW_MS)
        );
        assert!(records(&placed).iter().all(|record| record.timestamp == NOW_MS));
    }
}

#[test]
fn a_wrong_max_timestamp_is_corrected_where_the_records_are_read() {
    let wrong = forged(&plain(3), |header| header.max_timestamp = 0);
    let placed = validate(wrong, &strict(), CLIENT).unwrap().place(Offset(0), LeaderEpoch(0));
    placed.verify_crc().unwrap();
    assert_eq!(placed.header.max_timestamp, NOW_MS);
}

#[test]
fn a_client_does_not_choose_who_stamps() {
    let stamped = builder(2).log_append_time(NOW_MS).build();
    let placed = validate(stamped, &strict(), CLIENT).unwrap().place(Offset(0), LeaderEpoch(0));
    placed.verify_crc().unwrap();
    assert_eq!(placed.header.timestamp_type(), TimestampType::CreateTime);
}

#[test]
fn trap_18_the_topic_chooses_the_codec() {
    let producer = |builder: RecordBatchBuilder| builder.producer(ProducerId(4), ProducerEpoch(2), 77);
    for source in Compression::ALL {
        for target in Compression::ALL {
            let config = LogConfig {
                compression: CompressionSetting::Codec(target, None),
                ..relaxed()
            };
            let batch = producer(builder(50)).compression(source, None).build();
            let placed = validate(batch, &config, CLIENT).unwrap().place(Offset(6), LeaderEpoch(1));
            assert_eq!(placed.header.compression(), Ok(target), "{source} to {target}");
            let expected = producer(builder(50))
                .base_offset(Offset(6))
                .leader_epoch(LeaderEpoch(1))
                .compression(target, None)
                .build();
            assert_eq!(placed.bytes, expected);
            assert_eq!(records(&placed).len(), 50);
        }
    }
}

proptest! {
    #[test]
    fn hostile_bytes_are_refused_or_harmless(codec in 0u8..5, target in 0u8..5, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let [codec, target] = [codec, target].map(|id| Compression::from_id(id).unwrap());
        let mut bytes = compressed(codec, 20).to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // With a checksum that fits, as a malicious client would send it.
        let stamped = BatchHeader::parse(&bytes).map(|header| (header.timestamp_type(), header.max_timestamp));
        if let Ok((timestamp_type, max_timestamp)) = stamped {
            patch_timestamps(&mut bytes, timestamp_type, max_timestamp);
        }
        let recompressing = LogConfig { compression: CompressionSetting::Codec(target, None), ..strict() };
        for config in [strict(), recompressing] {
            if let Ok(valid) = validate(Bytes::from(bytes.clone()), &config, CLIENT) {
                let placed = valid.place(Offset(1 << 40), LeaderEpoch(1));
                prop_assert_eq!(records(&placed).len(), placed.header.record_count as usize);
                // Timestamps may be negative; that of the batch is at least "none", as in Kafka.
                let latest = records(&placed).iter().map(|record| record.timestamp).max().unwrap();
                prop_assert_eq!(placed.header.max_timestamp, latest.max(NO_TIMESTAMP));
            }
        }
    }
}
