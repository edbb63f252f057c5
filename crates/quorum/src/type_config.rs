//! openraft's types, chosen: standard Raft with one leader per term, so that a term is a Kafka leader epoch.

use std::fmt;
use std::marker::PhantomData;

use dohle_metadata::record::MetadataRecord;
use openraft::impls::{InlineBatch, OneshotResponder};
use openraft::vote::leader_id_std;
use openraft::{AnyError, BasicNode, EntryPayload, OptionalSend, RaftTypeConfig};

use crate::runtime::{Runtime, Tokio};

/// Number of a voter: Kafka's `node.id`, which is never negative.
pub type NodeId = u64;
/// Term and candidate.
pub(crate) type LeaderId = leader_id_std::LeaderId<u64, NodeId>;
/// The term alone: once a leader is elected there is no second one in its term.
pub(crate) type CommittedLeader = leader_id_std::CommittedLeaderId<u64>;
pub(crate) type LogId = openraft::LogId<CommittedLeader>;
pub(crate) type Vote = openraft::Vote<LeaderId>;
pub(crate) type Payload = EntryPayload<Proposal, NodeId, BasicNode>;
pub(crate) type Entry = openraft::Entry<CommittedLeader, Payload>;
pub(crate) type Membership = openraft::Membership<NodeId, BasicNode>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeader, NodeId, BasicNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeader, NodeId, BasicNode>;

/// The log id of `index` in `term`.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId {
        leader_id: CommittedLeader::new(term),
        index,
    }
}

/// The node that decides, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    pub node_id: NodeId,
    pub address: String,
}

/// What a leader wants to be true: the records of one or several decisions, all or none of which happen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposal {
    /// Term of the leader that decided. The decisions are void in any other term.
    pub(crate) decided_term: u64,
    /// The node that decided, for whoever reads the log.
    pub(crate) decided_by: NodeId,
    pub(crate) records: Vec<MetadataRecord>,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records decided by {} in term {}",
            self.records.len(),
            self.decided_by,
            self.decided_term
        )
    }
}

/// What became of a committed entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Its records are in the image.
    Done,
    /// It was decided in another term than it was appended in, and changed nothing.
    Fenced,
}

/// Names the types above to openraft.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig<R: Runtime = Tokio>(PhantomData<R>);

impl<R: Runtime> RaftTypeConfig for TypeConfig<R> {
    type D = Proposal;
    type R = Applied;
    type NodeId = NodeId;
    type Node = BasicNode;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = R::Async;
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = AnyError;
}
