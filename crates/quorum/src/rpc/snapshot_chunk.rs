//! SnapshotChunk: a leader sends its snapshot to a voter that needs entries which the log no longer has.

use bytes::Bytes;
use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;

use super::Call;
use super::values::{LogIdValue, VoteValue};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct SnapshotChunk {
    /// Of the leader.
    pub(crate) vote: VoteValue,
    pub(crate) chunk: ChunkValue,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

/// A part of the snapshot file of `last`.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub(crate) struct ChunkValue {
    pub(crate) last: LogIdValue,
    pub(crate) file_bytes: i64,
    pub(crate) position: i64,
    pub(crate) content: Bytes,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct SnapshotChunkReply {
    /// The one that the receiver has now: a higher one means that nothing was taken.
    pub(crate) vote: VoteValue,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

impl Call for SnapshotChunk {
    const KIND: u32 = 3;
    type Reply = SnapshotChunkReply;
}
