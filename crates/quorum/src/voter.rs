//! A node that votes: openraft with its stores, and what it answers to the other nodes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{Fatal, RaftError};
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use openraft::type_config::TypeConfigExt;
use openraft::{AsyncRuntime, Raft};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::assembly::Assembly;
use crate::contacts::Contacts;
use crate::controller_loop::Submission;
use crate::entry_codec::EntryCodecError;
use crate::identity::Identity;
use crate::limits;
use crate::log_store::LogStore;
use crate::rpc::append::Append;
use crate::rpc::pull::{Pull, PullReply};
use crate::rpc::snapshot_chunk::{ChunkValue, SnapshotChunk, SnapshotChunkReply};
use crate::rpc::transfer::{Transfer, TransferReply};
use crate::rpc::values::{entry_values, optional, unsigned};
use crate::rpc::vote::AskVote;
use crate::rpc::{self, Call, Received, Refusal};
use crate::runtime::Runtime;
use crate::snapshot;
use crate::state_machine::{Observer, Snapshot, StateMachine};
use crate::type_config::{Leader, LogId, NodeId, TypeConfig, Vote};

pub(crate) struct Voter<R: Runtime> {
    pub(crate) raft: Raft<TypeConfig<R>, StateMachine>,
    pub(crate) store: LogStore<R>,
    pub(crate) observer: Observer,
    pub(crate) identity: Arc<Identity>,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) requests: mpsc::Sender<Submission>,
    pub(crate) leader: watch::Receiver<Option<Leader>>,
    pub(crate) assembly: Mutex<Assembly>,
    /// Held while voters are added or removed: one at a time.
    pub(crate) change_of_voters: tokio::sync::Mutex<()>,
}

impl<R: Runtime> Voter<R> {
    pub(crate) async fn serve(&self, received: Received) -> Bytes {
        let from = received.header.from as NodeId;
        match received.kind {
            Append::KIND => answer(received, |call: Append| self.append(from, call)).await,
            AskVote::KIND => answer(received, |call: AskVote| self.vote(from, call)).await,
            SnapshotChunk::KIND => answer(received, |call: SnapshotChunk| self.take_chunk(from, call)).await,
            Transfer::KIND => answer(received, |call: Transfer| self.take_over(from, call)).await,
            Pull::KIND => answer(received, |call: Pull| self.pull(from, call)).await,
            kind => rpc::encode_refusal(&Refusal::invalid(format!("request {kind} is unknown to this release"))),
        }
    }

    /// Everybody speaks for itself. What is said in the name of somebody else is none of ours, and openraft is not made for it.
    fn check_speaker(&self, from: NodeId, vote: &Vote, leads: bool) -> Result<(), Refusal> {
        if vote.leader_id.voted_for == from && from != self.identity.node_id && vote.committed == leads {
            return Ok(());
        }
        Err(Refusal::invalid(format!("node {from} speaks with the vote {vote}")))
    }

    async fn append(&self, from: NodeId, append: Append) -> Result<<Append as Call>::Reply, Refusal> {
        let request: AppendEntriesRequest<TypeConfig<R>> = append.try_into().map_err(invalid)?;
        self.check_speaker(from, &request.vote, true)?;
        let response = self.raft.append_entries(request).await.map_err(|error| raft_error::<R>(&error))?;
        Ok(response.into())
    }

    async fn vote(&self, from: NodeId, ask: AskVote) -> Result<<AskVote as Call>::Reply, Refusal> {
        let trial = ask.trial;
        let request: VoteRequest<TypeConfig<R>> = ask.try_into().map_err(invalid)?;
        self.check_speaker(from, &request.vote, false)?;
        let response = if trial {
            self.raft.pre_vote(request).await
        } else {
            self.raft.vote(request).await
        };
        Ok(response.map_err(|error| raft_error::<R>(&error))?.into())
    }

    async fn take_chunk(&self, from: NodeId, call: SnapshotChunk) -> Result<SnapshotChunkReply, Refusal> {
        let vote: Vote = call.vote.try_into().map_err(invalid)?;
        self.check_speaker(from, &vote, true)?;
        let reply = |vote: Vote| SnapshotChunkReply {
            vote: vote.into(),
            ..SnapshotChunkReply::default()
        };
        if let Some(mine) = self.store.vote().filter(|mine| *mine > vote) {
            return Ok(reply(mine));
        }
        let added = self.assembly.lock().add(call.chunk);
        let Some(content) = added.map_err(|error| Refusal::new(Refusal::RESTART, error))? else {
            return Ok(reply(vote));
        };
        let (meta, _) = snapshot::decoded::<R>(content.clone()).await.map_err(Refusal::invalid)?;
        if meta.last_log_id.is_some_and(|last| last.leader_id.term > vote.leader_id.term) {
            return Err(Refusal::invalid(format!("a snapshot from beyond the term of {vote}")));
        }
        let snapshot = Snapshot { meta, snapshot: content };
        let response = self
            .raft
            .install_full_snapshot(vote, snapshot)
            .await
            .map_err(|fatal| not_here::<R>(&fatal))?;
        Ok(reply(response.vote))
    }

