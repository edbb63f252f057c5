//! How each Rust type of a field is written and read.

use bytes::Bytes;
use uuid::Uuid;

use super::{DecodeError, Decoder, EncodeError, Encoder};
use crate::limits;
use crate::message::{Kind, Message};

/// A type that a field of a message may have. `flexible` selects compact lengths (KIP-482).
pub trait Wire: Sized {
    const KIND: Kind;

    fn encode(&self, encoder: &mut Encoder, version: i16, flexible: bool) -> Result<(), EncodeError>;

    fn decode(decoder: &mut Decoder, version: i16, flexible: bool) -> Result<Self, DecodeError>;
}

macro_rules! wire_number {
    ($($number:ty => $kind:ident),*) => {$(
        impl Wire for $number {
            const KIND: Kind = Kind::$kind;

            #[inline]
            fn encode(&self, encoder: &mut Encoder, _version: i16, _flexible: bool) -> Result<(), EncodeError> {
                encoder.slice(&self.to_be_bytes());
                Ok(())
            }

            #[inline]
            fn decode(decoder: &mut Decoder, _version: i16, _flexible: bool) -> Result<Self, DecodeError> {
                decoder.array().map(<$number>::from_be_bytes)
            }
        }
    )*};
}

wire_number!(i8 => Int8, i16 => Int16, u16 => Uint16, i32 => Int32, u32 => Uint32, i64 => Int64, f64 => Float64);

impl Wire for bool {
    const KIND: Kind = Kind::Bool;

    #[inline]
    fn encode(&self, encoder: &mut Encoder, _version: i16, _flexible: bool) -> Result<(), EncodeError> {
        encoder.i8(i8::from(*self));
        Ok(())
    }

    #[inline]
    fn decode(decoder: &mut Decoder, _version: i16, _flexible: bool) -> Result<Self, DecodeError> {
        Ok(decoder.i8()? != 0)
    }
}

impl Wire for Uuid {
    const KIND: Kind = Kind::Uuid;

    #[inline]
    fn encode(&self, encoder: &mut Encoder, _version: i16, _flexible: bool) -> Result<(), EncodeError> {
        encoder.slice(self.as_bytes());
        Ok(())
    }

    #[inline]
    fn decode(decoder: &mut Decoder, _version: i16, _flexible: bool) -> Result<Self, DecodeError> {
        decoder.array().map(Uuid::from_bytes)
    }
}

impl Wire for String {
    const KIND: Kind = Kind::String;

    #[inline]
    fn encode(&self, encoder: &mut Encoder, _version: i16, flexible: bool) -> Result<(), EncodeError> {
        encoder.string_length(Some(self.len()), flexible)?;
        encoder.slice(self.as_bytes());
        Ok(())
    }

    #[inline]
    fn decode(decoder: &mut Decoder, version: i16, flexible: bool) -> Result<Self, DecodeError> {
        not_null(Wire::decode(decoder, version, flexible)?)
    }
}

impl Wire for Option<String> {
    const KIND: Kind = Kind::Nullable(&Kind::String);

    #[inline]
    fn encode(&self, encoder: &mut Encoder, version: i16, flexible: bool) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.encode(encoder, version, flexible),
            None => encoder.string_length(None, flexible),
        }
    }

    #[inline]
    fn decode(decoder: &mut Decoder, _version: i16, flexible: bool) -> Result<Self, DecodeError> {
        let Some(length) = decoder.string_length(flexible)? else {
            return Ok(None);
        };
        let text = str::from_utf8(decoder.slice(length)?).map_err(|_| DecodeError::Utf8)?;
        Ok(Some(text.to_owned()))
    }
}

impl Wire for Bytes {
    const KIND: Kind = Kind::Bytes;

    #[inline]
    fn encode(&self, encoder: &mut Encoder, _version: i16, flexible: bool) -> Result<(), EncodeError> {
        encoder.length(Some(self.len()), flexible)?;
        encoder.bytes(self);
        Ok(())
    }

    #[inline]
    fn decode(decoder: &mut Decoder, version: i16, flexible: bool) -> Result<Self, DecodeError> {
        not_null(Wire::decode(decoder, version, flexible)?)
    }
}

impl Wire for Option<Bytes> {
    const KIND: Kind = Kind::Nullable(&Kind::Bytes);

    #[inline]
    fn encode(&self, encoder: &mut Encoder, version: i16, flexible: bool) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.encode(encoder, version, flexible),
            None => encoder.length(None, flexible),
        }
    }

    #[inline]
    fn decode(decoder: &mut Decoder, _version: i16, flexible: bool) -> Result<Self, DecodeError> {
        match decoder.bytes_length(flexible)? {
            Some(length) => decoder.bytes(length).map(Some),
            None => Ok(None),
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    const KIND: Kind = Kind::Array(&T::KIND);

    #[inline]
    fn encode(&self, encoder: &mut Encoder, version: i16, flexible: bool) -> Result<(), EncodeError> {
        encoder.length(Some(self.len()), flexible)?;
        self.iter().try_for_each(|element| element.encode(encoder, version, flexible))
    }

    #[inline]
    fn decode(decoder: &mut Decoder, version: i16, flexible: bool) -> Result<Self, DecodeError> {
        not_null(Wire::decode(decoder, version, flexible)?)
    }
}

impl<T: Wire> Wire for Option<Vec<T>> {
    const KIND: Kind = Kind::Nullable(&Kind::Array(&T::KIND));

    #[inline]
    fn encode(&self, encoder: &mut Encoder, version: i16, flexible: bool) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.encode(encoder, version, flexible),
            None => encoder.length(None, flexible),
        }
    }

    fn decode(decoder: &mut Decoder, version: i16, flexible: bool) -> Result<Self, DecodeError> {
        let Some(count) = decoder.array_length(flexible, size_of::<T>())? else {
            return Ok(None);
        };
        let mut elements = Vec::with_capacity(count.min(limits::ARRAY_RESERVE_MAX));
        for _ in 0..count {
            elements.push(T::decode(decoder, version, flexible)?);
        }
        Ok(Some(elements))
    }
}

impl<T: Message> Wire for T {
    const KIND: Kind = Kind::Struct(T::SCHEMA);

    #[inline]
    fn encode(&self, encoder: &mut Encoder, version: i16, _flexible: bool) -> Result<(), EncodeError> {
        Message::encode(self, encoder, version)
    }

    #[inline]
    fn decode(decoder: &mut Decoder, version: i16, _flexible: bool) -> Result<Self, DecodeError> {
        Message::decode(decoder, version)
    }
}

impl<T: Message> Wire for Option<T> {
    const KIND: Kind = Kind::Nullable(&Kind::Struct(T::SCHEMA));

    #[inline]
    fn encode(&self, encoder: &mut Encoder, version: i16, _flexible: bool) -> Result<(), EncodeError> {
        let Some(value) = self else {
            encoder.i8(-1);
            return Ok(());
        };
        encoder.i8(1);
        Message::encode(value, encoder, version)
    }

    #[inline]
    fn decode(decoder: &mut Decoder, version: i16, _flexible: bool) -> Result<Self, DecodeError> {
        match decoder.i8()? {
            -1 => Ok(None),
            1 => Message::decode(decoder, version).map(Some),
            marker => Err(DecodeError::StructMarker(marker)),
        }
    }
}

#[inline]
fn not_null<T>(value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Null)
}
