//! The quick way through the records of a batch: says that all of them are well formed, or nothing.
//!
//! It keeps one position and three numbers, while [`RecordView`](crate::record::RecordView) makes a value of each record and can say what is wrong
//! with it. Whoever gets `None` walks again that way, so that there is one source of errors.
//!
//! Where two records of one size follow each other, more are likely to: those are compared with their [`Shape`].

use crate::record_shape::Shape;
use crate::zigzag;
use std::ops::Range;

/// After a record that should have had a shape and has none, so many are not asked for theirs.
const WITHOUT_SHAPE: i32 = 64;

/// What is known of records that are all well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordWalk {
    pub timestamp_delta_min: i64,
    pub timestamp_delta_max: i64,
    pub all_have_keys: bool,
}

impl RecordWalk {
    /// Walks over `payload`, the decompressed records of a batch. `Some` if it is exactly `count` records, at least one, whose offset deltas count
    /// from zero.
    pub fn over(payload: &[u8], count: i32) -> Option<RecordWalk> {
        let mut walk = RecordWalk {
            timestamp_delta_min: i64::MAX,
            timestamp_delta_max: i64::MIN,
            all_have_keys: true,
        };
        let (mut start, mut index, mut bytes_before, mut shape_from) = (0, 0, 0, 0);
        while index < count {
            let end = walk.step(payload, start, index)?;
            index += 1;
            if end - start == bytes_before && index >= shape_from {
                let (records, bytes) = walk.run_like(payload.get(start..end)?, &payload[end..], index..count);
                shape_from = if records == 0 { index.saturating_add(WITHOUT_SHAPE) } else { 0 };
                index += records;
                start = end + bytes;
            } else {
                // Not where the last field ended, though that is the same: the processor begins with the next record while it is still busy with
                // this one.
                bytes_before = end - start;
                start = end;
            }
        }
        (start == payload.len() && count > 0).then_some(walk)
    }

    /// Steps over those records that follow `record` and have its shape. Returns how many these are, and their bytes.
    #[inline(never)]
    fn run_like(&mut self, record: &[u8], following: &[u8], indexes: Range<i32>) -> (i32, usize) {
        let Some(shape) = Shape::of(record) else {
            return (0, 0);
        };
        let run = shape.run(following, indexes);
        if run.records > 0 {
            self.timestamp_delta_min = self.timestamp_delta_min.min(run.timestamp_delta_min);
            self.timestamp_delta_max = self.timestamp_delta_max.max(run.timestamp_delta_max);
            self.all_have_keys &= run.all_have_keys;
        }
        (run.records, run.records as usize * record.len())
    }

    /// Steps over the record at `start`, and returns where it ends.
    #[inline(always)]
    fn step(&mut self, bytes: &[u8], start: usize, index: i32) -> Option<usize> {
        let mut at = start;
        let length = take_length(bytes, &mut at)?;
        let end = at.checked_add(length)?;
        // Attributes.
        at += 1;
        let timestamp_delta = zigzag::unzigzag(zigzag::take_raw_at(bytes, &mut at, 10)?);
        if take_length(bytes, &mut at)? != index as usize {
            return None;
        }
        self.all_have_keys &= skip_bytes(bytes, &mut at)?;
        skip_bytes(bytes, &mut at)?;
        for _ in 0..take_length(bytes, &mut at)? {
            let has_key = skip_bytes(bytes, &mut at)?;
            skip_bytes(bytes, &mut at)?;
            if !has_key {
                return None;
            }
        }
        self.timestamp_delta_min = self.timestamp_delta_min.min(timestamp_delta);
        self.timestamp_delta_max = self.timestamp_delta_max.max(timestamp_delta);
        // The position only grows, so that no field has reached beyond the end either; nor is there anything to be read at one beyond the payload.
        (at == end).then_some(end)
    }
}

/// Takes a 32-bit number that is not negative: its lowest bit as it is written is not set.
#[inline(always)]
fn take_length(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let raw = take_i32(bytes, at)?;
    (raw & 1 == 0).then_some(raw as usize >> 1)
}

/// Steps over a byte string. False if it is null.
#[inline(always)]
fn skip_bytes(bytes: &[u8], at: &mut usize) -> Option<bool> {
    let raw = take_i32(bytes, at)?;
    if raw & 1 == 0 {
        *at += raw as usize >> 1;
    }
    Some(raw & 1 == 0)
}

