//! What records have in common that are written alike, so that one comparison checks all of it.

use crate::zigzag;
use std::ops::Range;

/// The length of a key that is null, as it is written.
const NULL: u8 = 1;

/// Records of one size, with keys of one size and without headers, whose numbers take the same bytes: one or two, but one for the length of the
/// key and up to three for the offset delta, and eight at most up to the key.
pub(crate) struct Shape {
    record_bytes: usize,
    /// Of the first eight bytes, the bits that do not depend on the record: neither its attributes nor the digits of its timestamp delta.
    mask: u64,
    /// What they are in the record whose shape this is.
    head: u64,
    /// The first offset delta that takes another byte.
    index_end: i32,
    /// What is added to the head for the next record.
    next: u64,
    /// The bits in the head that say that another byte of the offset delta follows.
    continued: u64,
    timestamp_shift: usize,
    /// Of the second byte of the timestamp delta.
    timestamp_mask: u64,
    value_length_at: usize,
    value_length_mask: u16,
    value_length: u16,
    has_key: bool,
}

/// Records of one shape that are all well formed.
pub(crate) struct ShapeRun {
    pub(crate) records: i32,
    pub(crate) timestamp_delta_min: i64,
    pub(crate) timestamp_delta_max: i64,
    pub(crate) all_have_keys: bool,
}

impl Shape {
    /// The shape of `record`, which is well formed; `None` if it has none.
    pub(crate) fn of(record: &[u8]) -> Option<Shape> {
        let word = u64::from_le_bytes(*record.first_chunk()?);
        let (_, length_bytes) = zigzag::short_length(word)?;
        let timestamp_at = length_bytes + 1;
        let (_, timestamp_bytes) = zigzag::short_length(word >> (8 * timestamp_at))?;
        let offset_delta_at = timestamp_at + timestamp_bytes;
        let offset_delta_bytes = 1 + (!(word >> (8 * offset_delta_at)) & 0x80_8080).trailing_zeros() as usize / 8;
        let key_length_at = offset_delta_at + offset_delta_bytes;
        if offset_delta_bytes > 3 || key_length_at >= 8 {
            return None;
        }
        let key_length = record[key_length_at];
        let has_key = key_length != NULL;
        if has_key && key_length & 0x81 != 0 {
            return None;
        }
        let value_length_at = key_length_at + 1 + if has_key { usize::from(key_length >> 1) } else { 0 };
        let value_length = u16::from_le_bytes(*record.get(value_length_at..)?.first_chunk()?);
        let (value, value_length_bytes) = zigzag::short_length(value_length.into())?;
        // What is left is the number of headers.
        if value_length_at + value_length_bytes + value + 1 != record.len() {
            return None;
        }
        let bytes = |at: usize, bytes: usize| (u64::MAX >> (64 - 8 * bytes)) << (8 * at);
        let timestamp_mask = if timestamp_bytes == 1 { 0 } else { 0x3f80 };
        let timestamp_digits = (timestamp_mask << 1 | 0x7e) << (8 * timestamp_at);
        let mask = bytes(0, key_length_at + 1) & !bytes(length_bytes, 1) & !timestamp_digits;
        let value_length_mask = if value_length_bytes == 1 { 0xff } else { 0xffff };
        Some(Shape {
            record_bytes: record.len(),
            mask,
            head: word & mask,
            index_end: 1 << (7 * offset_delta_bytes - 1),
            next: 2 << (8 * offset_delta_at),
            continued: (0x80_8080 >> (8 * (4 - offset_delta_bytes))) << (8 * offset_delta_at),
            timestamp_shift: 8 * timestamp_at,
            timestamp_mask,
            value_length_at,
            value_length_mask,
            value_length: value_length & value_length_mask,
            has_key,
        })
    }

    /// Goes over the records that follow the one whose shape this is and have the offset deltas `indexes`, up to the first that has another shape
    /// or is not well formed.
    pub(crate) fn run(&self, following: &[u8], indexes: Range<i32>) -> ShapeRun {
        let (mut min, mut max) = (i64::MAX, i64::MIN);
        let mut head = self.head;
        let mut records = 0;
        let records_max = indexes.end.min(self.index_end) - indexes.start;
        for record in following.chunks_exact(self.record_bytes).take(records_max as usize) {
            // All bytes of the offset delta but its last have their highest bit set: a carry goes through it into the next byte, and clears it.
            head = (head + self.next) | self.continued;
            let (word, value_length) = self.look(record);
            if word & self.mask != head || value_length != self.value_length || record.last() != Some(&0) {
                break;
            }
            let timestamp = word >> self.timestamp_shift;
            let timestamp_delta = (((timestamp & 0x7f) | (timestamp >> 1 & self.timestamp_mask)) >> 1) as i64;
            min = min.min(timestamp_delta);
            max = max.max(timestamp_delta);
            records += 1;
        }
        ShapeRun {
            records,
            timestamp_delta_min: min,
            timestamp_delta_max: max,
            all_have_keys: self.has_key,
        }
    }

    #[inline(always)]
    fn look(&self, record: &[u8]) -> (u64, u16) {
        let head = record.first_chunk().expect("a shape has eight bytes");
        let value_length = record[self.value_length_at..]
            .first_chunk()
            .expect("a shape has a value and headers");
        (
            u64::from_le_bytes(*head),
            u16::from_le_bytes(*value_length) & self.value_length_mask,
        )
    }
}
