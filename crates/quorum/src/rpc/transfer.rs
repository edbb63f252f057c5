//! Transfer: the leader asks a voter to stand for election at once, and to take over.

use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;

use super::Call;
use super::values::{LogIdValue, VoteValue};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct Transfer {
    /// Of the leader.
    pub(crate) vote: VoteValue,
    /// The end of the leader's log, which the voter must have.
    pub(crate) last: Option<LogIdValue>,
    pub(crate) to: i64,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

/// The voter stands for election.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct TransferReply {
    pub(crate) unknown_tagged_fields: TaggedFields,
}

impl Call for Transfer {
    const KIND: u32 = 4;
    type Reply = TransferReply;
}
