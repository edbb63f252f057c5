//! Append: the leader's entries, and its heartbeat when there are none.

use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};

use super::Call;
use super::values::{EntryValue, LogIdValue, VoteValue, entry_values, optional};
use crate::entry_codec::{EntryCodecError, damaged};
use crate::runtime::Runtime;
use crate::type_config::{Entry, LogId, TypeConfig, Vote};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct Append {
    pub(crate) vote: VoteValue,
    /// The entry before the first one.
    pub(crate) previous: Option<LogIdValue>,
    pub(crate) entries: Vec<EntryValue>,
    /// Entries up to and including this one are committed.
    pub(crate) committed: Option<LogIdValue>,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct AppendReply {
    outcome: i8,
    /// With `PARTIAL`: the last entry that was taken.
    matching: Option<LogIdValue>,
    /// With `HIGHER_VOTE`: the one that stands in the way.
    vote: Option<VoteValue>,
    unknown_tagged_fields: TaggedFields,
}

const SUCCESS: i8 = 0;
const PARTIAL: i8 = 1;
const CONFLICT: i8 = 2;
const HIGHER_VOTE: i8 = 3;

impl Call for Append {
    const KIND: u32 = 1;
    type Reply = AppendReply;
}

impl<R: Runtime> TryFrom<&AppendEntriesRequest<TypeConfig<R>>> for Append {
    type Error = EntryCodecError;

    fn try_from(request: &AppendEntriesRequest<TypeConfig<R>>) -> Result<Append, EntryCodecError> {
        Ok(Append {
            vote: request.vote.into(),
            previous: request.prev_log_id.map(LogIdValue::from),
            entries: entry_values(&request.entries)?,
            committed: request.leader_commit.map(LogIdValue::from),
            ..Append::default()
        })
    }
}

impl<R: Runtime> TryFrom<Append> for AppendEntriesRequest<TypeConfig<R>> {
    type Error = EntryCodecError;

    fn try_from(append: Append) -> Result<AppendEntriesRequest<TypeConfig<R>>, EntryCodecError> {
        let previous: Option<LogId> = optional(append.previous)?;
        let entries: Vec<Entry> = append.entries.into_iter().map(Entry::try_from).collect::<Result<_, _>>()?;
        let first = previous.map_or(0, |previous| previous.index + 1);
        if entries.iter().zip(first..).any(|(entry, index)| entry.log_id.index != index) {
            return Err(damaged("the entries have holes"));
        }
        let vote: Vote = append.vote.try_into()?;
        let terms = previous
            .iter()
            .chain(entries.iter().map(|entry| &entry.log_id))
            .map(|id| id.leader_id.term);
        if !terms.chain([vote.leader_id.term]).is_sorted() {
            return Err(damaged("the terms of the entries do not rise up to the one of the leader"));
        }
        Ok(AppendEntriesRequest {
            vote,
            prev_log_id: previous,
            entries,
            leader_commit: optional(append.committed)?,
        })
    }
}

impl<R: Runtime> From<AppendEntriesResponse<TypeConfig<R>>> for AppendReply {
    fn from(response: AppendEntriesResponse<TypeConfig<R>>) -> AppendReply {
        let (outcome, matching, vote) = match response {
            AppendEntriesResponse::Success => (SUCCESS, None, None),
            AppendEntriesResponse::PartialSuccess(matching) => (PARTIAL, matching.map(LogIdValue::from), None),
            AppendEntriesResponse::Conflict => (CONFLICT, None, None),
            AppendEntriesResponse::HigherVote(vote) => (HIGHER_VOTE, None, Some(vote.into())),
        };
        AppendReply {
            outcome,
            matching,
            vote,
            ..AppendReply::default()
        }
    }
}

impl<R: Runtime> TryFrom<AppendReply> for AppendEntriesResponse<TypeConfig<R>> {
    type Error = EntryCodecError;

    fn try_from(reply: AppendReply) -> Result<AppendEntriesResponse<TypeConfig<R>>, EntryCodecError> {
        match (reply.outcome, reply.vote) {
            (SUCCESS, _) => Ok(AppendEntriesResponse::Success),
            (PARTIAL, _) => Ok(AppendEntriesResponse::PartialSuccess(optional(reply.matching)?)),
            (CONFLICT, _) => Ok(AppendEntriesResponse::Conflict),
            (HIGHER_VOTE, Some(vote)) => Ok(AppendEntriesResponse::HigherVote(vote.try_into()?)),
            (outcome, _) => Err(damaged(format!("outcome {outcome} of an append"))),
        }
    }
}
