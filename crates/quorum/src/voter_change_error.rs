//! Why the voters were not changed, or the leadership not handed over.

use crate::type_config::NodeId;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoterChangeError {
    #[error("this node is not the controller; {}", leader.map_or_else(|| "none is known".to_owned(), |id| format!("node {id} is")))]
    NotController { leader: Option<NodeId> },
    #[error("the voters are being changed already; one change at a time")]
    UnderWay,
    #[error("node {0} is a voter already")]
    AlreadyVoter(NodeId),
    #[error("node {0} is not a voter")]
    NotAVoter(NodeId),
    #[error("node {0} is the last voter: without it there would be no quorum. Add another one first")]
    LastVoter(NodeId),
    #[error("node {0} did not catch up with the metadata in time, and was not made a voter: does it run, and can it be reached?")]
    NotCaughtUp(NodeId),
    /// What was asked for may have happened, or may still happen.
    #[error("the change was not agreed upon in time; it may still be")]
    TimedOut,
    #[error("the voters were not changed: {0}")]
    Failed(String),
}
