//! The quick way through the records of a batch: says that all of them are well formed, or nothing.
//!
//! It keeps one position and three numbers, while [`RecordView`](crate::record::RecordView) makes a value of each record and can say what is wrong
//! with it. Whoever gets `None` walks again that way, so that there is one source of errors.

use crate::zigzag;

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
        let mut start = 0;
        for index in 0..count {
            let mut at = start;
            let length = take_length(payload, &mut at)?;
            let end = at.checked_add(length)?;
            // Attributes.
            at += 1;
            let timestamp_delta = zigzag::unzigzag(zigzag::take_raw_at(payload, &mut at, 10)?);
            if take_length(payload, &mut at)? != index as usize {
                return None;
            }
            walk.all_have_keys &= skip_bytes(payload, &mut at)?;
            skip_bytes(payload, &mut at)?;
            for _ in 0..take_length(payload, &mut at)? {
                let has_key = skip_bytes(payload, &mut at)?;
                skip_bytes(payload, &mut at)?;
                if !has_key {
                    return None;
                }
            }
            // The position only grows, so that no field has reached beyond the end either.
            if at != end {
                return None;
            }
            // Not `at`, though they are equal: the processor begins with the next record while it is still busy with this one.
            start = end;
            walk.timestamp_delta_min = walk.timestamp_delta_min.min(timestamp_delta);
            walk.timestamp_delta_max = walk.timestamp_delta_max.max(timestamp_delta);
        }
        (start == payload.len() && count > 0).then_some(walk)
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

    proptest! {
        #[test]
        fn both_ways_find_the_same_in_good_records(records in vec(fields(), 1..100)) {
            let payload = payload(&records);
            let walk = RecordWalk::over(&payload, records.len() as i32);
            prop_assert!(walk.is_some());
            prop_assert_eq!(walk, slow_walk(&payload, records.len() as i32));
        }

        #[test]
        fn nothing_is_well_formed_that_the_other_way_refuses(
            records in vec(fields(), 1..5),
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
            for count in [count, records.len() as i32] {
                prop_assert_eq!(RecordWalk::over(&payload, count), slow_walk(&payload, count));
            }
        }
    }
}
