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
    /// In order of their ids.
    pub voters: Vec<ReplicaStatus>,
    /// Those that follow without a vote: known to the node that they pull from, usually the leader.
    pub observers: Vec<ReplicaStatus>,
    /// What is unwise about the number of voters.
    pub warning: Option<String>,
    /// Why this node no longer takes part; `None` if it does.
    pub failure: Option<String>,
}

/// One voter or observer, as the leader sees it. A voter that does not lead knows only of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    pub node_id: NodeId,
    /// Where a voter is reached; empty for an observer.
    pub address: String,
    /// -1 = not known.
    pub log_end_offset: Offset,
    /// When it last was heard of, and when it last had everything; milliseconds since 1970, -1 = not known.
    pub last_fetch_ms: i64,
    pub last_caught_up_ms: i64,
}

impl ReplicaStatus {
    pub(crate) fn unknown(node_id: NodeId) -> ReplicaStatus {
        ReplicaStatus {
            node_id,
            address: String::new(),
            log_end_offset: Offset(-1),
            last_fetch_ms: -1,
            last_caught_up_ms: -1,
        }
    }
}

/// What to say about a quorum of so many.
pub(crate) fn warning(voters: usize) -> Option<String> {
    (voters > 0 && voters.is_multiple_of(2)).then(|| {
        let (survives, odd) = ((voters - 1) / 2, voters - 1);
        format!(
            "a quorum of {voters} voters survives the loss of {survives}, no more than one of {odd}, and every change needs {} of them: \
             an odd number is better",
            voters / 2 + 1
        )
    })
}
