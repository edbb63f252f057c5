//! The traits behind `#[derive(Message)]`, and the description of a message that the macro leaves for tests and tools.

use crate::api_key::ApiKey;
use crate::wire::{DecodeError, Decoder, EncodeError, Encoder};

/// A struct of the protocol: a request, a response, a header, or a struct nested in one.
pub trait Message: Sized {
    const SCHEMA: &'static Schema;

    /// Appends the message. A field that `version` lacks must have its default value, unless the schema lets it be dropped.
    fn encode(&self, encoder: &mut Encoder, version: i16) -> Result<(), EncodeError>;

    /// Reads the message; what follows it stays in the decoder (Kafka tolerates trailing bytes, see [`Decoder::remaining`]).
    fn decode(decoder: &mut Decoder, version: i16) -> Result<Self, DecodeError>;
}

/// A request, and the response that answers it.
pub trait Request: Message {
    const KEY: ApiKey;
    type Response: Message;
}

/// What `#[message(..)]` and the fields say, as data.
#[derive(Debug)]
pub struct Schema {
    pub name: &'static str,
    pub versions: VersionRange,
    pub flexible: VersionRange,
    pub fields: &'static [FieldSchema],
}

#[derive(Debug)]
pub struct FieldSchema {
    pub name: &'static str,
    pub kind: Kind,
    pub versions: VersionRange,
    /// Where null is allowed, given that `kind` is nullable at all.
    pub nullable: VersionRange,
    pub tag: Option<u32>,
    /// The field keeps classic lengths in flexible versions.
    pub never_flexible: bool,
}

/// Inclusive; empty if `first > last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    pub first: i16,
    pub last: i16,
}

impl VersionRange {
    pub fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

/// How a value looks on the wire.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Array(&'static Kind),
    Struct(&'static Schema),
    Nullable(&'static Kind),
}
