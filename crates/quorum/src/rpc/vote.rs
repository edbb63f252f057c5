//! Vote: a candidate asks for a vote. In its trial form, the pre-vote, it asks whether it would get one.

use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;
use openraft::raft::{VoteRequest, VoteResponse};

use super::Call;
use super::values::{LogIdValue, VoteValue, optional};
use crate::entry_codec::EntryCodecError;
use crate::runtime::Runtime;
use crate::type_config::TypeConfig;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct AskVote {
    pub(crate) vote: VoteValue,
    /// The end of the candidate's log.
    pub(crate) last: Option<LogIdValue>,
    /// The leader wants the candidate to follow it: its lease does not count.
    pub(crate) transfer: bool,
    pub(crate) trial: bool,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct VoteReply {
    vote: VoteValue,
    granted: bool,
    last: Option<LogIdValue>,
    unknown_tagged_fields: TaggedFields,
}

impl Call for AskVote {
    const KIND: u32 = 2;
    type Reply = VoteReply;
}

impl AskVote {
    pub(crate) fn new<R: Runtime>(request: &VoteRequest<TypeConfig<R>>, trial: bool) -> AskVote {
        AskVote {
            vote: request.vote.into(),
            last: request.last_log_id.map(LogIdValue::from),
            transfer: request.leadership_transfer,
            trial,
            ..AskVote::default()
        }
    }
}

impl<R: Runtime> TryFrom<AskVote> for VoteRequest<TypeConfig<R>> {
    type Error = EntryCodecError;

    fn try_from(ask: AskVote) -> Result<VoteRequest<TypeConfig<R>>, EntryCodecError> {
        let mut request = VoteRequest::new(ask.vote.try_into()?, optional(ask.last)?);
        request.leadership_transfer = ask.transfer;
        Ok(request)
    }
}

impl<R: Runtime> From<VoteResponse<TypeConfig<R>>> for VoteReply {
    fn from(response: VoteResponse<TypeConfig<R>>) -> VoteReply {
        VoteReply {
            vote: response.vote.into(),
            granted: response.vote_granted,
            last: response.last_log_id.map(LogIdValue::from),
            ..VoteReply::default()
        }
    }
}

impl<R: Runtime> TryFrom<VoteReply> for VoteResponse<TypeConfig<R>> {
    type Error = EntryCodecError;

    fn try_from(reply: VoteReply) -> Result<VoteResponse<TypeConfig<R>>, EntryCodecError> {
        let vote: crate::type_config::Vote = reply.vote.try_into()?;
        Ok(VoteResponse::new(vote, optional(reply.last)?, reply.granted))
    }
}
