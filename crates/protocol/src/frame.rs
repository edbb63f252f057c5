//! The frame around requests and responses: a length of four bytes, then header and body.

use bytes::Bytes;

use crate::ApiKey;
use crate::header::{RequestHeader, ResponseHeader};
use crate::message::{Message, Request};
use crate::wire::{DecodeError, Decoder, EncodeError, Encoder, Rope};

/// Bytes of the length that starts a frame; it does not count itself.
pub const LENGTH_BYTES: usize = 4;

/// The peer does not speak the protocol, or asks for too much; the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("invalid size {0}")]
    Invalid(i32),
    #[error("size {size} is above the limit of {max}")]
    TooLarge { size: i32, max: i32 },
    #[error("looks like {0}, not like the Kafka protocol")]
    OtherProtocol(&'static str),
}

/// The length of the frame whose first four bytes are `prefix`. A response cannot be empty, nor can a request.
pub fn length(prefix: [u8; LENGTH_BYTES], max: i32) -> Result<usize, FrameError> {
    let size = i32::from_be_bytes(prefix);
    if size > 0 && size <= max {
        return Ok(size.cast_unsigned() as usize);
    }
    match &prefix {
        b"GET " | b"HEAD" | b"POST" | b"PUT " | b"OPTI" | b"HTTP" | b"PRI " => Err(FrameError::OtherProtocol("HTTP")),
        // A TLS record: handshake, version 3.x.
        [0x16, 0x03, ..] => Err(FrameError::OtherProtocol("TLS")),
        _ if size <= 0 => Err(FrameError::Invalid(size)),
        _ => Err(FrameError::TooLarge { size, max }),
    }
}

/// A whole request, length included. `client_id` null is written as null.
pub fn request<R: Request>(version: i16, correlation_id: i32, client_id: Option<&str>, body: &R) -> Result<Rope, EncodeError> {
    let header = RequestHeader {
        request_api_key: R::KEY.code(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(str::to_owned),
        ..RequestHeader::default()
    };
    encode(&header, R::KEY.request_header_version(version), body, version)
}

/// A whole response, length included.
pub fn response<M: Message>(key: ApiKey, version: i16, correlation_id: i32, body: &M) -> Result<Rope, EncodeError> {
    let header = ResponseHeader {
        correlation_id,
        ..ResponseHeader::default()
    };
    encode(&header, key.response_header_version(version), body, version)
}

/// Header and body of a response; `frame` comes without its length.
pub fn read_response<R: Request>(frame: Bytes, version: i16) -> Result<(ResponseHeader, R::Response), DecodeError> {
    let mut decoder = Decoder::new(frame);
    let header = ResponseHeader::decode(&mut decoder, R::KEY.response_header_version(version))?;
    Ok((header, R::Response::decode(&mut decoder, version)?))
}

fn encode(header: &impl Message, header_version: i16, body: &impl Message, version: i16) -> Result<Rope, EncodeError> {
    let mut encoder = Encoder::with_capacity(INITIAL_BYTES);
    encoder.slice(&[0; LENGTH_BYTES]);
    header.encode(&mut encoder, header_version)?;
    body.encode(&mut encoder, version)?;
    encoder.finish_frame()
}

/// Holds most responses of the data path without growing.
const INITIAL_BYTES: usize = 256;
