//! The metadata quorum as one node sees it: formation, restart, requests, subscriptions, shutdown.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use dohle_metadata::controller::{Controller, ControllerReply, ControllerRequest};
use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_storage::Disk;
use futures_util::future::{self, Either};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use openraft::{AsyncRuntime, BasicNode, ChangeMembers, Config, EntryPayload, Raft, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use crate::assembly::Assembly;
use crate::attendant::Attendant;
use crate::contacts::Contacts;
use crate::controller_loop::{ControllerLoop, Submission};
use crate::facts::{Facts, end_of};
use crate::identity::Identity;
use crate::limits;
use crate::log_store::LogStore;
use crate::network::{Caller, Network};
use crate::peers::{ANYBODY, Peers};
use crate::publisher::{MetadataVersion, Publisher, Subscription};
use crate::puller::{Pulled, Puller};
use crate::rpc::{self, Received, Refusal};
use crate::runtime::{Runtime, Tokio};
use crate::start_error::StartError;
use crate::state_machine::StateMachine;
use crate::status::{self, QuorumStatus, ReplicaStatus};
use crate::submit_error::SubmitError;
use crate::type_config::{Leader, Membership, NodeId, SnapshotMeta, TypeConfig};
use crate::voter::Voter;
use crate::voter_change_error::VoterChangeError;

/// What a node is to the quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It votes, and may lead: a controller.
    Voter,
    /// It follows what the voters decide: a broker.
    Observer,
}

#[derive(Clone)]
pub struct QuorumConfig {
    pub node_id: NodeId,
    pub role: Role,
    /// What the cluster is called when it is formed, and has to be called afterwards. `None` if that is not known yet.
    pub cluster_id: Option<String>,
    /// Directory of the metadata log, `<log.dir>/__cluster_metadata-0`; created if need be. An observer needs none.
    pub dir: PathBuf,
    /// The voters and where they are reached, the same on all of them. Counts when the quorum is formed; later the log knows. A voter that
    /// is given none does not form a quorum: it waits until it is added to one.
    pub voters: BTreeMap<NodeId, String>,
    /// Where an observer may ask besides, although it does not know whom.
    pub bootstrap: Vec<String>,
    /// The way to the other nodes.
    pub peers: Arc<dyn Peers>,
    /// Decides what is asked for, while this node leads.
    pub controller: Controller,
}

/// The metadata quorum, as seen from one node.
pub struct Quorum<R: Runtime = Tokio> {
    dir: PathBuf,
    identity: Arc<Identity>,
    publisher: Arc<Publisher>,
    leader: watch::Receiver<Option<Leader>>,
    /// Why this node takes no part any more, if it has failed.
    failure: watch::Receiver<Option<String>>,
    pub(crate) member: Member<R>,
    /// The tasks of the quorum end when it is dropped.
    running: Mutex<Option<watch::Sender<()>>>,
}

pub(crate) enum Member<R: Runtime> {
    Voter(Box<Voter<R>>),
    Observer(Arc<Pulled>),
}

impl<R: Runtime> Quorum<R> {
    /// Forms the quorum if the directory is empty, or takes up where it was left. A node that votes alone leads when this returns, and knows
    /// all metadata; any other one has yet to hear of them: see [`Quorum::cluster_id`].
    pub async fn start(config: QuorumConfig, disk: Arc<dyn Disk>) -> Result<Quorum<R>, StartError> {
        match config.role {
            Role::Voter => Quorum::start_voter(config, disk).await,
            Role::Observer => Ok(Quorum::start_observer(config)),
        }
    }

