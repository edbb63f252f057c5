//! openraft's messages to other voters, on the way that [`Peers`] provides.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{self, Either};
use openraft::AsyncRuntime;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode, OptionalSend};

use crate::contacts::Contacts;
use crate::entry_codec::{EntryCodecError, damaged};
use crate::facts::end_of;
use crate::identity::Identity;
use crate::limits;
use crate::peers::{PeerError, Peers};
use crate::rpc::append::Append;
use crate::rpc::snapshot_chunk::{ChunkValue, SnapshotChunk};
use crate::rpc::transfer::Transfer;
use crate::rpc::vote::AskVote;
use crate::rpc::{self, Call, Refusal};
use crate::runtime::Runtime;
use crate::state_machine::Snapshot;
use crate::type_config::{LogId, NodeId, TypeConfig, Vote};

/// Why a call has no answer of its kind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("refused: {}", .0.message)]
    Refused(Refusal),
    #[error(transparent)]
    Codec(#[from] EntryCodecError),
}

/// Asks other nodes in the name of this one.
#[derive(Clone)]
pub(crate) struct Caller {
    identity: Arc<Identity>,
    peers: Arc<dyn Peers>,
}

impl Caller {
    pub(crate) fn new(identity: &Arc<Identity>, peers: Arc<dyn Peers>) -> Caller {
        Caller {
            identity: Arc::clone(identity),
            peers,
        }
    }

    pub(crate) async fn call<R: Runtime, C: Call>(
        &self,
        target: NodeId,
        address: &str,
        call: &C,
        timeout: Duration,
    ) -> Result<C::Reply, CallError> {
        let request = rpc::encode_request(&self.identity.header_to(target), call)?;
        let answer = self.peers.call(target, address.to_owned(), request, timeout);
        let answer = R::Async::timeout(timeout, answer).await.map_err(|_| PeerError::TimedOut)??;
        rpc::decode_reply::<C>(answer)?.map_err(|refusal| {
            self.identity.on_refusal(&refusal);
            CallError::Refused(refusal)
        })
    }
}

/// Makes the connections that openraft asks for.
pub(crate) struct Network<R> {
    caller: Caller,
    contacts: Arc<Contacts>,
    _runtime: PhantomData<R>,
}

impl<R> Network<R> {
    pub(crate) fn new(caller: Caller, contacts: &Arc<Contacts>) -> Network<R> {
        Network {
            caller,
            contacts: Arc::clone(contacts),
            _runtime: PhantomData,
        }
    }
}

impl<R: Runtime> RaftNetworkFactory<TypeConfig<R>> for Network<R> {
    type Network = Peer<R>;

    async fn new_client(&mut self, target: NodeId, node: &BasicNode) -> Peer<R> {
        Peer {
            target,
            address: node.addr.clone(),
            caller: self.caller.clone(),
            contacts: Arc::clone(&self.contacts),
            _runtime: PhantomData,
        }
    }
}

/// One other voter.
pub(crate) struct Peer<R> {
    target: NodeId,
    address: String,
    caller: Caller,
    contacts: Arc<Contacts>,
    _runtime: PhantomData<R>,
}

impl<R: Runtime> Peer<R> {
    async fn call<C: Call>(&self, call: &C, timeout: Duration) -> Result<C::Reply, RPCError<TypeConfig<R>>> {
        self.caller
            .call::<R, C>(self.target, &self.address, call, timeout)
            .await
            .map_err(|error| self.rpc_error(&error))
    }

    fn rpc_error(&self, error: &CallError) -> RPCError<TypeConfig<R>> {
        let told = AnyError::error(format!("voter {} at {}: {error}", self.target, self.address));
        match error {
            // Who cannot be reached, or does not want to be, is left alone for a moment.
            CallError::Peer(PeerError::Unreachable(_)) | CallError::Refused(_) => RPCError::Unreachable(Unreachable::new(&told)),
            CallError::Peer(PeerError::TimedOut) | CallError::Codec(_) => RPCError::Network(NetworkError::new(&told)),
        }
    }

    async fn ask_vote(
        &self,
        request: &VoteRequest<TypeConfig<R>>,
        trial: bool,
        option: &RPCOption,
    ) -> Result<VoteResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let reply = self.call(&AskVote::new(request, trial), option.hard_ttl()).await?;
        reply.try_into().map_err(network_error)
    }

    async fn send_snapshot(&self, vote: Vote, last: LogId, content: &Bytes) -> Result<Vote, RPCError<TypeConfig<R>>> {
        let mut position = 0;
        loop {
            let end = (position + limits::SNAPSHOT_CHUNK_BYTES).min(content.len());
            let chunk = ChunkValue {
                last: last.into(),
                file_bytes: content.len() as i64,
                position: position as i64,
                content: content.slice(position..end),
                ..ChunkValue::default()
            };
            let call = SnapshotChunk {
                vote: vote.into(),
                chunk,
                ..SnapshotChunk::default()
            };
            let is_last = end == content.len();
            let timeout = if is_last {
                limits::SNAPSHOT_TIMEOUT
            } else {
                limits::APPEND_TIMEOUT
            };
            let theirs: Vote = self.call(&call, timeout).await?.vote.try_into().map_err(network_error)?;
            if is_last || theirs > vote {
                return Ok(theirs);
            }
            position = end;
        }
    }
}

impl<R: Runtime> RaftNetworkV2<TypeConfig<R>> for Peer<R> {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let append = Append::try_from(&request).map_err(network_error)?;
        // A heartbeat is worth nothing later; entries are to arrive at a slow disk, too.
        let timeout = if request.entries.is_empty() {
            option.hard_ttl()
        } else {
            limits::APPEND_TIMEOUT
        };
        let sent_ms = R::now_ms();
        let response: AppendEntriesResponse<TypeConfig<R>> = self.call(&append, timeout).await?.try_into().map_err(network_error)?;
        let end = end_of(request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id));
        self.contacts.heard(self.target, sent_ms, response.is_success().then_some(end));
        Ok(response)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        self.ask_vote(&request, false, &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        self.ask_vote(&request, true, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig<R>>, StreamingError<TypeConfig<R>>> {
        let last = snapshot
            .meta
            .last_log_id
            .ok_or_else(|| network_error::<R>(damaged("a snapshot of nothing")))?;
        let sending = std::pin::pin!(self.send_snapshot(vote, last, &snapshot.snapshot));
        match future::select(sending, std::pin::pin!(cancel)).await {
            Either::Left((sent, _)) => Ok(SnapshotResponse::new(sent?)),
            Either::Right((closed, _)) => Err(closed.into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let transfer = Transfer {
            vote: (*request.from_leader()).into(),
            last: request.last_log_id().map(|last| (*last).into()),
            to: *request.to_node_id() as i64,
            ..Transfer::default()
        };
        self.call(&transfer, option.hard_ttl()).await.map(|_| Ok(()))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
fn network_error<R: Runtime>(error: EntryCodecError) -> RPCError<TypeConfig<R>> {
    RPCError::Network(NetworkError::new(&error))
}
