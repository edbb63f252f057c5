//! The bytes below the messages: primitive types, compact and classic lengths, varints, tagged fields.
//!
//! [`Decoder`] never trusts a length; [`Encoder`] never copies a long byte string; [`Wire`] is what every field type implements.

mod decoder;
mod encoder;
mod error;
mod tagged;
mod types;
mod varint;

pub use decoder::{Decoder, TaggedField};
pub use encoder::{Encoder, Rope};
pub use error::{DecodeError, EncodeError};
pub use tagged::{TagWriter, TaggedFields};
pub use types::Wire;
pub use varint::{unsigned_varint_len, zigzag_decode_i32, zigzag_decode_i64, zigzag_encode_i32, zigzag_encode_i64};