    async fn start_voter(config: QuorumConfig, disk: Arc<dyn Disk>) -> Result<Quorum<R>, StartError> {
        let (node_id, dir) = (config.node_id, config.dir);
        if !config.voters.is_empty() && !config.voters.contains_key(&node_id) {
            return Err(StartError::NotAVoter(node_id));
        }
        let store = LogStore::open(&disk, &dir, node_id)?;
        let state_machine = StateMachine::open(&disk, &dir, store.purged())?;
        let observer = state_machine.observer();
        let publisher = Arc::clone(&observer.publisher);
        let known = last_membership(&store, state_machine.snapshot_meta()).map_err(to_start_error)?;
        let alone = match &known {
            Some(membership) => membership.nodes().all(|(id, _)| *id == node_id),
            None => config.voters.len() == 1,
        };
        let identity = Arc::new(Identity::new(node_id, config.cluster_id.clone(), Arc::clone(&publisher)));
        let contacts = Arc::new(Contacts::new(Arc::clone(&publisher)));
        let network = Network::new(Caller::new(&identity, config.peers), &contacts);
        let raft_config = Arc::new(raft_config::<R>(alone).validate().map_err(to_start_error)?);
        let raft = Raft::new(node_id, raft_config, network, store.clone(), state_machine)
            .await
            .map_err(to_start_error)?;
        if alone {
            lead_alone(&raft, config.voters).await?;
        } else if known.is_none() && !config.voters.is_empty() {
            form(&raft, config.voters).await?;
        }
        let (requests, queue) = mpsc::channel(limits::REQUESTS_QUEUED_MAX);
        let controller_loop = ControllerLoop::new(node_id, config.controller, raft.clone(), observer.clone(), queue);
        drop(R::Async::spawn(controller_loop.run()));
        let (running, stopped) = watch::channel(());
        let (leads, leader) = watch::channel(None);
        let (fails, failure) = watch::channel(None);
        let attendant = Attendant {
            raft: raft.clone(),
            identity: Arc::clone(&identity),
            observer: observer.clone(),
            requests: requests.downgrade(),
            leader: leads,
            failure: fails,
        };
        let voter = Voter {
            raft,
            store,
            observer,
            identity: Arc::clone(&identity),
            contacts,
            requests,
            leader: leader.clone(),
            assembly: Mutex::new(Assembly::default()),
            change_of_voters: tokio::sync::Mutex::new(()),
        };
        let quorum = Quorum {
            dir,
            identity,
            publisher,
            leader,
            failure,
            member: Member::Voter(Box::new(voter)),
            running: Mutex::new(Some(running)),
        };
        // Who is not alone may have to wait for the others, and is of use to them meanwhile.
        if alone && let Err(error) = quorum.name_cluster().await {
            if let Err(error) = quorum.shutdown().await {
                tracing::error!(%error, "the metadata quorum did not end well");
            }
            return Err(error);
        }
        drop(R::Async::spawn(attendant.run(stopped)));
        Ok(quorum)
    }

    /// Gives the cluster its name if it has none.
    async fn name_cluster(&self) -> Result<String, StartError> {
        let cluster_id = self.identity.name_to_give::<R>();
        self.submit(ControllerRequest::Bootstrap { cluster_id })
            .await
            .map_err(to_start_error)?;
        self.cluster_id().await
    }

    fn start_observer(config: QuorumConfig) -> Quorum<R> {
        let facts = Facts::new(SnapshotMeta::default(), ClusterImage::default());
        let publisher = Arc::clone(&facts.publisher);
        let identity = Arc::new(Identity::new(config.node_id, config.cluster_id, Arc::clone(&publisher)));
        let (leader, known_leader) = watch::channel(None);
        let (fails, failure) = watch::channel(None);
        let pulled = Arc::new(Pulled {
            leader,
            failure: fails,
            state: Mutex::default(),
        });
        let caller = Caller::new(&identity, config.peers);
        let anybody = config.bootstrap.into_iter().map(|address| (ANYBODY, address));
        let addresses = config.voters.into_iter().chain(anybody).collect();
        let puller: Puller<R> = Puller::new(caller, facts, addresses, Arc::clone(&pulled));
        let (running, mut stopped) = watch::channel(());
        drop(R::Async::spawn(async move {
            let pulling = std::pin::pin!(puller.run());
            future::select(pulling, std::pin::pin!(stopped.changed())).await;
        }));
        Quorum {
            dir: config.dir,
            identity,
            publisher,
            leader: known_leader,
            failure,
            member: Member::Observer(pulled),
            running: Mutex::new(Some(running)),
        }
    }

