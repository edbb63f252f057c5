//! Control records: what a log says to its readers between the data. Above all the marker that ends a transaction.

use bytes::Bytes;

use crate::batch::RecordBatch;
use crate::builder::RecordBatchBuilder;
use crate::id::{LeaderEpoch, ProducerEpoch, ProducerId};
use crate::record::{DecodeLimits, Record, RecordError};

/// No control batch that means anything is larger.
const CONTROL_BATCH_BYTES_MAX: usize = 1 << 20;

/// The kind of a control record, from its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlKind {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KraftVersion,
    KraftVoters,
    /// To be skipped by whoever does not know it.
    Unknown(i16),
}

impl ControlKind {
    pub fn from_key(key: &[u8]) -> Result<ControlKind, RecordError> {
        let (_version, kind) = version_and(key).ok_or(RecordError::Field("control record key"))?;
        Ok(match i16::from_be_bytes(*kind) {
            0 => ControlKind::Abort,
            1 => ControlKind::Commit,
            2 => ControlKind::LeaderChange,
            3 => ControlKind::SnapshotHeader,
            4 => ControlKind::SnapshotFooter,
            5 => ControlKind::KraftVersion,
            6 => ControlKind::KraftVoters,
            other => ControlKind::Unknown(other),
        })
    }
}

/// Version, not negative, then a field of `N` bytes; newer versions may have more.
fn version_and<const N: usize>(bytes: &[u8]) -> Option<(i16, &[u8; N])> {
    let (version, rest) = bytes.split_first_chunk::<2>()?;
    let version = i16::from_be_bytes(*version);
    (version >= 0).then_some((version, rest.first_chunk()?))
}

/// The marker that ends a transaction in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTxnMarker {
    pub committed: bool,
    /// Of the transaction coordinator that sent it; an older one is a zombie.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// The marker in a control record; `None` for the other kinds.
    pub fn from_record(record: &Record) -> Result<Option<EndTxnMarker>, RecordError> {
        let key = record.key.as_deref().ok_or(RecordError::Field("control record key"))?;
        let committed = match ControlKind::from_key(key)? {
            ControlKind::Commit => true,
            ControlKind::Abort => false,
            _ => return Ok(None),
        };
        let value = record.value.as_deref().ok_or(RecordError::Field("transaction marker"))?;
        let (_version, coordinator_epoch) = version_and(value).ok_or(RecordError::Field("transaction marker"))?;
        Ok(Some(EndTxnMarker {
            committed,
            coordinator_epoch: i32::from_be_bytes(*coordinator_epoch),
        }))
    }

    /// The marker in a batch; `None` if it is no control batch, another kind of one, or has been emptied by compaction.
    pub fn from_batch(batch: &RecordBatch) -> Result<Option<EndTxnMarker>, RecordError> {
        if !batch.header.is_control() {
            return Ok(None);
        }
        let limits = DecodeLimits {
            decompressed_bytes_max: CONTROL_BATCH_BYTES_MAX,
        };
        match batch.records(limits)?.next() {
            None => Ok(None),
            Some(record) => EndTxnMarker::from_record(&record?),
        }
    }

    /// The control batch that carries the marker.
    pub fn to_batch(self, timestamp: i64, producer_id: ProducerId, producer_epoch: ProducerEpoch, leader_epoch: LeaderEpoch) -> Bytes {
        let mut builder = RecordBatchBuilder::new()
            .producer(producer_id, producer_epoch, crate::batch::NO_SEQUENCE)
            .leader_epoch(leader_epoch)
            .transactional()
            .control();
        let key = [0, 0, 0, u8::from(self.committed)];
        let mut value = [0; 6];
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        builder.append(timestamp, Some(&key), Some(&value), &[]);
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_23_a_marker_is_one_record_of_a_control_batch() {
        for committed in [true, false] {
            let marker = EndTxnMarker {
                committed,
                coordinator_epoch: 7,
            };
            let bytes = marker.to_batch(1234, ProducerId(9), ProducerEpoch(3), LeaderEpoch(5));
            let batch = RecordBatch::parse(&bytes).unwrap();
            assert!(batch.header.is_control() && batch.header.is_transactional());
            assert_eq!((batch.header.record_count, batch.header.base_sequence), (1, -1));
            let record = batch
                .records(DecodeLimits {
                    decompressed_bytes_max: 1 << 10,
                })
                .unwrap()
                .next()
                .unwrap()
                .unwrap();
            assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, u8::from(committed)][..]));
            assert_eq!(record.value.as_deref(), Some(&[0, 0, 0, 0, 0, 7][..]));
            assert_eq!(EndTxnMarker::from_batch(&batch), Ok(Some(marker)));
        }
    }

    #[test]
    fn other_kinds_are_tolerated_and_garbage_is_refused() {
        let record = |key: &'static [u8], value: &'static [u8]| Record {
            key: Some(Bytes::from_static(key)),
            value: Some(Bytes::from_static(value)),
            ..Record::default()
        };
        for kind in [2, 3, 4, 5, 6, 77] {
            let key = Bytes::from(vec![0, 0, 0, kind]);
            let record = Record {
                key: Some(key),
                ..record(&[], b"anything")
            };
            assert_eq!(EndTxnMarker::from_record(&record), Ok(None));
        }
        assert!(matches!(ControlKind::from_key(&[0, 0, 0, 77]), Ok(ControlKind::Unknown(77))));
        // A newer version may carry more than we know.
        let newer = record(&[0, 9, 0, 1, 42], &[0, 9, 0, 0, 0, 8, 42]);
        assert_eq!(
            EndTxnMarker::from_record(&newer),
            Ok(Some(EndTxnMarker {
                committed: true,
                coordinator_epoch: 8
            }))
        );
        assert!(EndTxnMarker::from_record(&record(&[0, 0, 0], &[])).is_err());
        assert!(EndTxnMarker::from_record(&record(&[0xff, 0xff, 0, 1], &[0; 6])).is_err());
        assert!(EndTxnMarker::from_record(&record(&[0, 0, 0, 1], &[0; 5])).is_err());
        assert!(
            EndTxnMarker::from_record(&Record {
                key: None,
                ..record(&[], &[])
            })
            .is_err()
        );
    }
}
