//! Adding and removing voters, and handing over the leadership: all on the leader, one change at a time.

use std::collections::BTreeSet;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::TransferLeaderRequest;
use openraft::{AsyncRuntime, BasicNode, ChangeMembers, RaftMetrics, ServerState};

use crate::limits;
use crate::runtime::Runtime;
use crate::status;
use crate::type_config::{NodeId, TypeConfig};
use crate::voter::Voter;
use crate::voter_change_error::VoterChangeError;

impl<R: Runtime> Voter<R> {
    /// The node learns all that there is first, so that the quorum does not wait for it afterwards.
    pub(crate) async fn add(&self, node_id: NodeId, address: String) -> Result<Option<String>, VoterChangeError> {
        let _one_at_a_time = self.change_of_voters.try_lock().map_err(|_| VoterChangeError::UnderWay)?;
        if self.voters_if_leading()?.contains(&node_id) {
            return Err(VoterChangeError::AlreadyVoter(node_id));
        }
        self.ensure_reachable()?;
        match R::Async::timeout(limits::CATCH_UP_TIMEOUT, self.teach(node_id, address)).await {
            Ok(outcome) => outcome?,
            Err(_) => {
                // Not to be waited for: who cannot be reached is not asked.
                let removed = ChangeMembers::RemoveNodes(BTreeSet::from([node_id]));
                let _ = R::Async::timeout(limits::MEMBERSHIP_TIMEOUT, self.raft.change_membership(removed, true)).await;
                return Err(VoterChangeError::NotCaughtUp(node_id));
            }
        }
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([node_id]))).await
    }

    /// A node that was formed alone need not be.
    fn ensure_reachable(&self) -> Result<(), VoterChangeError> {
        let membership = self.raft.metrics().borrow_watched().membership_config.clone();
        let me = self.identity.node_id;
        match membership.membership().get_node(&me) {
            Some(node) if node.addr.is_empty() => Err(VoterChangeError::Failed(format!(
                "node {me} has no listener by which other controllers could reach it (controller.listener.names)"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns when the node has everything up to the entry that says that it is to learn. openraft would take a node for taught that lags by
    /// less than 5,000 entries, hence one that has never answered, too; with the vote of such a node a quorum of one would have no majority.
    async fn teach(&self, node_id: NodeId, address: String) -> Result<(), VoterChangeError> {
        let adding = self.raft.add_learner(node_id, BasicNode::new(address), false).await;
        let added = adding.map_err(|error| self.change_error(error))?.log_id;
        let is_taught = |metrics: &RaftMetrics<TypeConfig<R>>| match &metrics.replication {
            Some(replication) => replication.get(&node_id).copied().flatten() >= Some(added),
            // Somebody else leads; the next step is told so.
            None => true,
        };
        let taught = self.raft.wait(None).metrics(is_taught, "a new voter to catch up").await;
        taught.map(drop).map_err(|error| VoterChangeError::Failed(error.to_string()))
    }

    pub(crate) async fn remove(&self, node_id: NodeId) -> Result<Option<String>, VoterChangeError> {
        let _one_at_a_time = self.change_of_voters.try_lock().map_err(|_| VoterChangeError::UnderWay)?;
        let voters = self.voters_if_leading()?;
        if !voters.contains(&node_id) {
            return Err(VoterChangeError::NotAVoter(node_id));
        }
        if voters.len() == 1 {
            return Err(VoterChangeError::LastVoter(node_id));
        }
        let warning = self.change(ChangeMembers::RemoveVoters(BTreeSet::from([node_id]))).await?;
        if node_id == self.identity.node_id {
            // It leads for a moment longer, but must not change anything any more. Who leads then it is not told.
            let is_done = |metrics: &RaftMetrics<TypeConfig<R>>| metrics.state != ServerState::Leader;
            let waiting = self
                .raft
                .wait(Some(limits::HANDOVER_TIMEOUT))
                .metrics(is_done, "to lead no more")
                .await;
            if waiting.is_err() {
                tracing::warn!("node {node_id} still leads, although it has no vote any more");
            }
        }
        Ok(warning)
    }

    async fn change(&self, change: ChangeMembers<NodeId, BasicNode>) -> Result<Option<String>, VoterChangeError> {
        // It goes on when nobody waits any more: half-way, majorities of the voters before and of those after are needed.
        let raft = self.raft.clone();
        let changing = R::Async::spawn(async move { raft.change_membership(change, false).await });
        match R::Async::timeout(limits::MEMBERSHIP_TIMEOUT, changing).await {
            Ok(Ok(outcome)) => {
                let response = outcome.map_err(|error| self.change_error(error))?;
                let voters = response.membership.map_or(0, |membership| membership.voter_ids().count());
                Ok(status::warning(voters))
            }
            Ok(Err(panicked)) => Err(VoterChangeError::Failed(panicked.to_string())),
            Err(_) => Err(VoterChangeError::TimedOut),
        }
    }

    /// Returns when `to` leads.
    pub(crate) async fn transfer(&self, to: NodeId) -> Result<(), VoterChangeError> {
        if !self.voters_if_leading()?.contains(&to) {
            return Err(VoterChangeError::NotAVoter(to));
        }
        if to == self.identity.node_id {
            return Ok(());
        }
        let asked = self.raft.trigger().transfer_leader(to).await;
        asked.map_err(|error| VoterChangeError::Failed(error.to_string()))?;
        let is_done = |metrics: &RaftMetrics<TypeConfig<R>>| metrics.current_leader == Some(to);
        let waiting = self
            .raft
            .wait(Some(limits::HANDOVER_TIMEOUT))
            .metrics(is_done, "another leader")
            .await;
        waiting.map(drop).map_err(|_| VoterChangeError::TimedOut)
    }

    /// Whoever has come furthest is to lead when this node goes.
    pub(crate) async fn hand_over(&self) {
        let Ok(voters) = self.voters_if_leading() else { return };
        let others = voters.into_iter().filter(|id| *id != self.identity.node_id);
        let alive_since = R::now_ms() - limits::ELECTION_TIMEOUT_MS_MAX as i64;
        let heard = others
            .map(|id| self.contacts.voter(id))
            .filter(|voter| voter.last_fetch_ms >= alive_since);
        let Some(next) = heard.max_by_key(|voter| voter.log_end_offset) else {
            return;
        };
        match self.transfer(next.node_id).await {
            Ok(()) => tracing::info!("node {} is the controller from now on", next.node_id),
            Err(error) => tracing::warn!("the leadership of the metadata quorum was not handed over: {error}"),
        }
    }

    /// Stands for election in place of a leader that has ended, without waiting for its lease: as if it had handed over.
    pub(crate) async fn succeed(&self, gone: NodeId) {
        let me = self.identity.node_id;
        let voters: BTreeSet<NodeId> = self.raft.metrics().borrow_watched().membership_config.voter_ids().collect();
        if !voters.contains(&me) {
            return;
        }
        let before = voters.range(..me).filter(|id| **id != gone).count();
        R::Async::sleep(limits::SUCCESSION_PAUSE * before as u32).await;
        let vote = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            (metrics.current_leader == Some(gone)).then_some(metrics.vote)
        };
        let Some(vote) = vote else { return };
        tracing::info!("node {gone}, the controller, has ended: this node stands for election");
        match self.raft.handle_transfer_leader(TransferLeaderRequest::new(vote, me, None)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("it does not after all: {error}"),
            Err(error) => tracing::debug!("it does not after all: {error}"),
        }
    }

    fn voters_if_leading(&self) -> Result<BTreeSet<NodeId>, VoterChangeError> {
        let not_controller = |leader| VoterChangeError::NotController { leader };
        self.raft.as_leader().map_err(|other| not_controller(other.leader_id))?;
        let voters: BTreeSet<NodeId> = self.raft.metrics().borrow_watched().membership_config.voter_ids().collect();
        // A leader that was removed is about to hand over.
        voters
            .contains(&self.identity.node_id)
            .then_some(voters)
            .ok_or(not_controller(None))
    }

    #[allow(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
    fn change_error(&self, error: RaftError<TypeConfig<R>, ClientWriteError<TypeConfig<R>>>) -> VoterChangeError {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(other)) => VoterChangeError::NotController { leader: other.leader_id },
            RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => VoterChangeError::TimedOut,
            RaftError::APIError(ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))) => {
                VoterChangeError::UnderWay
            }
            other => VoterChangeError::Failed(other.to_string()),
        }
    }
}