    /// The name of the cluster, as soon as it is agreed upon and known here. The metadata are worth nothing to this node before.
    pub async fn cluster_id(&self) -> Result<String, StartError> {
        let mut versions = self.watch();
        let mut refused = self.identity.refused();
        let found = {
            let named = std::pin::pin!(versions.wait_for(|version| version.image.cluster_id().is_some()));
            let refused = std::pin::pin!(refused.wait_for(Option::is_some));
            let ended = std::pin::pin!(self.ended());
            match future::select(future::select(named, refused), ended).await {
                Either::Left((Either::Left((Ok(version), _)), _)) => version.image.cluster_id().map(str::to_owned),
                Either::Left((Either::Right((Ok(refusal), _)), _)) => return Err(StartError::Foreign(refusal.clone().unwrap_or_default())),
                _ => None,
            }
        };
        let found = found.ok_or_else(|| to_start_error(self.status().failure.unwrap_or_else(|| "it was shut down".to_owned())))?;
        match &self.identity.configured {
            Some(configured) if *configured != found => Err(StartError::OtherCluster {
                dir: self.dir.clone(),
                found,
                configured: configured.clone(),
            }),
            _ => Ok(found),
        }
    }

    /// Returns why this node takes no part any more, as soon as it has failed: what it knows of the cluster grows old from then on, and only a
    /// restart helps. Never returns after a shutdown.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        let failed = failure.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
        match failed {
            Some(failure) => failure,
            None => future::pending().await,
        }
    }

    /// Returns when this node takes no part any more.
    async fn ended(&self) {
        match &self.member {
            // An error says the same.
            Member::Voter(voter) => drop(
                voter
                    .raft
                    .wait(None)
                    .metrics(|metrics| metrics.running_state.is_err(), "to end")
                    .await,
            ),
            Member::Observer(_) => future::pending().await,
        }
    }

    /// Answers a request that a node made through its [`Peers`].
    pub async fn serve(&self, request: Bytes) -> Bytes {
        let received = match Received::decode(request) {
            Ok(received) => received,
            Err(error) => return rpc::encode_refusal(&Refusal::invalid(error)),
        };
        if let Err(refusal) = self.identity.check(&received.header) {
            return rpc::encode_refusal(&refusal);
        }
        match &self.member {
            Member::Voter(voter) => voter.serve(received).await,
            Member::Observer(_) => {
                let message = format!("node {} is not a voter", self.identity.node_id);
                rpc::encode_refusal(&Refusal::new(Refusal::NOT_HERE, message))
            }
        }
    }

    /// Has the controller decide, and returns its reply when what it says is committed and applied here. Only the leader does so.
    pub async fn submit(&self, request: ControllerRequest) -> Result<ControllerReply, SubmitError> {
        let Member::Voter(voter) = &self.member else {
            let leader = self.leader().map(|leader| leader.node_id);
            return Err(SubmitError::NotController { leader });
        };
        let (reply, answer) = oneshot::channel();
        voter
            .requests
            .send(Submission { request, reply })
            .await
            .map_err(|_| SubmitError::ShutDown)?;
        answer.await.map_err(|_| SubmitError::ShutDown)?
    }

    /// Who decides, as far as this node knows. It may have ended already, and another one may have followed.
    pub fn leader(&self) -> Option<Leader> {
        self.leader.borrow().clone()
    }

    pub fn watch_leader(&self) -> watch::Receiver<Option<Leader>> {
        self.leader.clone()
    }

    /// Makes a node a voter, once it has caught up; it has to run, with no voters configured. Returns what is unwise about the new number.
    pub async fn add_voter(&self, node_id: NodeId, address: String) -> Result<Option<String>, VoterChangeError> {
        self.voter_for_change()?.add(node_id, address).await
    }

    /// Ends the vote of a node. Returns what is unwise about the new number.
    pub async fn remove_voter(&self, node_id: NodeId) -> Result<Option<String>, VoterChangeError> {
        self.voter_for_change()?.remove(node_id).await
    }

    /// Makes another voter the leader.
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), VoterChangeError> {
        self.voter_for_change()?.transfer(to).await
    }

    /// The process of the leader has ended: its lease is worth nothing, and this voter stands for election, unless another one was quicker.
    /// If that was wrong nothing breaks, but there is an election too many.
    pub async fn leader_is_gone(&self, gone: NodeId) {
        if let Member::Voter(voter) = &self.member {
            voter.succeed(gone).await;
        }
    }

    fn voter_for_change(&self) -> Result<&Voter<R>, VoterChangeError> {
        match &self.member {
            Member::Voter(voter) => Ok(voter),
            Member::Observer(_) => Err(VoterChangeError::NotController {
                leader: self.leader().map(|leader| leader.node_id),
            }),
        }
    }

    /// The metadata as they are here and now.
    pub fn image(&self) -> Arc<ClusterImage> {
        self.version().image
    }

    /// The metadata, and the entry they are of.
    pub fn version(&self) -> MetadataVersion {
        self.publisher.current()
    }

    /// The metadata from here on, of which a slow reader sees only the latest.
    pub fn watch(&self) -> watch::Receiver<MetadataVersion> {
        self.publisher.watch()
    }

    /// The metadata from here on, change by change. Applying waits for a subscriber that lags too far behind.
    pub fn subscribe(&self) -> Subscription {
        self.publisher.subscribe()
    }

    pub fn status(&self) -> QuorumStatus {
        match &self.member {
            Member::Voter(voter) => self.status_of_voter(voter),
            Member::Observer(pulled) => self.status_of_observer(pulled),
        }
    }

    fn status_of_voter(&self, voter: &Voter<R>) -> QuorumStatus {
        let metrics = voter.raft.metrics();
        let metrics = metrics.borrow_watched();
        let (now_ms, me) = (R::now_ms(), self.identity.node_id);
        let leads = metrics.current_leader == Some(me);
        // openraft's figures may come a moment after the reply to a request.
        let high_watermark = end_of(metrics.local_committed).max(*self.publisher.watch_end().borrow()) as i64;
        let own_end = metrics.last_log_index.map_or(0, |last| last as i64 + 1).max(high_watermark);
        let membership = metrics.membership_config.membership();
        let voters = membership.voter_ids().map(|node_id| {
            let address = membership.get_node(&node_id).map_or_else(String::new, |node| node.addr.clone());
            let status = match node_id {
                _ if node_id == me => ReplicaStatus {
                    log_end_offset: Offset(own_end),
                    last_fetch_ms: now_ms,
                    last_caught_up_ms: now_ms,
                    ..ReplicaStatus::unknown(me)
                },
                _ if leads => voter.contacts.voter(node_id),
                _ => ReplicaStatus::unknown(node_id),
            };
            ReplicaStatus { address, ..status }
        });
        QuorumStatus {
            leader: metrics.current_leader,
            leader_epoch: LeaderEpoch(metrics.current_term as i32),
            high_watermark: Offset(high_watermark),
            voters: voters.collect(),
            observers: voter.contacts.observers(now_ms),
            warning: status::warning(membership.voter_ids().count()),
            failure: self
                .failure
                .borrow()
                .clone()
                .or_else(|| metrics.running_state.as_ref().err().map(ToString::to_string)),
        }
    }

    fn status_of_observer(&self, pulled: &Pulled) -> QuorumStatus {
        let state = pulled.state.lock().clone();
        let voters = state.voters.iter().map(|(node_id, address)| ReplicaStatus {
            address: address.clone(),
            ..ReplicaStatus::unknown(*node_id)
        });
        QuorumStatus {
            leader: self.leader().map(|leader| leader.node_id),
            leader_epoch: LeaderEpoch(state.term as i32),
            high_watermark: Offset(state.committed_end as i64),
            voters: voters.collect(),
            observers: Vec::new(),
            warning: status::warning(state.voters.len()),
            failure: self.failure.borrow().clone(),
        }
    }

    /// Hands over the leadership if there is somebody to take it, ends openraft and notes how far the log goes. Requests that are not answered
    /// yet get an error.
    pub async fn shutdown(&self) -> io::Result<()> {
        if let Member::Voter(voter) = &self.member {
            voter.hand_over().await;
            voter.raft.shutdown().await.map_err(|error| io::Error::other(error.to_string()))?;
            voter.store.close().await?;
        }
        drop(self.running.lock().take());
        Ok(())
    }
}

