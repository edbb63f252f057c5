//! What a voter does besides voting: tells who leads, ticks while there are others to watch, names the cluster when it is the first to lead,
//! and finishes the change of voters that an earlier leader has left half-way.

use std::collections::BTreeSet;
use std::sync::Arc;

use dohle_metadata::controller::ControllerRequest;
use futures_util::future::{self, Either};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use openraft::metrics::RaftServerMetrics;
use openraft::{AsyncRuntime, ChangeMembers, Raft};
use tokio::sync::{mpsc, oneshot, watch};

use crate::controller_loop::Submission;
use crate::identity::Identity;
use crate::limits;
use crate::runtime::Runtime;
use crate::state_machine::{Observer, StateMachine};
use crate::type_config::{Leader, TypeConfig};

pub(crate) struct Attendant<R: Runtime> {
    pub(crate) raft: Raft<TypeConfig<R>, StateMachine>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) observer: Observer,
    pub(crate) requests: mpsc::WeakSender<Submission>,
    pub(crate) leader: watch::Sender<Option<Leader>>,
    /// Why openraft has ended without being told to: its own figures do not say so if it has panicked.
    pub(crate) failure: watch::Sender<Option<String>>,
}

impl<R: Runtime> Attendant<R> {
    /// Ends with the quorum: `stopped` is dropped then.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<()>) {
        let snapshots = snapshot_when_due(self.raft.clone(), self.observer.clone(), stopped.clone());
        drop(R::Async::spawn(snapshots));
        let mut metrics = self.raft.server_metrics();
        let (mut led, mut named_in, mut was_orphaned) = (None, None, false);
        loop {
            let (leader, voters, term, is_halfway, is_orphaned) = {
                let metrics = metrics.borrow_watched();
                let membership = metrics.membership_config.membership();
                // A leader that was removed may take itself for one for ever.
                let leader = metrics.current_leader.and_then(|node_id| {
                    let address = membership.get_node(&node_id)?.addr.clone();
                    Some(Leader { node_id, address })
                });
                let (voters, term) = (membership.voter_ids().count(), metrics.vote.leader_id.term);
                let is_halfway = membership.get_joint_config().len() > 1;
                (leader, voters, term, is_halfway, is_orphaned(&metrics))
            };
            // A node that votes alone has nobody to watch, and sleeps when nothing is asked of it.
            self.raft.runtime_config().tick(voters > 1);
            let leads = leader.as_ref().is_some_and(|leader| leader.node_id == self.identity.node_id);
            self.leader.send_if_modified(|known| {
                let is_news = *known != leader;
                *known = leader;
                is_news
            });
            if is_orphaned && !was_orphaned {
                self.stand_alone();
            }
            was_orphaned = is_orphaned;
            if leads && led != Some(term) && is_halfway {
                self.finish_change();
            }
            led = leads.then_some(term);
            if !leads {
                named_in = None;
            } else if named_in != Some(term) && self.observer.publisher.current().image.cluster_id().is_none() {
                named_in = Some(term);
                self.name_cluster();
            }
            let changed = std::pin::pin!(metrics.changed());
            match future::select(changed, std::pin::pin!(stopped.changed())).await {
                Either::Left((Ok(()), _)) => {}
                Either::Left((Err(_), _)) => return self.on_end().await,
                Either::Right(_) => return,
            }
        }
    }

    async fn on_end(&self) {
        self.leader.send_replace(None);
        if let Err(fatal) = self.raft.with_raft_state(|_| ()).await
            && !matches!(fatal, Fatal::Stopped)
        {
            tracing::error!("this node takes no part in the metadata quorum any more: {fatal}");
            self.failure.send_replace(Some(fatal.to_string()));
        }
    }

    /// Nobody but this node can be elected, and it does not tick. Whoever led before hands over to it as a rule, unless that is gone, or was this
    /// node itself in an earlier run, while another one was about to be added.
    fn stand_alone(&self) {
        let raft = self.raft.clone();
        drop(R::Async::spawn(async move {
            loop {
                R::Async::sleep(limits::HANDOVER_TIMEOUT).await;
                // An error says that openraft has ended.
                if !is_orphaned(&raft.server_metrics().borrow_watched()) || raft.trigger().elect(true).await.is_err() {
                    return;
                }
            }
        }));
    }

    /// The leader that began it has ended between the two steps. Tries until it is done or somebody else leads.
    fn finish_change(&self) {
        let (raft, metrics) = (self.raft.clone(), self.raft.server_metrics());
        let (node_id, leader) = (self.identity.node_id, self.leader.subscribe());
        let finishing = async move {
            // Nobody says who leads any more when the quorum has ended.
            let leads = || leader.has_changed().is_ok() && leader.borrow().as_ref().is_some_and(|leader| leader.node_id == node_id);
            let is_halfway = || metrics.borrow_watched().membership_config.membership().get_joint_config().len() > 1;
            while leads() && is_halfway() {
                let is_committed = {
                    let metrics = metrics.borrow_watched();
                    metrics.committed_membership_config == metrics.membership_config
                };
                let nothing_else = ChangeMembers::AddVoterIds(BTreeSet::new());
                if is_committed && raft.change_membership(nothing_else, false).await.is_ok() {
                    return;
                }
                R::Async::sleep(limits::NAMING_RETRY).await;
            }
        };
        drop(R::Async::spawn(finishing));
    }

    /// Tries until it is done or somebody else leads: a leader that others do not follow yet is told that it is none.
    fn name_cluster(&self) {
        let (requests, publisher) = (self.requests.clone(), Arc::clone(&self.observer.publisher));
        let (node_id, leader) = (self.identity.node_id, self.leader.subscribe());
        let cluster_id = self.identity.name_to_give::<R>();
        let naming = async move {
            let leads = || leader.borrow().as_ref().is_some_and(|leader| leader.node_id == node_id);
            while leads() && publisher.current().image.cluster_id().is_none() {
                let Some(requests) = requests.upgrade() else { return };
                let (reply, named) = oneshot::channel();
                let request = ControllerRequest::Bootstrap {
                    cluster_id: cluster_id.clone(),
                };
                let _ = requests.send(Submission { request, reply }).await;
                drop(requests);
                if matches!(named.await, Ok(Ok(_))) {
                    return;
                }
                R::Async::sleep(limits::NAMING_RETRY).await;
            }
        };
        drop(R::Async::spawn(naming));
    }
}

/// Has a snapshot made whenever there are enough records since the last one: openraft counts entries only. Ends with the quorum, too.
async fn snapshot_when_due<R: Runtime>(raft: Raft<TypeConfig<R>, StateMachine>, observer: Observer, mut stopped: watch::Receiver<()>) {
    let mut ends = observer.publisher.watch_end();
    loop {
        let applied = std::pin::pin!(ends.changed());
        let Either::Left((Ok(()), _)) = future::select(applied, std::pin::pin!(stopped.changed())).await else {
            return;
        };
        if observer.snapshot_is_due() && raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// Whether this node is the only voter, and does not lead.
fn is_orphaned<R: Runtime>(metrics: &RaftServerMetrics<TypeConfig<R>>) -> bool {
    let mut voters = metrics.membership_config.voter_ids();
    voters.next() == Some(metrics.id) && voters.next().is_none() && metrics.current_leader != Some(metrics.id)
}
