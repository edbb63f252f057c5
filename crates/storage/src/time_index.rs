//! `.timeindex`: the latest timestamp so far, and the batch that has it. Timestamps rise from entry to entry.

use crate::index_file::IndexEntry;

/// No record up to the batch whose last offset is `relative_offset` above the segment's base offset is newer than `timestamp`; that batch
/// is the first with a record that new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) relative_offset: i32,
}

impl IndexEntry for TimeEntry {
    const BYTES: usize = 12;

    fn key(&self) -> i64 {
        self.timestamp
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> TimeEntry {
        TimeEntry {
            timestamp: i64::from_be_bytes(bytes[..8].try_into().expect("eight bytes")),
            relative_offset: i32::from_be_bytes(bytes[8..12].try_into().expect("four bytes")),
        }
    }
}