/// Who votes according to the log, or the snapshot before it.
fn last_membership<R: Runtime>(store: &LogStore<R>, snapshot: Option<SnapshotMeta>) -> io::Result<Option<Membership>> {
    let mut found = snapshot.as_ref().map(|meta| meta.last_membership.membership().clone());
    let mut next = end_of(snapshot.and_then(|meta| meta.last_log_id));
    loop {
        let entries = store.read_some(next, u64::MAX)?;
        let Some(last) = entries.last() else { return Ok(found) };
        next = last.log_id.index + 1;
        for entry in entries {
            if let EntryPayload::Membership(membership) = entry.payload {
                found = Some(membership);
            }
        }
    }
}

/// Makes the only voter the leader, and waits until it has applied its log.
async fn lead_alone<R: Runtime>(raft: &Raft<TypeConfig<R>, StateMachine>, voters: BTreeMap<NodeId, String>) -> Result<(), StartError> {
    let address = voters.get(raft.node_id()).cloned();
    if raft.is_initialized().await.map_err(to_start_error)? {
        // Ignored if openraft takes up an earlier leadership; otherwise there is nobody to wait for.
        raft.trigger().elect(false).await.map_err(to_start_error)?;
    } else {
        form(raft, voters).await?;
    }
    let timeout = Some(limits::FIRST_LEAD_TIMEOUT);
    raft.wait(timeout)
        .current_leader(*raft.node_id(), "to lead")
        .await
        .map_err(to_start_error)?;
    raft.wait_for_recovery(timeout).await.map_err(to_start_error)?;
    say_where(raft, address.unwrap_or_default()).await
}