/// A 32-bit number as it is written.
#[inline(always)]
fn take_i32(bytes: &[u8], at: &mut usize) -> Option<u32> {
    u32::try_from(zigzag::take_raw_at(bytes, at, 5)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordView;
    use bytes::BufMut;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    struct Fields {
        timestamp_delta: i64,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    }

    fn fields() -> impl Strategy<Value = Fields> {
        let bytes = || vec(any::<u8>(), 0..200);
        let timestamp = prop_oneof![0..100i64, -100_000..100_000i64, any::<i64>()];
        (
            timestamp,
            option::of(bytes()),
            option::of(bytes()),
            vec((bytes(), option::of(bytes())), 0..3),
        )
            .prop_map(|(timestamp_delta, key, value, headers)| Fields {
                timestamp_delta,
                key,
                value,
                headers,
            })
    }

    /// Up to 300 records, many of them one after the other of one size, so that all ways are taken.
    fn alike() -> impl Strategy<Value = Vec<Fields>> {
        let times = (1..100usize, -1..200i64);
        vec((fields(), times), 1..4).prop_map(|runs| {
            let repeated = runs.into_iter().flat_map(|(fields, (times, timestamp_step))| {
                (0..times as i64).map(move |number| Fields {
                    timestamp_delta: if timestamp_step < 0 {
                        fields.timestamp_delta
                    } else {
                        number * timestamp_step
                    },
                    ..fields.clone()
                })
            });
            repeated.collect()
        })
    }

    fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
        zigzag::put(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
        out.extend_from_slice(bytes.unwrap_or_default());
    }

    fn payload(records: &[Fields]) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let mut body = Vec::new();
            body.put_u8(0);
            zigzag::put(&mut body, record.timestamp_delta);
            zigzag::put(&mut body, index as i64);
            put_bytes(&mut body, record.key.as_deref());
            put_bytes(&mut body, record.value.as_deref());
            zigzag::put(&mut body, record.headers.len() as i64);
            for (key, value) in &record.headers {
                put_bytes(&mut body, Some(key));
                put_bytes(&mut body, value.as_deref());
            }
            put_bytes(&mut out, Some(&body));
        }
        out
    }

    /// The same by the way that can say what is wrong.
    fn slow_walk(mut payload: &[u8], count: i32) -> Option<RecordWalk> {
        let mut walk = RecordWalk {
            timestamp_delta_min: i64::MAX,
            timestamp_delta_max: i64::MIN,
            all_have_keys: true,
        };
        for index in 0..count {
            let record = RecordView::take(&mut payload).ok().filter(|record| record.offset_delta == index)?;
            walk.timestamp_delta_min = walk.timestamp_delta_min.min(record.timestamp_delta);
            walk.timestamp_delta_max = walk.timestamp_delta_max.max(record.timestamp_delta);
            walk.all_have_keys &= record.key.is_some();
        }
        (payload.is_empty() && count > 0).then_some(walk)
    }

    /// Each seventh bit is each bit of some record.
    #[test]
    fn no_changed_bit_is_seen_by_one_way_only() {
        let text = |length| Some(vec![b'x'; length]);
        for (key, value) in [
            (None, text(20)),
            (text(5), text(66)),
            (text(0), text(0)),
            (None, None),
            (text(70), text(1)),
        ] {
            let record = Fields {
                timestamp_delta: 0,
                key,
                value,
                headers: Vec::new(),
            };
            let records: Vec<Fields> = (0..70)
                .map(|number| Fields {
                    timestamp_delta: 10 * number,
                    ..record.clone()
                })
                .collect();
            let mut payload = payload(&records);
            assert!(RecordWalk::over(&payload, 70).is_some());
            for bit in (0..8 * payload.len()).step_by(7) {
                payload[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(RecordWalk::over(&payload, 70), slow_walk(&payload, 70), "bit {bit}");
                payload[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn numbers_of_records_that_take_another_byte_are_followed() {
        let record = Fields {
            timestamp_delta: 0,
            key: None,
            value: Some(vec![b'x'; 10]),
            headers: Vec::new(),
        };
        // Beyond 2^20, where the number takes four bytes.
        let count = (1 << 20) + 100;
        let payload = payload(&vec![record; count as usize]);
        assert_eq!(RecordWalk::over(&payload, count), slow_walk(&payload, count));
        assert!(RecordWalk::over(&payload, count).is_some());
        // Each number but its own is refused.
        let start = payload.len() - 20;
        let mut wrong = payload.clone();
        wrong[start] ^= 2;
        assert_eq!(RecordWalk::over(&wrong, count), slow_walk(&wrong, count));
    }

    proptest! {
        #[test]
        fn both_ways_find_the_same_in_good_records(records in prop_oneof![vec(fields(), 1..100), alike()]) {
            let payload = payload(&records);
            let walk = RecordWalk::over(&payload, records.len() as i32);
            prop_assert!(walk.is_some());
            prop_assert_eq!(walk, slow_walk(&payload, records.len() as i32));
        }

        #[test]
        fn nothing_is_well_formed_that_the_other_way_refuses(
            records in prop_oneof![vec(fields(), 1..5), alike()],
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in option::of(any::<prop::sample::Index>()),
            count in -1..6i32,
        ) {
            let mut payload = payload(&records);
            for (at, byte) in changes {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            if let Some(cut) = cut {
                payload.truncate(cut.index(payload.len()));
            }
            for count in [count, records.len() as i32 - 1, records.len() as i32] {
                prop_assert_eq!(RecordWalk::over(&payload, count), slow_walk(&payload, count));
            }
        }
    }
}
