//! Pull: an observer asks for what has been committed and it does not have. The answer may take until there is something.

use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;

use super::Call;
use super::snapshot_chunk::ChunkValue;
use super::values::{EntryValue, LogIdValue};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct Pull {
    /// Index of the entry that the observer needs next.
    pub(crate) next: i64,
    /// The leader that the observer knows, -1 if none: news of another one are an answer too.
    pub(crate) leader: i64,
    pub(crate) wait_ms_max: i32,
    /// The snapshot of which the observer has a part already.
    pub(crate) snapshot: Option<LogIdValue>,
    pub(crate) position: i64,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct PullReply {
    /// As far as the answering node knows.
    pub(crate) term: i64,
    pub(crate) leader: i64,
    pub(crate) leader_address: String,
    /// Entries before this one are committed.
    pub(crate) end: i64,
    /// Committed, from `next` on.
    pub(crate) entries: Vec<EntryValue>,
    /// Instead of entries, when the log no longer has them.
    pub(crate) chunk: Option<ChunkValue>,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

impl Call for Pull {
    const KIND: u32 = 5;
    type Reply = PullReply;
}
