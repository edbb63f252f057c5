//! What a producer waits for.

use dohle_protocol::ErrorCode;

/// The `acks` of a Produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// 0: nothing; no answer is sent at all.
    None,
    /// 1: the leader has the records.
    Leader,
    /// -1: all in-sync replicas have them.
    All,
}

impl TryFrom<i16> for Acks {
    type Error = ErrorCode;

    fn try_from(acks: i16) -> Result<Acks, ErrorCode> {
        match acks {
            0 => Ok(Acks::None),
            1 => Ok(Acks::Leader),
            -1 => Ok(Acks::All),
            _ => Err(ErrorCode::InvalidRequiredAcks),
        }
    }
}
