//! Who waits for records of a partition to be acknowledged.

use dohle_protocol::ErrorCode;

use crate::coordinator::parked_replies::ParkedReplies;
use crate::replica::produce_wait::ProduceTicket;

/// Parked at a partition until its high watermark has passed certain records.
#[derive(Debug)]
pub(crate) enum AckTicket {
    /// A Produce request.
    Produce(ProduceTicket),
    /// Replies of a coordinator whose log the partition is.
    Coordinator(ParkedReplies),
}

impl AckTicket {
    pub(crate) fn answer(self, outcome: Result<(), ErrorCode>) {
        match self {
            AckTicket::Produce(ticket) => ticket.answer(outcome),
            AckTicket::Coordinator(replies) => replies.answer(outcome),
        }
    }
}

impl From<ProduceTicket> for AckTicket {
    fn from(ticket: ProduceTicket) -> AckTicket {
        AckTicket::Produce(ticket)
    }
}

impl From<ParkedReplies> for AckTicket {
    fn from(replies: ParkedReplies) -> AckTicket {
        AckTicket::Coordinator(replies)
    }
}
