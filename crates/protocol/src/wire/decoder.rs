//! Reads values off a shared buffer; every length is checked against what is there before anything is allocated.

use bytes::Bytes;

use super::DecodeError;
use crate::limits;

/// A cursor over one message. Byte strings come out as slices of the same buffer.
#[derive(Debug)]
pub struct Decoder {
    bytes: Bytes,
    position: usize,
    /// End of the message, or of the tagged field that is being read.
    end: usize,
    /// Memory that the arrays of this message may still take.
    memory_left: usize,
}

/// A tagged field that is being read.
#[derive(Debug)]
pub struct TaggedField {
    pub tag: u32,
    outer_end: usize,
}

impl Decoder {
    pub fn new(bytes: Bytes) -> Decoder {
        let proportional = bytes.len().saturating_mul(limits::DECODED_BYTES_PER_WIRE_BYTE);
        let memory_left = proportional.clamp(limits::DECODED_BYTES_MIN, limits::DECODED_BYTES_MAX);
        Decoder {
            position: 0,
            end: bytes.len(),
            bytes,
            memory_left,
        }
    }

    /// Bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.end - self.position
    }

    /// The next `length` bytes, which have been read then.
    #[inline]
    pub fn slice(&mut self, length: usize) -> Result<&[u8], DecodeError> {
        let start = self.position;
        self.skip(length)?;
        Ok(&self.bytes[start..self.position])
    }

    /// Like [`Decoder::slice`], shared with the buffer instead of borrowed.
    #[inline]
    pub fn bytes(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        let start = self.position;
        self.skip(length)?;
        Ok(self.bytes.slice(start..self.position))
    }

    /// The next two 16-bit numbers, which stay to be read.
    pub(crate) fn peek_two_i16(&self) -> Result<(i16, i16), DecodeError> {
        let rest = &self.bytes[self.position..self.end];
        let Some([a, b, c, d]) = rest.first_chunk() else {
            return Err(DecodeError::Truncated {
                needed: 4 - rest.len(),
                remaining: rest.len(),
            });
        };
        Ok((i16::from_be_bytes([*a, *b]), i16::from_be_bytes([*c, *d])))
    }

    /// All remaining bytes, shared.
    pub fn rest(&mut self) -> Result<Bytes, DecodeError> {
        self.bytes(self.remaining())
    }

    #[inline]
    fn skip(&mut self, length: usize) -> Result<(), DecodeError> {
        if length > self.remaining() {
            return Err(DecodeError::Truncated {
                needed: length - self.remaining(),
                remaining: self.remaining(),
            });
        }
        self.position += length;
        Ok(())
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let rest = &self.bytes[self.position..self.end];
        let Some(array) = rest.first_chunk::<N>() else {
            return Err(DecodeError::Truncated {
                needed: N - rest.len(),
                remaining: rest.len(),
            });
        };
        self.position += N;
        Ok(*array)
    }

    #[inline]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    #[inline]
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// Seven bits a byte, least significant first. Overlong forms are read, values of more than 32 bits are not.
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint)
    }

    /// The length of a byte string; `None` for null.
    #[inline]
    pub fn bytes_length(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        if flexible {
            self.compact_length()
        } else {
            length_of(i64::from(self.i32()?))
        }
    }

    /// The length of a string; `None` for null.
    #[inline]
    pub fn string_length(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        let length = if flexible {
            self.compact_length()?
        } else {
            length_of(i64::from(self.i16()?))?
        };
        match length {
            Some(length) if length > limits::STRING_BYTES_MAX => Err(DecodeError::Length(length as i64)),
            length => Ok(length),
        }
    }

    /// The count of an array whose elements take `element_size` bytes of memory each and at least one on the wire; `None` for null.
    #[inline]
    pub fn array_length(&mut self, flexible: bool, element_size: usize) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.bytes_length(flexible)? else {
            return Ok(None);
        };
        if count > self.remaining() {
            return Err(DecodeError::Truncated {
                needed: count - self.remaining(),
                remaining: self.remaining(),
            });
        }
        self.charge(count.saturating_mul(element_size))?;
        Ok(Some(count))
    }

    #[inline]
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    #[inline]
    fn charge(&mut self, memory: usize) -> Result<(), DecodeError> {
        self.memory_left = self.memory_left.checked_sub(memory).ok_or(DecodeError::Memory)?;
        Ok(())
    }

    /// Reads tag and size of the next tagged field, and confines the decoder to its content.
    pub fn begin_tagged_field(&mut self) -> Result<TaggedField, DecodeError> {
        self.charge(size_of::<(u32, Bytes)>())?;
        let tag = self.unsigned_varint()?;
        let size = self.unsigned_varint()? as usize;
        if size > self.remaining() {
            return Err(DecodeError::Truncated {
                needed: size - self.remaining(),
                remaining: self.remaining(),
            });
        }
        let outer_end = std::mem::replace(&mut self.end, self.position + size);
        Ok(TaggedField { tag, outer_end })
    }

    /// Gives the decoder the rest of the message back.
    pub fn end_tagged_field(&mut self, field: &TaggedField) -> Result<(), DecodeError> {
        if self.remaining() > 0 {
            return Err(DecodeError::TaggedFieldLength {
                tag: field.tag,
                unread: self.remaining(),
            });
        }
        self.end = field.outer_end;
        Ok(())
    }
}

#[inline]
fn length_of(wire: i64) -> Result<Option<usize>, DecodeError> {
    match wire {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| DecodeError::Length(length)),
    }
}
