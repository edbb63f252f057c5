//! The way to other voters. There is none yet: a quorum has one voter, and openraft never opens a connection then.
//!
//! With more voters this is the only module that has to know how their brokers are reached.

use std::future::Future;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{AnyError, BasicNode, OptionalSend};

use crate::runtime::Runtime;
use crate::state_machine::Snapshot;
use crate::type_config::{NodeId, TypeConfig, Vote};

/// Makes connections that do not reach anybody.
pub(crate) struct NoPeers;

/// The connection to one voter that cannot be reached.
pub(crate) struct NoPeer(NodeId);

impl NoPeer {
    fn unreachable<R: Runtime>(&self) -> Unreachable<TypeConfig<R>> {
        Unreachable::new(&AnyError::error(format!("this release has no way to reach voter {}", self.0)))
    }
}

impl<R: Runtime> RaftNetworkFactory<TypeConfig<R>> for NoPeers {
    type Network = NoPeer;

    async fn new_client(&mut self, target: NodeId, _node: &BasicNode) -> NoPeer {
        NoPeer(target)
    }
}

impl<R: Runtime> RaftNetworkV2<TypeConfig<R>> for NoPeer {
    type SnapshotData = bytes::Bytes;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig<R>>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig<R>>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    /// openraft's default grants what nobody was asked for.
    async fn pre_vote(
        &mut self,
        _request: VoteRequest<TypeConfig<R>>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig<R>>, StreamingError<TypeConfig<R>>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }
}
