//! What a voter does besides voting: tells who leads, ticks while there are others to watch, and names the cluster when it is the first to lead.

use std::sync::Arc;

use dohle_metadata::controller::ControllerRequest;
use futures_util::future::{self, Either};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use openraft::{AsyncRuntime, Raft};
use tokio::sync::{mpsc, oneshot, watch};

use crate::controller_loop::Submission;
use crate::identity::Identity;
use crate::limits;
use crate::publisher::Publisher;
use crate::runtime::Runtime;
use crate::state_machine::StateMachine;
use crate::type_config::{Leader, TypeConfig};

pub(crate) struct Attendant<R: Runtime> {
    pub(crate) raft: Raft<TypeConfig<R>, StateMachine>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) requests: mpsc::WeakSender<Submission>,
    pub(crate) leader: watch::Sender<Option<Leader>>,
    /// Why openraft has ended without being told to: its own figures do not say so if it has panicked.
    pub(crate) failure: watch::Sender<Option<String>>,
}

impl<R: Runtime> Attendant<R> {
    /// Ends with the quorum: `stopped` is dropped then.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<()>) {
        let mut metrics = self.raft.server_metrics();
        let mut named_in = None;
        loop {
            let (leader, voters, term) = {
                let metrics = metrics.borrow_watched();
                let membership = metrics.membership_config.membership();
                // A leader that was removed may take itself for one for ever.
                let leader = metrics.current_leader.and_then(|node_id| {
                    let address = membership.get_node(&node_id)?.addr.clone();
                    Some(Leader { node_id, address })
                });
                (leader, membership.voter_ids().count(), metrics.vote.leader_id.term)
            };
            // A node that votes alone has nobody to watch, and sleeps when nothing is asked of it.
            self.raft.runtime_config().tick(voters > 1);
            let leads = leader.as_ref().is_some_and(|leader| leader.node_id == self.identity.node_id);
            self.leader.send_if_modified(|known| {
                let is_news = *known != leader;
                *known = leader;
                is_news
            });
            if !leads {
                named_in = None;
            } else if named_in != Some(term) && self.publisher.current().image.cluster_id().is_none() {
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

    /// Tries until it is done or somebody else leads: a leader that others do not follow yet is told that it is none.
    fn name_cluster(&self) {
        let (requests, publisher) = (self.requests.clone(), Arc::clone(&self.publisher));
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
