//! Why bytes are no message, and why a message has no bytes.

/// What a peer sent is not a message of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{needed} more bytes needed, {remaining} remaining")]
    Truncated { needed: usize, remaining: usize },
    #[error("invalid length {0}")]
    Length(i64),
    #[error("null where the protocol does not allow it")]
    Null,
    #[error("string is not UTF-8")]
    Utf8,
    #[error("varint is longer than its type")]
    Varint,
    #[error("nullable struct starts with {0} instead of -1 or 1")]
    StructMarker(i8),
    #[error("tagged field {tag} is {unread} bytes longer than its content")]
    TaggedFieldLength { tag: u32, unread: usize },
    #[error("the arrays of the message need more memory than its length allows")]
    Memory,
    #[error("{message} has no version {version}")]
    UnsupportedVersion { message: &'static str, version: i16 },
}

/// A message cannot be written in the version asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{message} has no version {version}")]
    UnsupportedVersion { message: &'static str, version: i16 },
    #[error("{message}.{field} is set, but does not exist in version {version}")]
    NotInVersion {
        message: &'static str,
        field: &'static str,
        version: i16,
    },
    #[error("{message}.{field} cannot be null in version {version}")]
    Null {
        message: &'static str,
        field: &'static str,
        version: i16,
    },
    #[error("a string or array of length {0} is too long for the protocol")]
    TooLong(usize),
}

impl EncodeError {
    #[cold]
    pub fn not_in_version(message: &'static str, field: &'static str, version: i16) -> EncodeError {
        EncodeError::NotInVersion { message, field, version }
    }

    #[cold]
    pub fn null(message: &'static str, field: &'static str, version: i16) -> EncodeError {
        EncodeError::Null { message, field, version }
    }
}
