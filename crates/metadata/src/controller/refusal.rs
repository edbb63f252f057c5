//! A request, or a part of one, that is not done: the code for programs, the sentence for people.

use dohle_protocol::ErrorCode;

use crate::limits::ERROR_MESSAGE_BYTES_MAX;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
}

impl Refusal {
    /// A message may repeat what the client sent, but not all of it: it has to fit into a reply.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        let mut message = message.into();
        if message.len() > ERROR_MESSAGE_BYTES_MAX {
            message.truncate(message.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX));
            message.push_str("...");
        }
        Refusal { code, message }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal::new(code, code.message())
    }
}

/// The two fields of a result on the wire.
pub(super) fn wire_error<T>(outcome: &Result<T, Refusal>) -> (i16, Option<String>) {
    match outcome {
        Ok(_) => (ErrorCode::None.code(), None),
        Err(refusal) => (refusal.code.code(), Some(refusal.message.clone())),
    }
}
