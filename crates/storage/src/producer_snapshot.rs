//! The `.snapshot` file: the state of the producers at a segment's start, in Kafka's format version 1.

use bytes::{Buf, BufMut};
use dohle_protocol::id::{Offset, ProducerEpoch, ProducerId};

const VERSION: i16 = 1;
/// Version and checksum, which the checksum does not cover.
const ENTRIES_AT: usize = 6;
const ENTRY_BYTES: usize = 46;

/// What a snapshot keeps of a producer: its last batch, and the transaction that it has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerSnapshotEntry {
    pub producer_id: ProducerId,
    pub epoch: ProducerEpoch,
    /// -1 = no batch is remembered.
    pub last_sequence: i32,
    pub last_offset: Offset,
    /// Last minus first offset of the last batch.
    pub offset_delta: i32,
    pub last_timestamp: i64,
    pub coordinator_epoch: i32,
    pub txn_first_offset: Option<Offset>,
}

/// A `.snapshot` file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProducerSnapshotError {
    #[error("producer snapshot has version {0}")]
    Version(i16),
    #[error("producer snapshot does not match its checksum")]
    Checksum,
    #[error("producer snapshot has {0} bytes, which do not fit its entries")]
    Length(usize),
}

pub fn encode(entries: &[ProducerSnapshotEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENTRIES_AT + 4 + entries.len() * ENTRY_BYTES);
    out.put_i16(VERSION);
    out.put_u32(0);
    out.put_i32(i32::try_from(entries.len()).expect("the number of producers is limited"));
    for entry in entries {
        out.put_i64(entry.producer_id.0);
        out.put_i16(entry.epoch.0);
        out.put_i32(entry.last_sequence);
        out.put_i64(entry.last_offset.0);
        out.put_i32(entry.offset_delta);
        out.put_i64(entry.last_timestamp);
        out.put_i32(entry.coordinator_epoch);
        out.put_i64(entry.txn_first_offset.unwrap_or(Offset::NONE).0);
    }
    let crc = checksum(&out);
    out[2..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

pub fn decode(file: &[u8]) -> Result<Vec<ProducerSnapshotEntry>, ProducerSnapshotError> {
    let length = ProducerSnapshotError::Length(file.len());
    if file.len() < ENTRIES_AT + 4 {
        return Err(length);
    }
    let mut rest = file;
    let version = rest.get_i16();
    if version != VERSION {
        return Err(ProducerSnapshotError::Version(version));
    }
    if rest.get_u32() != checksum(file) {
        return Err(ProducerSnapshotError::Checksum);
    }
    let count = usize::try_from(rest.get_i32()).map_err(|_| length)?;
    if count.checked_mul(ENTRY_BYTES) != Some(rest.len()) {
        return Err(length);
    }
    Ok((0..count).map(|_| take_entry(&mut rest)).collect())
}

fn take_entry(rest: &mut &[u8]) -> ProducerSnapshotEntry {
    ProducerSnapshotEntry {
        producer_id: ProducerId(rest.get_i64()),
        epoch: ProducerEpoch(rest.get_i16()),
        last_sequence: rest.get_i32(),
        last_offset: Offset(rest.get_i64()),
        offset_delta: rest.get_i32(),
        last_timestamp: rest.get_i64(),
        coordinator_epoch: rest.get_i32(),
        txn_first_offset: Some(Offset(rest.get_i64())).filter(|offset| offset.0 >= 0),
    }
}

fn checksum(file: &[u8]) -> u32 {
    dohle_protocol::batch::crc32c(&file[ENTRIES_AT..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> ProducerSnapshotEntry {
        ProducerSnapshotEntry {
            producer_id: ProducerId(1),
            epoch: ProducerEpoch(2),
            last_sequence: 3,
            last_offset: Offset(4),
            offset_delta: 5,
            last_timestamp: 6,
            coordinator_epoch: 7,
            txn_first_offset: None,
        }
    }

    #[test]
    fn the_file_is_kafkas_version_1() {
        let file = encode(&[entry()]);
        let body = [
            &1i32.to_be_bytes()[..],
            &1i64.to_be_bytes(),
            &2i16.to_be_bytes(),
            &3i32.to_be_bytes(),
            &4i64.to_be_bytes(),
            &5i32.to_be_bytes(),
            &6i64.to_be_bytes(),
            &7i32.to_be_bytes(),
            &(-1i64).to_be_bytes(),
        ]
        .concat();
        assert_eq!(file[..2], [0, 1]);
        assert_eq!(file[2..6], dohle_protocol::batch::crc32c(&body).to_be_bytes());
        assert_eq!(file[6..], body);
    }

    #[test]
    fn entries_come_back() {
        let entries = [
            entry(),
            ProducerSnapshotEntry {
                producer_id: ProducerId(9),
                txn_first_offset: Some(Offset(0)),
                ..entry()
            },
        ];
        assert_eq!(decode(&encode(&entries)), Ok(entries.to_vec()));
        assert_eq!(decode(&encode(&[])), Ok(vec![]));
    }

    #[test]
    fn d5_a_corrupt_snapshot_is_refused() {
        let file = encode(&[entry()]);
        for at in 2..file.len() {
            let mut broken = file.clone();
            broken[at] ^= 1;
            assert_eq!(decode(&broken), Err(ProducerSnapshotError::Checksum), "byte {at}");
        }
        let mut newer = file.clone();
        newer[1] = 2;
        assert_eq!(decode(&newer), Err(ProducerSnapshotError::Version(2)));
        assert!(decode(&file[..file.len() - 1]).is_err() && decode(&[]).is_err());
        let mut huge = file[..10].to_vec();
        huge[6..].copy_from_slice(&i32::MAX.to_be_bytes());
        let crc = checksum(&huge);
        huge[2..6].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode(&huge), Err(ProducerSnapshotError::Length(10)));
    }
}
