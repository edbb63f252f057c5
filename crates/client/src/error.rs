//! What can go wrong between a request and its answer.

use dohle_protocol::error_code::ErrorCode;

/// Why a request has no (useful) answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    #[error("cannot reach {address}: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("the connection to {address} was lost: {reason}")]
    Disconnected { address: String, reason: String },
    #[error("{address} did not answer {api} within {timeout_ms} ms")]
    TimedOut {
        address: String,
        api: &'static str,
        timeout_ms: u128,
    },
    #[error("{address} does not support {api}")]
    Unsupported { address: String, api: String },
    #[error("the {api} request cannot be written: {reason}")]
    Unwritable { api: &'static str, reason: String },
    #[error("{address} answered {api} with bytes that cannot be read: {reason}")]
    Malformed {
        address: String,
        api: &'static str,
        reason: String,
    },
    #[error("{message}")]
    Refused { code: ErrorCode, message: String },
    #[error("{0}")]
    Incomplete(String),
}

impl ClientError {
    /// The server's error code and its own words, or ours where it sent none.
    pub fn refused(code: i16, message: Option<String>) -> ClientError {
        let code = ErrorCode::from_code(code);
        let message = message.filter(|text| !text.is_empty()).unwrap_or_else(|| code.message().to_owned());
        ClientError::Refused { code, message }
    }

    /// `Ok` for error code 0.
    pub fn check(code: i16, message: Option<String>) -> Result<(), ClientError> {
        if code == ErrorCode::None.code() {
            Ok(())
        } else {
            Err(ClientError::refused(code, message))
        }
    }

    /// The error code, if a server gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same request may succeed later, perhaps at another node.
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } | ClientError::Disconnected { .. } | ClientError::TimedOut { .. } => true,
            ClientError::Refused { code, .. } => code.is_retriable(),
            ClientError::Unsupported { .. }
            | ClientError::Unwritable { .. }
            | ClientError::Malformed { .. }
            | ClientError::Incomplete(_) => false,
        }
    }
}
