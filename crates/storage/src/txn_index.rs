//! Entries of a `.txnindex` file: the aborted transactions whose marker lies in a segment, in the order of their markers.

use dohle_protocol::id::{Offset, ProducerId};

/// Bytes of one entry.
pub const ENTRY_BYTES: usize = 34;
const VERSION: i16 = 0;

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// Of its marker.
    pub last_offset: Offset,
    /// Of the log when the marker was appended: no transaction that began below is still to come in the index.
    pub last_stable_offset: Offset,
}

/// A `.txnindex` file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TxnIndexError {
    #[error("transaction index has {0} bytes, which is no multiple of its entries")]
    Length(usize),
    #[error("transaction index entry has version {0}")]
    Version(i16),
    #[error("transaction index goes back to offset {0}")]
    Order(Offset),
}

impl AbortedTxn {
    pub fn to_bytes(&self) -> [u8; ENTRY_BYTES] {
        let mut out = [0; ENTRY_BYTES];
        out[..2].copy_from_slice(&VERSION.to_be_bytes());
        for (at, value) in [
            (2, self.producer_id.0),
            (10, self.first_offset.0),
            (18, self.last_offset.0),
            (26, self.last_stable_offset.0),
        ] {
            out[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        out
    }

    fn from_bytes(entry: &[u8; ENTRY_BYTES]) -> Result<AbortedTxn, TxnIndexError> {
        let version = i16::from_be_bytes([entry[0], entry[1]]);
        if version != VERSION {
            return Err(TxnIndexError::Version(version));
        }
        let long_at = |at: usize| i64::from_be_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
        Ok(AbortedTxn {
            producer_id: ProducerId(long_at(2)),
            first_offset: Offset(long_at(10)),
            last_offset: Offset(long_at(18)),
            last_stable_offset: Offset(long_at(26)),
        })
    }
}

/// All entries of a file. `segment_base` is the first offset of its segment; no marker lies before.
pub fn decode(file: &[u8], segment_base: Offset) -> Result<Vec<AbortedTxn>, TxnIndexError> {
    let (entries, rest) = file.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() {
        return Err(TxnIndexError::Length(file.len()));
    }
    let mut found: Vec<AbortedTxn> = Vec::new();
    for entry in entries {
        let txn = AbortedTxn::from_bytes(entry)?;
        let least = found.last().map_or(segment_base, |previous| previous.last_offset + 1);
        if txn.last_offset < least {
            return Err(TxnIndexError::Order(txn.last_offset));
        }
        found.push(txn);
    }
    Ok(found)
}

/// Adds to `found` the transactions that touch the offsets from `fetch_offset` up to, not including, `upper_bound`; true if the following
/// segments cannot have more of them.
pub fn collect_overlapping(entries: &[AbortedTxn], fetch_offset: Offset, upper_bound: Offset, found: &mut Vec<AbortedTxn>) -> bool {
    for txn in entries {
        if txn.last_offset >= fetch_offset && txn.first_offset < upper_bound {
            found.push(*txn);
        }
        if txn.last_stable_offset >= upper_bound {
            return true;
        }
    }
    false
}

/// How many of `entries` remain when the log is cut to end at `log_end`.
pub fn retained(entries: &[AbortedTxn], log_end: Offset) -> usize {
    entries.partition_point(|txn| txn.last_offset < log_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txn(producer: i64, first: i64, last: i64, stable: i64) -> AbortedTxn {
        AbortedTxn {
            producer_id: ProducerId(producer),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(stable),
        }
    }

    fn file(entries: &[AbortedTxn]) -> Vec<u8> {
        entries.iter().flat_map(AbortedTxn::to_bytes).collect()
    }

    #[test]
    fn entries_are_34_bytes_big_endian() {
        let entry = txn(1, 2, 3, 4).to_bytes();
        let mut expected = vec![0, 0];
        expected.extend([1i64, 2, 3, 4].iter().flat_map(|value| value.to_be_bytes()));
        assert_eq!(entry[..], expected);
        let entries = [txn(1, 2, 3, 4), txn(5, 0, 9, 10)];
        assert_eq!(decode(&file(&entries), Offset(0)), Ok(entries.to_vec()));
    }

    #[test]
    fn trap_36_a_fetch_gets_the_aborted_transactions_of_its_range() {
        // The second began before the first ended, so the stable offset stayed at its start.
        let entries = [txn(1, 0, 10, 5), txn(2, 5, 20, 21), txn(3, 30, 40, 41)];
        let overlapping = |from, to| {
            let mut found = Vec::new();
            let complete = collect_overlapping(&entries, Offset(from), Offset(to), &mut found);
            (found.iter().map(|txn| txn.producer_id.0).collect::<Vec<_>>(), complete)
        };
        assert_eq!(overlapping(0, 3), (vec![1], true));
        assert_eq!(overlapping(0, 6), (vec![1, 2], true));
        assert_eq!(overlapping(11, 15), (vec![2], true));
        assert_eq!(overlapping(21, 30), (vec![], true));
        assert_eq!(overlapping(21, 100), (vec![3], false));
        assert_eq!(overlapping(41, 100), (vec![], false));
    }

    #[test]
    fn truncation_drops_markers_at_or_above_the_end() {
        let entries = [txn(1, 0, 10, 5), txn(2, 5, 20, 21)];
        assert_eq!([9, 10, 11, 20, 21].map(|end| retained(&entries, Offset(end))), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn d5_a_garbage_index_is_refused() {
        let good = file(&[txn(1, 0, 10, 5)]);
        assert_eq!(decode(&good[..33], Offset(0)), Err(TxnIndexError::Length(33)));
        assert_eq!(decode(&[7; ENTRY_BYTES], Offset(0)), Err(TxnIndexError::Version(0x707)));
        assert_eq!(decode(&good, Offset(11)), Err(TxnIndexError::Order(Offset(10))));
        assert_eq!(
            decode(&[good.clone(), good].concat(), Offset(0)),
            Err(TxnIndexError::Order(Offset(10)))
        );
    }
}
