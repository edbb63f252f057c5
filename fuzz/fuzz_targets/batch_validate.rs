//! Any bytes as the records of a produce request: refused with an error, or accepted as a batch that every reader can decode.

#![no_main]

use bytes::Bytes;
use dohle_protocol::batch::{self, HEADER_BYTES, RecordBatch, TimestampType};
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::compression::Compression;
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use dohle_protocol::record::{DecodeLimits, Header};
use dohle_storage::batch_validator::{ValidationContext, validate};
use dohle_storage::{AppendOrigin, LogConfig};
use libfuzzer_sys::fuzz_target;

const NOW_MS: i64 = 1_700_000_000_000;
const LIMITS: DecodeLimits = DecodeLimits {
    decompressed_bytes_max: 1 << 20,
};

// The first byte says where the batch comes from and how it is validated; the rest is the batch, or changes to a good one.
fuzz_target!(|data: &[u8]| {
    let Some((&choices, rest)) = data.split_first() else { return };
    let mut bytes = match Compression::from_id(choices & 7) {
        Some(codec) => good_but_changed(codec, rest),
        None => rest.to_vec(),
    };
    if choices & 8 != 0 {
        make_plausible(&mut bytes);
    }
    let bytes = Bytes::from(bytes);
    read_all(&bytes);
    accept_or_refuse(bytes, choices);
});

/// Readers meet what is on a disk or what a leader sends: not validated, and perhaps cut.
fn read_all(bytes: &Bytes) {
    for batch in batch::batches(bytes.clone()) {
        let Ok(batch) = batch else { return };
        let _ = batch.verify_crc();
        let _ = EndTxnMarker::from_batch(&batch);
        if let Ok(records) = batch.records(LIMITS) {
            let decoded = records.bytes().len();
            assert!(decoded <= LIMITS.decompressed_bytes_max.max(bytes.len()));
            let taken: usize = records
                .filter_map(Result::ok)
                .map(|record| record.value.map_or(0, |value| value.len()))
                .sum();
            assert!(taken <= decoded);
        }
    }
}

fn accept_or_refuse(bytes: Bytes, choices: u8) {
    let config = LogConfig {
        compact: choices & 16 != 0,
        timestamp_type: if choices & 32 != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        },
        ..LogConfig::default()
    };
    let origin = if choices & 64 != 0 {
        AppendOrigin::Coordinator
    } else {
        AppendOrigin::Client
    };
    let context = ValidationContext {
        origin,
        now_ms: NOW_MS,
        zstd_allowed: choices & 128 == 0,
    };
    match validate(bytes, &config, context) {
        Ok(valid) => {
            let placed = valid.place(Offset(1000), LeaderEpoch(7));
            placed.verify_crc().expect("an accepted batch has its checksum");
            let parsed = RecordBatch::parse(&placed.bytes).expect("an accepted batch can be parsed");
            assert_eq!(parsed.header, placed.header);
            if origin == AppendOrigin::Client {
                check_records(&parsed);
            }
        }
        Err(error) => assert!(!error.error_code().is_none()),
    }
}

/// What a client sends is believed only after every record has been decoded.
fn check_records(batch: &RecordBatch) {
    let limits = DecodeLimits {
        decompressed_bytes_max: 64 << 20,
    };
    let records = batch.records(limits).expect("an accepted batch can be decompressed");
    let offsets: Vec<_> = records
        .map(|record| record.expect("an accepted record can be decoded").offset)
        .collect();
    assert_eq!(offsets.len(), batch.header.record_count as usize);
    assert_eq!(offsets.last(), Some(&batch.header.last_offset()));
}

/// Length, magic and checksum as they should be, so that what lies behind them is looked at.
fn make_plausible(bytes: &mut [u8]) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let length = bytes.len() as i32 - 12;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    let crc = batch::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// A good batch, of which each three bytes of `changes` overwrite one: its position (two bytes) and the new value.
fn good_but_changed(codec: Compression, changes: &[u8]) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new()
        .compression(codec, None)
        .producer(ProducerId(5), ProducerEpoch(1), 0);
    builder.append(NOW_MS, Some(b"key"), Some(b"value"), &[Header::new("h", "1")]);
    builder.append(NOW_MS + 1, None, Some(&[b'x'; 200]), &[]);
    builder.append(NOW_MS - 1, Some(b"tombstone"), None, &[]);
    let mut bytes = builder.build().to_vec();
    for change in changes.chunks_exact(3) {
        let position = usize::from(u16::from_be_bytes([change[0], change[1]]));
        if let Some(byte) = bytes.get_mut(position) {
            *byte = change[2];
        }
    }
    bytes
}
