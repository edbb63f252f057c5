//! Writes values into a rope: small ones are gathered, long byte strings are attached as they are.

use bytes::{BufMut, Bytes, BytesMut};

use super::EncodeError;
use crate::limits;

/// The output of an [`Encoder`]: chunks to be written one after the other.
#[derive(Debug, Clone, Default)]
pub struct Rope {
    pub chunks: Vec<Bytes>,
}

impl Rope {
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.iter().all(Bytes::is_empty)
    }

    /// All chunks in one piece; copies unless there is only one.
    pub fn to_bytes(&self) -> Bytes {
        match self.chunks.as_slice() {
            [single] => single.clone(),
            chunks => chunks.concat().into(),
        }
    }
}

/// Appends values to a rope.
#[derive(Debug, Default)]
pub struct Encoder {
    chunks: Vec<Chunk>,
    tail: BytesMut,
}

#[derive(Debug)]
enum Chunk {
    Gathered(BytesMut),
    Attached(Bytes),
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// `capacity` is for what is gathered, not for what is attached.
    pub fn with_capacity(capacity: usize) -> Encoder {
        Encoder {
            chunks: Vec::new(),
            tail: BytesMut::with_capacity(capacity),
        }
    }

    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.tail.put_i8(value);
    }

    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.tail.put_i16(value);
    }

    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    #[inline]
    pub fn slice(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }

    /// Attaches `bytes` if they are long, copies them if they are short.
    #[inline]
    pub fn bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < limits::ATTACH_BYTES_MIN {
            self.tail.put_slice(bytes);
        } else {
            self.flush_tail();
            self.chunks.push(Chunk::Attached(bytes.clone()));
        }
    }

    /// Seven bits a byte, least significant first.
    #[inline]
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.tail.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.tail.put_u8(value as u8);
    }

    /// The length of a byte string or the count of an array; `None` for null.
    #[inline]
    pub fn length(&mut self, length: Option<usize>, flexible: bool) -> Result<(), EncodeError> {
        let wire = length.map_or(Ok(-1), |length| i32::try_from(length).map_err(|_| EncodeError::TooLong(length)))?;
        if flexible {
            self.unsigned_varint((wire + 1).cast_unsigned());
        } else {
            self.i32(wire);
        }
        Ok(())
    }

    /// The length of a string; `None` for null.
    #[inline]
    pub fn string_length(&mut self, length: Option<usize>, flexible: bool) -> Result<(), EncodeError> {
        match length {
            Some(length) if length > limits::STRING_BYTES_MAX => Err(EncodeError::TooLong(length)),
            length if flexible => self.length(length, true),
            length => {
                self.i16(length.map_or(-1, |length| length as i16));
                Ok(())
            }
        }
    }

    /// Appends another rope that is being written, attached parts included.
    pub(super) fn append(&mut self, mut other: Encoder) {
        if other.chunks.is_empty() {
            self.tail.put_slice(&other.tail);
        } else {
            self.flush_tail();
            self.chunks.append(&mut other.chunks);
            self.tail = other.tail;
        }
    }

    /// The bytes written so far.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum::<usize>() + self.tail.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push(Chunk::Gathered(self.tail.split()));
        }
    }

    pub fn finish(mut self) -> Rope {
        self.flush_tail();
        let freeze = |chunk| match chunk {
            Chunk::Gathered(bytes) => bytes.freeze(),
            Chunk::Attached(bytes) => bytes,
        };
        Rope {
            chunks: self.chunks.into_iter().map(freeze).collect(),
        }
    }

    /// Writes the length of all that follows into the first four bytes, which the caller has left for it.
    pub(crate) fn finish_frame(mut self) -> Result<Rope, EncodeError> {
        self.flush_tail();
        let length = self.len() - size_of::<i32>();
        let prefix = i32::try_from(length).map_err(|_| EncodeError::TooLong(length))?.to_be_bytes();
        match self.chunks.first_mut() {
            Some(Chunk::Gathered(first)) => first[..prefix.len()].copy_from_slice(&prefix),
            _ => unreachable!("a frame starts with its length"),
        }
        Ok(self.finish())
    }
}

impl Chunk {
    fn len(&self) -> usize {
        match self {
            Chunk::Gathered(bytes) => bytes.len(),
            Chunk::Attached(bytes) => bytes.len(),
        }
    }
}
