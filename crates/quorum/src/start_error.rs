//! Why a quorum does not start. Each message says what a person can do; none is followed by starting from nothing.

use std::io;
use std::path::PathBuf;

use crate::type_config::NodeId;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "the vote in {} cannot be read: {reason}. Without it this node could vote twice in one term, so it does not start. \
         Restore the file from a copy made while the node was stopped, or replace the node",
        path.display()
    )]
    VoteUnreadable { path: PathBuf, reason: String },
    #[error(
        "{} holds a metadata log, but its quorum-state file with the vote is missing. \
         Restore the whole directory from a copy made while the node was stopped, or replace the node",
        dir.display()
    )]
    VoteMissing { dir: PathBuf },
    #[error(
        "the vote in {} is of term {vote_term}, but the log beside it has an entry of term {log_term}: the file is older than the log. \
         Restore both from the same copy",
        dir.display()
    )]
    VoteOlderThanLog { dir: PathBuf, vote_term: u64, log_term: u64 },
    #[error("{} belongs to node {found}, but this is node {configured}. Set node.id={found}, or use another directory", dir.display())]
    OtherNode { dir: PathBuf, found: NodeId, configured: NodeId },
    #[error(
        "the metadata log in {} ends at {end}, but was durable up to {durable_end}: entries are damaged or lost. \
         Restore the whole directory from a copy made while the node was stopped, or replace the node",
        dir.display()
    )]
    LogTooShort { dir: PathBuf, end: u64, durable_end: u64 },
    #[error("the metadata log in {} cannot be read: {reason}. Restore the whole directory from a copy, or replace the node", dir.display())]
    LogUnreadable { dir: PathBuf, reason: String },
    #[error(
        "no snapshot in {} can be used, but the log begins at {log_start}: {reason}. \
         Restore the missing .checkpoint file from a copy, or replace the node",
        dir.display()
    )]
    SnapshotMissing { dir: PathBuf, log_start: u64, reason: String },
    #[error("{} holds the metadata of cluster {found}, but this node is configured for cluster {configured}", dir.display())]
    OtherCluster { dir: PathBuf, found: String, configured: String },
    #[error("node {0} is to vote, but is not among the configured voters (controller.quorum.voters)")]
    NotAVoter(NodeId),
    /// Says it in the words of the other node.
    #[error("another node of the quorum refuses this one: {0}")]
    Foreign(String),
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("the quorum does not start: {0}")]
    Raft(String),
}
