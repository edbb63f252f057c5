//! An observer: follows the metadata without a vote, by asking a voter for what comes next.
//!
//! It keeps nothing on disk: after a restart it begins with a snapshot. It asks the leader if it knows it and the others in turn if not.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use openraft::AsyncRuntime;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::assembly::Assembly;
use crate::entry_codec::damaged;
use crate::facts::{Facts, end_of};
use crate::limits;
use crate::network::{CallError, Caller};
use crate::peers::ANYBODY;
use crate::rpc::pull::{Pull, PullReply};
use crate::runtime::Runtime;
use crate::snapshot;
use crate::type_config::{Entry, Leader, NodeId};

/// What others may know of the observer.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) leader: watch::Sender<Option<Leader>>,
    /// The metadata contradict themselves; nothing is pulled any more.
    pub(crate) failure: watch::Sender<Option<String>>,
    pub(crate) state: Mutex<PulledState>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct PulledState {
    pub(crate) term: u64,
    /// Entries before this one are committed, as far as is known.
    pub(crate) committed_end: u64,
    pub(crate) voters: BTreeMap<NodeId, String>,
}

pub(crate) struct Puller<R> {
    pub(crate) caller: Caller,
    pub(crate) facts: Facts,
    /// As configured; those of the log join them.
    pub(crate) addresses: Vec<(NodeId, String)>,
    pub(crate) pulled: Arc<Pulled>,
    assembly: Assembly,
    turn: usize,
    _runtime: PhantomData<R>,
}

impl<R: Runtime> Puller<R> {
    pub(crate) fn new(caller: Caller, facts: Facts, addresses: Vec<(NodeId, String)>, pulled: Arc<Pulled>) -> Puller<R> {
        Puller {
            caller,
            facts,
            addresses,
            pulled,
            assembly: Assembly::default(),
            turn: 0,
            _runtime: PhantomData,
        }
    }

    /// Never ends unless the metadata contradict themselves.
    pub(crate) async fn run(mut self) {
        loop {
            let (target, address) = self.target();
            match self.pull(target, &address).await {
                Ok(reply) => {
                    if let Err(error) = self.take(reply, &address).await {
                        tracing::error!("the metadata from node {target} cannot be applied: {error}");
                        self.pulled.failure.send_replace(Some(error.to_string()));
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!("node {target} at {address} does not tell what is committed: {error}");
                    self.pulled.leader.send_if_modified(|leader| leader.take().is_some());
                    self.turn += 1;
                    R::Async::sleep(limits::PULL_RETRY).await;
                }
            }
        }
    }

    fn target(&self) -> (NodeId, String) {
        if let Some(leader) = &*self.pulled.leader.borrow() {
            return (leader.node_id, leader.address.clone());
        }
        let voters = self.pulled.state.lock().voters.clone();
        let known: Vec<(NodeId, String)> = self.addresses.iter().cloned().chain(voters).collect();
        known
            .get(self.turn % known.len().max(1))
            .cloned()
            .unwrap_or((ANYBODY, String::new()))
    }

    async fn pull(&self, target: NodeId, address: &str) -> Result<PullReply, CallError> {
        let begun = self.assembly.progress();
        let leader = self.pulled.leader.borrow().as_ref().map_or(-1, |leader| leader.node_id as i64);
        let pull = Pull {
            next: end_of(self.facts.applied) as i64,
            leader,
            wait_ms_max: limits::PULL_WAIT.as_millis() as i32,
            snapshot: begun.map(|(last, _)| last.into()),
            position: begun.map_or(0, |(_, position)| position as i64),
            ..Pull::default()
        };
        let timeout = limits::PULL_WAIT + limits::PULL_TIMEOUT;
        self.caller.call::<R, Pull>(target, address, &pull, timeout).await
    }

    /// `asked` is where the reply comes from.
    async fn take(&mut self, reply: PullReply, asked: &str) -> std::io::Result<()> {
        let invalid = |error| std::io::Error::other(damaged(error));
        if let Some(chunk) = reply.chunk {
            // Parts that do not fit together: the next request asks for the first one.
            if let Ok(Some(content)) = self.assembly.add(chunk) {
                let (meta, image) = snapshot::decoded::<R>(content).await?;
                if end_of(meta.last_log_id) > end_of(self.facts.applied) {
                    self.facts.replace(&meta, image).await;
                }
            }
        }
        for value in reply.entries {
            let entry = Entry::try_from(value).map_err(std::io::Error::other)?;
            if entry.log_id.index < end_of(self.facts.applied) {
                continue;
            }
            if entry.log_id.index > end_of(self.facts.applied) {
                return Err(invalid("entries are missing"));
            }
            self.facts.apply(entry.log_id, &entry.payload).await?;
        }
        if !self.note(reply.term, reply.end) {
            // From a node that has not heard of the new leader yet, and may never do so.
            self.turn += 1;
            R::Async::sleep(limits::PULL_RETRY).await;
            return Ok(());
        }
        let leader = u64::try_from(reply.leader).ok().map(|node_id| Leader {
            node_id,
            // A voter that was formed alone may not know where it is; it is then the one that answers.
            address: if reply.leader_address.is_empty() {
                asked.to_owned()
            } else {
                reply.leader_address
            },
        });
        self.pulled.leader.send_if_modified(|known| {
            let is_news = *known != leader;
            *known = leader;
            is_news
        });
        Ok(())
    }

    /// Takes over what a node says of itself; false if its term is over.
    fn note(&self, term: i64, end: i64) -> bool {
        let mut state = self.pulled.state.lock();
        let membership = self.facts.membership.membership();
        let address = |id: NodeId| Some((id, membership.get_node(&id)?.addr.clone()));
        state.voters = membership.voter_ids().filter_map(address).collect();
        state.committed_end = state.committed_end.max(u64::try_from(end).unwrap_or(0));
        let term = u64::try_from(term).unwrap_or(0);
        let is_current = term >= state.term;
        state.term = state.term.max(term);
        is_current
    }
}