/// The address of a voter that is alone may be another one than in the last run: only those that are added later will need it.
async fn say_where<R: Runtime>(raft: &Raft<TypeConfig<R>, StateMachine>, address: String) -> Result<(), StartError> {
    let me = *raft.node_id();
    let membership = raft.metrics().borrow_watched().membership_config.clone();
    let is_known = membership.membership().get_node(&me).is_some_and(|node| node.addr == address);
    if address.is_empty() || is_known {
        return Ok(());
    }
    let moved = ChangeMembers::SetNodes(BTreeMap::from([(me, BasicNode::new(address))]));
    raft.change_membership(moved, true).await.map(drop).map_err(to_start_error)
}

/// Writes who votes as the first entry. Every voter may do so, because all of them write the same.
async fn form<R: Runtime>(raft: &Raft<TypeConfig<R>, StateMachine>, voters: BTreeMap<NodeId, String>) -> Result<(), StartError> {
    let nodes: BTreeMap<NodeId, BasicNode> = voters.into_iter().map(|(id, address)| (id, BasicNode::new(address))).collect();
    match raft.initialize(nodes).await {
        // Another voter was quicker, and has told this one.
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(to_start_error(error)),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
fn to_start_error(error: impl ToString) -> StartError {
    StartError::Raft(error.to_string())
}

fn raft_config<R: Runtime>(alone: bool) -> Config {
    Config {
        cluster_name: "metadata".to_owned(),
        heartbeat_interval: limits::HEARTBEAT_INTERVAL_MS,
        election_timeout_min: limits::ELECTION_TIMEOUT_MS_MIN,
        election_timeout_max: limits::ELECTION_TIMEOUT_MS_MAX,
        enable_tick: !alone,
        enable_pre_vote: Some(true),
        // Among several, entries that a leader has lost with its power may be on another node: it must not write others in the same term.
        enable_leader_restore: Some(alone),
        // A voter whose disk was replaced begins with nothing: no reason for the leader to end.
        allow_log_reversion: Some(true),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(R::SNAPSHOT_AFTER_ENTRIES),
        max_in_snapshot_log_to_keep: R::ENTRIES_KEPT_BELOW_SNAPSHOT,
        ..Config::default()
    }
}
