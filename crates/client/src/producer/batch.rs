//! One batch on its way: open for records, then bytes that are sent once or several times.

use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::batch::{NO_SEQUENCE, RecordBatch};
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::compression::Compression;
use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_protocol::record::{DecodeLimits, Record};
use tokio::time::Instant;

use super::ProducerRecord;
use super::delivery::Completion;
use crate::limits::BATCH_BYTES_UNPACKED_MAX;

/// Under which id and epoch batches are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: ProducerId,
    pub(super) epoch: ProducerEpoch,
}

/// What is written into the header when a batch is sent; `None` for a producer that is not idempotent.
pub(super) type Stamp = Option<(Identity, u64)>;

pub(super) struct Batch {
    contents: Contents,
    pub(super) record_count: u32,
    /// Uncompressed.
    pub(super) bytes: usize,
    pub(super) created: Instant,
    pub(super) attempts: u32,
    /// Number of its first record among all of the partition, since the numbering began. Given when it is first sent.
    pub(super) position: Option<u64>,
    pub(super) last_error: Option<String>,
    pub(super) completion: Arc<Completion>,
    /// Index of its first record within the completion.
    pub(super) first_index: u32,
}

enum Contents {
    Open(RecordBatchBuilder),
    Built { bytes: Bytes, stamp: Stamp },
}

impl Batch {
    pub(super) fn new(compression: Compression) -> Batch {
        let builder = RecordBatchBuilder::new().compression(compression, None);
        Batch {
            bytes: builder.size_in_bytes(),
            contents: Contents::Open(builder),
            record_count: 0,
            created: Instant::now(),
            attempts: 0,
            position: None,
            last_error: None,
            completion: Arc::default(),
            first_index: 0,
        }
    }

    /// Adds a record, and returns its index; `None` if the batch is closed or would outgrow `bytes_max`.
    pub(super) fn append(&mut self, record: &ProducerRecord, timestamp_ms: i64, bytes_max: usize) -> Option<u32> {
        let Contents::Open(builder) = &mut self.contents else { return None };
        if self.record_count > 0 && builder.size_in_bytes() + record_bytes_of(record) > bytes_max {
            return None;
        }
        builder.append(timestamp_ms, record.key.as_deref(), record.value.as_deref(), &record.headers);
        self.bytes = builder.size_in_bytes();
        self.record_count += 1;
        Some(self.record_count - 1)
    }

    /// The bytes to send under this stamp. Sending again under the same one gives the same bytes.
    pub(super) fn stamped(&mut self, stamp: Stamp, compression: Compression) -> Bytes {
        if let Contents::Built { bytes, stamp: current } = &self.contents
            && *current == stamp
        {
            return bytes.clone();
        }
        let placeholder = Contents::Built {
            bytes: Bytes::new(),
            stamp: None,
        };
        let builder = match std::mem::replace(&mut self.contents, placeholder) {
            Contents::Open(builder) => builder,
            Contents::Built { bytes, .. } => rebuild(&records_of(&bytes), compression),
        };
        let bytes = match stamp {
            Some((identity, position)) => builder.producer(identity.id, identity.epoch, sequence_at(position)).build(),
            None => builder.producer(ProducerId::NONE, ProducerEpoch::NONE, NO_SEQUENCE).build(),
        };
        self.contents = Contents::Built {
            bytes: bytes.clone(),
            stamp,
        };
        bytes
    }

    /// Two halves that take this batch's place, for a server that finds it too large; `None` for a single record.
    pub(super) fn split(&self, compression: Compression) -> Option<[Batch; 2]> {
        let Contents::Built { bytes, .. } = &self.contents else {
            return None;
        };
        if self.record_count < 2 {
            return None;
        }
        let records = records_of(bytes);
        let (first, second) = records.split_at(records.len() / 2);
        let mut before = 0;
        Some([first, second].map(|records| {
            let builder = rebuild(records, compression);
            let half = Batch {
                bytes: builder.size_in_bytes(),
                contents: Contents::Open(builder),
                record_count: records.len() as u32,
                created: self.created,
                attempts: self.attempts,
                position: self.position.map(|position| position + u64::from(before)),
                last_error: self.last_error.clone(),
                completion: self.completion.clone(),
                first_index: self.first_index + before,
            };
            before += records.len() as u32;
            half
        }))
    }
}

