//! The headers before the body of a request and of a response.

use crate::wire::{DecodeError, Decoder, TaggedFields};
use crate::{ApiKey, Message};

/// What precedes the body of every request. Version 2 adds tagged fields and nothing else: the client id keeps its old encoding.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "1-2", flexible = "2+")]
pub struct RequestHeader {
    pub request_api_key: i16,
    pub request_api_version: i16,
    /// Returned with the response.
    pub correlation_id: i32,
    #[field(never_flexible)]
    pub client_id: Option<String>,
    pub unknown_tagged_fields: TaggedFields,
}

/// What precedes the body of every response.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "1+")]
pub struct ResponseHeader {
    pub correlation_id: i32,
    pub unknown_tagged_fields: TaggedFields,
}

/// A request whose header makes no sense: nothing can be answered, so the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("unknown API key {0}")]
    UnknownApiKey(i16),
    #[error("malformed request header: {0}")]
    Malformed(#[from] DecodeError),
}

impl RequestHeader {
    /// Reads the header at the start of a request; its version follows from the API key and version, which are its first fields.
    /// Whether that version of the API is served is for the caller to decide.
    pub fn read(decoder: &mut Decoder) -> Result<(ApiKey, RequestHeader), HeaderError> {
        let (key, version) = decoder.peek_two_i16()?;
        let key = ApiKey::from_code(key).ok_or(HeaderError::UnknownApiKey(key))?;
        let header = RequestHeader::decode(decoder, key.request_header_version(version))?;
        Ok((key, header))
    }
}
