//! The offsets of the records of one batch.

use dohle_protocol::batch::BatchHeader;
use dohle_protocol::id::Offset;
use dohle_protocol::record::{RecordError, RecordView};

/// Reads them in order, and checks that they rise and stay within the batch: without `strict.validation` nobody has, before.
#[derive(Debug)]
pub(super) struct RecordOffsets {
    base: Offset,
    delta_min: i32,
    delta_max: i32,
}

impl RecordOffsets {
    pub(super) fn of(header: &BatchHeader) -> RecordOffsets {
        RecordOffsets {
            base: header.base_offset,
            delta_min: 0,
            delta_max: header.last_offset_delta,
        }
    }

    pub(super) fn next(&mut self, record: &RecordView<'_>) -> Result<Offset, RecordError> {
        let delta = record.offset_delta;
        if !(self.delta_min..=self.delta_max).contains(&delta) {
            return Err(RecordError::Field("offset delta"));
        }
        self.delta_min = delta.saturating_add(1);
        Ok(self.base + i64::from(delta))
    }
}