    async fn take_over(&self, from: NodeId, transfer: Transfer) -> Result<TransferReply, Refusal> {
        let vote = transfer.vote.try_into().map_err(invalid)?;
        self.check_speaker(from, &vote, true)?;
        let last = optional(transfer.last).map_err(invalid)?;
        let request = TransferLeaderRequest::new(vote, transfer.to as NodeId, last);
        let outcome = self
            .raft
            .handle_transfer_leader(request)
            .await
            .map_err(|fatal| not_here::<R>(&fatal))?;
        outcome.map_err(|error| Refusal::new(Refusal::NOT_HERE, error))?;
        Ok(TransferReply::default())
    }

    async fn pull(&self, from: NodeId, pull: Pull) -> Result<PullReply, Refusal> {
        let next = unsigned(pull.next).map_err(invalid)?;
        if self.is_out_of_touch() {
            return Err(Refusal::new(Refusal::NOT_HERE, "this voter leads, but has no majority any more"));
        }
        // A voter that was removed may not even know it: whoever asked is to ask another one.
        if self.leader.borrow().is_none() {
            return Err(Refusal::new(Refusal::NOT_HERE, "this voter knows no leader"));
        }
        self.contacts.observed(from, R::now_ms(), next);
        let wait = Duration::from_millis(pull.wait_ms_max.max(0) as u64).min(limits::PULL_WAIT);
        let end = self.wait_for(next, pull.leader, wait).await;
        let leader = self.leader.borrow().clone();
        let term = self.raft.metrics().borrow_watched().current_term;
        let mut reply = PullReply {
            term: term as i64,
            leader: leader.as_ref().map_or(-1, |leader| leader.node_id as i64),
            leader_address: leader.map_or_else(String::new, |leader| leader.address),
            end: end as i64,
            ..PullReply::default()
        };
        let first = self.store.purged().map_or(0, |purged| purged.index + 1);
        if next < first {
            let begun: Option<LogId> = optional(pull.snapshot).map_err(invalid)?;
            reply.chunk = Some(self.chunk(begun, unsigned(pull.position).map_err(invalid)?)?);
        } else if next < end {
            let entries = self
                .store
                .read_some(next, end)
                .map_err(|error| Refusal::new(Refusal::NOT_HERE, error))?;
            // The log may have lost its beginning to a snapshot just now: the observer will ask again.
            if entries.first().is_some_and(|entry| entry.log_id.index == next) {
                reply.entries = entry_values(&entries).map_err(invalid)?;
            }
        }
        Ok(reply)
    }

    /// Returns when there is something at `next`, or another leader than the observer knows, or the time is over.
    async fn wait_for(&self, next: u64, known_leader: i64, wait: Duration) -> u64 {
        let (mut ends, mut leaders) = (self.observer.publisher.watch_end(), self.leader.clone());
        let news: BoxFuture<'static, ()> = Box::pin(async move {
            let is_other = |leader: &Option<Leader>| leader.as_ref().is_some_and(|leader| leader.node_id as i64 != known_leader);
            let arrived = std::pin::pin!(ends.wait_for(|end| *end > next));
            let other_leader = std::pin::pin!(leaders.wait_for(is_other));
            // An error says that the quorum has ended; there is nothing to wait for then.
            drop(future::select(arrived, other_leader).await);
        });
        let _ = R::Async::timeout(wait, news).await;
        *self.observer.publisher.watch_end().borrow()
    }

    fn chunk(&self, begun: Option<LogId>, position: u64) -> Result<ChunkValue, Refusal> {
        let part = self.observer.read_snapshot(begun, position);
        let part = part.map_err(|error| Refusal::new(Refusal::NOT_HERE, error))?;
        let (last, file_bytes, position, content) = part.ok_or_else(|| Refusal::new(Refusal::NOT_HERE, "there is no snapshot"))?;
        Ok(ChunkValue {
            last: last.into(),
            file_bytes: file_bytes as i64,
            position: position as i64,
            content,
            ..ChunkValue::default()
        })
    }

    /// A leader that was cut off does not know what the others have committed meanwhile.
    fn is_out_of_touch(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let lease = Duration::from_millis(2 * limits::ELECTION_TIMEOUT_MS_MAX);
        let leads = metrics.current_leader == Some(self.identity.node_id) && metrics.membership_config.voter_ids().nth(1).is_some();
        let acked = metrics.last_quorum_acked.as_ref();
        leads && acked.is_some_and(|acked| TypeConfig::<R>::now() > **acked + lease)
    }
}

async fn answer<C: Call, F: Future<Output = Result<C::Reply, Refusal>>>(received: Received, carry_out: impl FnOnce(C) -> F) -> Bytes {
    match received.call::<C>() {
        Ok(call) => rpc::encode_reply::<C>(carry_out(call).await),
        Err(error) => rpc::encode_refusal(&Refusal::invalid(error)),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
fn invalid(error: EntryCodecError) -> Refusal {
    Refusal::invalid(error)
}

fn raft_error<R: Runtime>(error: &RaftError<TypeConfig<R>>) -> Refusal {
    Refusal::new(Refusal::NOT_HERE, error)
}

fn not_here<R: Runtime>(fatal: &Fatal<TypeConfig<R>>) -> Refusal {
    Refusal::new(Refusal::NOT_HERE, fatal)
}
