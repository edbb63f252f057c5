//! Zigzag varints: how numbers and lengths are written inside a record, and nowhere else in the protocol.

use bytes::BufMut;

/// Bytes that [`put`] writes for `value`.
pub(crate) fn len(value: i64) -> usize {
    let significant_bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    significant_bits.div_ceil(7)
}

pub(crate) fn put(out: &mut impl BufMut, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// Takes a 64-bit number off the front of `input`; `None` if it is cut or longer than ten bytes.
#[inline]
pub(crate) fn take_i64(input: &mut &[u8]) -> Option<i64> {
    if let Some(value) = take_short(input) {
        return Some(value);
    }
    take_long(input, 10)
}

/// Takes a 32-bit number off the front of `input`; `None` if it is cut, longer than five bytes or does not fit.
#[inline]
pub(crate) fn take_i32(input: &mut &[u8]) -> Option<i32> {
    if let Some(value) = take_short(input) {
        return Some(value as i32);
    }
    i32::try_from(take_long(input, 5)?).ok()
}

/// Takes a number of up to `bytes_max` bytes at the position `at` of `bytes` as it is written, not yet [`unzigzag`]ged, and steps over it.
#[inline(always)]
pub(crate) fn take_raw_at(bytes: &[u8], at: &mut usize, bytes_max: usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(u64::from(first));
    }
    let second = *bytes.get(*at + 1)?;
    if second < 0x80 {
        *at += 2;
        return Some(u64::from(first & 0x7f) | u64::from(second) << 7);
    }
    let mut rest = &bytes[*at..];
    let value = take_long(&mut rest, bytes_max)?;
    *at = bytes.len() - rest.len();
    Some(zigzag(value))
}

/// One or two bytes, which is what nearly every number in a record has.
#[inline]
fn take_short(input: &mut &[u8]) -> Option<i64> {
    match **input {
        [first @ ..0x80, ref rest @ ..] => {
            *input = rest;
            Some(unzigzag(u64::from(first)))
        }
        [first, second @ ..0x80, ref rest @ ..] => {
            *input = rest;
            Some(unzigzag(u64::from(first & 0x7f) | u64::from(second) << 7))
        }
        _ => None,
    }
}

/// The number at the front of `word` and the bytes that it takes, if it is not negative and these are one or two.
#[inline(always)]
pub(crate) fn short_length(word: u64) -> Option<(usize, usize)> {
    if word & 0x81 == 0 {
        Some(((word & 0x7f) as usize >> 1, 1))
    } else if word & 0x8081 == 0x80 {
        Some((((word & 0x7f) | (word >> 1 & 0x3f80)) as usize >> 1, 2))
    } else {
        None
    }
}

#[cold]
fn take_long(input: &mut &[u8], bytes_max: usize) -> Option<i64> {
    let mut value = 0u64;
    for (index, &byte) in input.iter().take(bytes_max).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            *input = &input[index + 1..];
            return Some(unzigzag(value));
        }
    }
    None
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, value);
        out
    }

    #[test]
    fn trap_7_small_numbers_are_zigzag() {
        for (value, byte) in [(0, 0u8), (-1, 1), (1, 2), (-2, 3), (63, 126), (-64, 127)] {
            assert_eq!(written(value), [byte]);
        }
        assert_eq!(written(64), [0x80, 0x01]);
        assert_eq!(written(i64::MIN).len(), 10);
    }

    #[test]
    fn cut_and_overlong_numbers_are_refused() {
        assert_eq!(take_i64(&mut &[][..]), None);
        assert_eq!(take_i64(&mut &[0x80][..]), None);
        assert_eq!(take_i32(&mut &[0xff; 6][..]), None);
        assert_eq!(take_i64(&mut &[0xff; 11][..]), None);
        assert_eq!(take_i32(&mut written(i64::from(i32::MAX) + 1).as_slice()), None);
        assert_eq!(
            take_i64(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..]),
            None
        );
    }

    proptest! {
        #[test]
        fn every_number_comes_back(value: i64, narrow: i32) {
            let bytes = written(value);
            prop_assert_eq!(bytes.len(), len(value));
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_i64(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(take_i32(&mut written(i64::from(narrow)).as_slice()), Some(narrow));
        }
    }
}
