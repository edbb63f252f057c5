//! The parts that several messages have: log ids, votes and entries.

use bytes::Bytes;
use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;
use openraft::entry::RaftEntry;

use crate::entry_codec::{self, EntryCodecError, damaged};
use crate::type_config::{Entry, LogId, Vote, log_id};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub(crate) struct LogIdValue {
    pub(crate) term: i64,
    pub(crate) index: i64,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

impl From<LogId> for LogIdValue {
    fn from(id: LogId) -> LogIdValue {
        LogIdValue {
            term: id.leader_id.term as i64,
            index: id.index as i64,
            ..LogIdValue::default()
        }
    }
}

impl TryFrom<LogIdValue> for LogId {
    type Error = EntryCodecError;

    fn try_from(value: LogIdValue) -> Result<LogId, EntryCodecError> {
        Ok(log_id(term(value.term)?, unsigned(value.index)?))
    }
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub(crate) struct VoteValue {
    pub(crate) term: i64,
    pub(crate) voted_for: i64,
    pub(crate) committed: bool,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

impl From<Vote> for VoteValue {
    fn from(vote: Vote) -> VoteValue {
        VoteValue {
            term: vote.leader_id.term as i64,
            voted_for: vote.leader_id.voted_for as i64,
            committed: vote.committed,
            ..VoteValue::default()
        }
    }
}

impl TryFrom<VoteValue> for Vote {
    type Error = EntryCodecError;

    fn try_from(value: VoteValue) -> Result<Vote, EntryCodecError> {
        let (term, voted_for) = (term(value.term)?, unsigned(value.voted_for)?);
        Ok(if value.committed {
            Vote::new_committed(term, voted_for)
        } else {
            Vote::new(term, voted_for)
        })
    }
}

/// An entry; its payload is in the form that it has in the log.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub(crate) struct EntryValue {
    pub(crate) term: i64,
    pub(crate) index: i64,
    pub(crate) payload: Bytes,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

impl TryFrom<&Entry> for EntryValue {
    type Error = EntryCodecError;

    fn try_from(entry: &Entry) -> Result<EntryValue, EntryCodecError> {
        Ok(EntryValue {
            term: entry.log_id.leader_id.term as i64,
            index: entry.log_id.index as i64,
            payload: entry_codec::encode(&entry.payload)?,
            ..EntryValue::default()
        })
    }
}

impl TryFrom<EntryValue> for Entry {
    type Error = EntryCodecError;

    fn try_from(value: EntryValue) -> Result<Entry, EntryCodecError> {
        let id = log_id(term(value.term)?, unsigned(value.index)?);
        Ok(Entry::new(id, entry_codec::decode(&value.payload)?))
    }
}

pub(crate) fn entry_values(entries: &[Entry]) -> Result<Vec<EntryValue>, EntryCodecError> {
    entries.iter().map(EntryValue::try_from).collect()
}

/// Terms, indexes and node ids are never negative, and stay far below what a calculation with them could overflow.
pub(crate) fn unsigned(value: i64) -> Result<u64, EntryCodecError> {
    u64::try_from(value)
        .ok()
        .filter(|value| *value <= i64::MAX as u64 / 2)
        .ok_or_else(|| damaged(format!("{value} is no term, index or node id")))
}

/// A term is a leader epoch in the log: of a larger one no entry could be written.
fn term(value: i64) -> Result<u64, EntryCodecError> {
    i32::try_from(value).map_err(damaged).and_then(|term| unsigned(term.into()))
}

pub(crate) fn optional<V, T: TryFrom<V, Error = EntryCodecError>>(value: Option<V>) -> Result<Option<T>, EntryCodecError> {
    value.map(T::try_from).transpose()
}
