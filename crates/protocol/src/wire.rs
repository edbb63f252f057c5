//! The bytes below the messages: primitive types, compact and classic lengths, tagged fields.
//!
//! [`Decoder`] never trusts a length; [`Encoder`] never copies a long byte string; [`Wire`] is what every field type implements.

mod decoder;
mod encoder;
mod error;
mod tagged;
mod types;

pub use decoder::{Decoder, TaggedField};
pub use encoder::{Encoder, Rope};
pub use error::{DecodeError, EncodeError};
pub use tagged::{TagWriter, TaggedFields};
pub use types::Wire;