/// Sequence numbers count modulo 2^31.
fn sequence_at(position: u64) -> i32 {
    (position & 0x7fff_ffff) as i32
}

fn rebuild(records: &[Record], compression: Compression) -> RecordBatchBuilder {
    let mut builder = RecordBatchBuilder::new().compression(compression, None);
    for record in records {
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }
    builder
}

fn records_of(bytes: &Bytes) -> Vec<Record> {
    let limits = DecodeLimits {
        decompressed_bytes_max: BATCH_BYTES_UNPACKED_MAX,
    };
    let batch = RecordBatch::parse(bytes).expect("this producer built it");
    batch
        .records(limits)
        .expect("this producer built it")
        .map(|record| record.expect("this producer built it"))
        .collect()
}

fn record_bytes_of(record: &ProducerRecord) -> usize {
    RecordBatchBuilder::record_size_bound(record.key.as_deref(), record.value.as_deref(), &record.headers)
}

/// What the record would take in a batch of its own.
pub(super) fn batch_bytes_of(record: &ProducerRecord) -> usize {
    dohle_protocol::batch::HEADER_BYTES + record_bytes_of(record)
}

#[cfg(test)]
mod tests {
    use dohle_protocol::batch::BatchHeader;

    use super::*;

    fn batch_of(values: &[&'static str]) -> Batch {
        let mut batch = Batch::new(Compression::Lz4);
        for value in values {
            let record = ProducerRecord::new("t", None, Some(Bytes::from_static(value.as_bytes())));
            batch.append(&record, 7, 1 << 20).unwrap();
        }
        batch
    }

    fn values_of(bytes: &Bytes) -> Vec<Bytes> {
        records_of(bytes).into_iter().map(|record| record.value.unwrap()).collect()
    }

    fn stamp(epoch: i16, position: u64) -> Stamp {
        Some((
            Identity {
                id: ProducerId(9),
                epoch: ProducerEpoch(epoch),
            },
            position,
        ))
    }

    #[test]
    fn a_batch_is_sent_again_as_the_same_bytes_and_numbered_anew_when_asked() {
        let mut batch = batch_of(&["a", "b"]);
        let first = batch.stamped(stamp(0, 5), Compression::Lz4);
        assert_eq!(batch.stamped(stamp(0, 5), Compression::Lz4), first);
        let renumbered = batch.stamped(stamp(1, 0), Compression::Lz4);
        let header = BatchHeader::parse(&renumbered).unwrap();
        assert_eq!((header.producer_epoch.0, header.base_sequence, header.record_count), (1, 0, 2));
        assert_eq!(values_of(&renumbered), ["a", "b"]);
    }

    #[test]
    fn trap_20_sequences_wrap_to_zero() {
        let mut batch = batch_of(&["a"]);
        let header = BatchHeader::parse(&batch.stamped(stamp(0, (1 << 31) - 1), Compression::None)).unwrap();
        assert_eq!(header.base_sequence, i32::MAX);
        let header = BatchHeader::parse(&batch.stamped(stamp(0, 1 << 31), Compression::None)).unwrap();
        assert_eq!(header.base_sequence, 0);
    }

    #[test]
    fn halves_continue_the_numbering_and_a_single_record_cannot_be_split() {
        let mut batch = batch_of(&["a", "b", "c"]);
        batch.position = Some(10);
        batch.stamped(stamp(0, 10), Compression::Lz4);
        let [mut first, mut second] = batch.split(Compression::Lz4).unwrap();
        assert_eq!((first.position, second.position), (Some(10), Some(11)));
        assert_eq!((first.first_index, second.first_index), (0, 1));
        assert_eq!(values_of(&first.stamped(None, Compression::Lz4)), ["a"]);
        assert_eq!(values_of(&second.stamped(None, Compression::Lz4)), ["b", "c"]);
        assert!(first.split(Compression::Lz4).is_none());
    }
}
