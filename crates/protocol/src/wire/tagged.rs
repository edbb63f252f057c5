//! Tagged fields (KIP-482): optional fields at the end of a struct, each with its tag and size.

use bytes::Bytes;

use super::{EncodeError, Encoder, Wire};

/// Tagged fields that this build does not know; they are kept, and written again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaggedFields(Vec<(u32, Bytes)>);

impl TaggedFields {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn push(&mut self, tag: u32, content: Bytes) {
        self.0.push((tag, content));
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Bytes)> {
        self.0.iter().map(|(tag, content)| (*tag, content))
    }
}

/// Gathers the tagged fields of one struct and writes them in the order of their tags.
#[derive(Debug)]
pub struct TagWriter<'a> {
    known: Vec<(u32, Encoder)>,
    unknown: &'a TaggedFields,
}

impl<'a> TagWriter<'a> {
    #[inline]
    pub fn new(unknown: &'a TaggedFields) -> TagWriter<'a> {
        TagWriter {
            known: Vec::new(),
            unknown,
        }
    }

    /// Adds a field whose value is not its default.
    pub fn put(&mut self, tag: u32, value: &impl Wire, version: i16) -> Result<(), EncodeError> {
        let mut content = Encoder::new();
        value.encode(&mut content, version, true)?;
        self.known.push((tag, content));
        Ok(())
    }

    #[inline]
    pub fn finish(self, encoder: &mut Encoder) -> Result<(), EncodeError> {
        if self.known.is_empty() && self.unknown.is_empty() {
            encoder.unsigned_varint(0);
            return Ok(());
        }
        self.write(encoder)
    }

    fn write(mut self, encoder: &mut Encoder) -> Result<(), EncodeError> {
        for (tag, content) in self.unknown.iter() {
            let mut copy = Encoder::new();
            copy.bytes(content);
            self.known.push((tag, copy));
        }
        self.known.sort_by_key(|(tag, _)| *tag);
        encoder.unsigned_varint(self.known.len() as u32);
        for (tag, content) in self.known {
            encoder.unsigned_varint(tag);
            let size = u32::try_from(content.len()).map_err(|_| EncodeError::TooLong(content.len()))?;
            encoder.unsigned_varint(size);
            encoder.append(content);
        }
        Ok(())
    }
}
