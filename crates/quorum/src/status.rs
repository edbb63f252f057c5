//! How the quorum is doing, as DescribeQuorum shows it.

use dohle_protocol::id::{LeaderEpoch, Offset};

use crate::type_config::NodeId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumStatus {
    /// `None` while there is none, or none is known.
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    /// Entries before this offset are committed.
    pub high_watermark: Offset,
    pub voters: Vec<VoterStatus>,
    /// Why this node no longer takes part; `None` if it does.
    pub failure: Option<String>,
}

/// One voter, as the leader sees it. A node that does not lead knows only of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoterStatus {
    pub node_id: NodeId,
    pub log_end_offset: Offset,
    /// When it last was heard of, and when it last had everything; milliseconds since 1970, -1 = not known.
    pub last_fetch_ms: i64,
    pub last_caught_up_ms: i64,
}
