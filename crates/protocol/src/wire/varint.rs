//! Variable-length integers: seven bits a byte, least significant first; signed ones are zigzag-coded.

use super::DecodeError;

pub(super) const BYTES_MAX_32: usize = 5;
pub(super) const BYTES_MAX_64: usize = 10;

/// Value and length of the varint at the start of `bytes`. Overlong forms are read, values of more than 64 bits are not.
#[inline]
pub(super) fn read(bytes: &[u8], bytes_max: usize) -> Result<(u64, usize), DecodeError> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(bytes_max).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == BYTES_MAX_64 - 1 && bits > 1 {
            return Err(DecodeError::Varint);
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    if bytes.len() < bytes_max {
        Err(DecodeError::Truncated { needed: 1, remaining: 0 })
    } else {
        Err(DecodeError::Varint)
    }
}

/// The bytes that `value` takes as an unsigned varint.
#[inline]
pub const fn unsigned_varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
pub const fn zigzag_encode_i32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[inline]
pub const fn zigzag_decode_i32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

#[inline]
pub const fn zigzag_encode_i64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
pub const fn zigzag_decode_i64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
