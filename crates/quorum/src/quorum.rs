//! The metadata quorum of one node: formation, restart, requests, subscriptions, shutdown.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use dohle_metadata::controller::{Controller, ControllerReply, ControllerRequest};
use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_storage::Disk;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{AsyncRuntime, BasicNode, Config, Raft, RaftMetrics, SnapshotPolicy};
use tokio::sync::{mpsc, oneshot, watch};

use crate::controller_loop::{ControllerLoop, Submission};
use crate::limits;
use crate::log_store::LogStore;
use crate::network::NoPeers;
use crate::publisher::{MetadataVersion, Subscription};
use crate::runtime::{Runtime, Tokio};
use crate::start_error::StartError;
use crate::state_machine::{Observer, StateMachine};
use crate::status::{QuorumStatus, VoterStatus};
use crate::submit_error::SubmitError;
use crate::type_config::{NodeId, TypeConfig};

#[derive(Debug, Clone)]
pub struct QuorumConfig {
    pub node_id: NodeId,
    /// What the cluster is called when it is formed, and has to be called afterwards.
    pub cluster_id: String,
    /// Directory of the metadata log, `<log.dir>/__cluster_metadata-0`; created if need be.
    pub dir: PathBuf,
    /// The voters and where they are reached. Counts when the quorum is formed; later the log knows.
    pub voters: BTreeMap<NodeId, String>,
    /// Decides what is asked for, while this node leads.
    pub controller: Controller,
}

/// The metadata quorum, as seen from one node.
pub struct Quorum<R: Runtime = Tokio> {
    node_id: NodeId,
    pub(crate) raft: Raft<TypeConfig<R>, StateMachine>,
    pub(crate) store: LogStore<R>,
    observer: Observer,
    requests: mpsc::Sender<Submission>,
}

impl<R: Runtime> Quorum<R> {
    /// Forms the quorum if the directory is empty, or takes up where it was left. Returns when this node leads and knows all metadata.
    pub async fn start(config: QuorumConfig, disk: Arc<dyn Disk>) -> Result<Quorum<R>, StartError> {
        let QuorumConfig {
            node_id,
            cluster_id,
            dir,
            voters,
            controller,
        } = config;
        match voters.len() {
            _ if !voters.contains_key(&node_id) => return Err(StartError::NotAVoter(node_id)),
            1 => {}
            count => return Err(StartError::SeveralVoters(count)),
        }
        let store = LogStore::open(&disk, &dir, node_id)?;
        let state_machine = StateMachine::open(&disk, &dir, store.purged())?;
        let observer = state_machine.observer();
        let raft_config = Arc::new(raft_config(voters.len()).validate().map_err(to_start_error)?);
        let raft = Raft::new(node_id, raft_config, NoPeers, store.clone(), state_machine)
            .await
            .map_err(to_start_error)?;
        lead_alone(&raft, voters).await?;
        let (requests, queue) = mpsc::channel(limits::REQUESTS_QUEUED_MAX);
        let controller_loop = ControllerLoop::new(node_id, controller, raft.clone(), observer.clone(), queue);
        drop(R::Async::spawn(controller_loop.run()));
        let quorum = Quorum {
            node_id,
            raft,
            store,
            observer,
            requests,
        };
        let found = quorum.name_cluster(&cluster_id).await?;
        if found == cluster_id {
            return Ok(quorum);
        }
        quorum.shutdown().await.map_err(to_start_error)?;
        Err(StartError::OtherCluster {
            dir,
            found,
            configured: cluster_id,
        })
    }

    /// Gives the cluster its name if it has none. Returns the name that it has.
    async fn name_cluster(&self, cluster_id: &str) -> Result<String, StartError> {
        match self
            .submit(ControllerRequest::Bootstrap {
                cluster_id: cluster_id.to_owned(),
            })
            .await
        {
            Ok(ControllerReply::Bootstrap { cluster_id }) => Ok(cluster_id),
            Ok(other) => unreachable!("{other:?} answers another request"),
            Err(error) => Err(to_start_error(error)),
        }
    }

    /// Has the controller decide, and returns its reply when what it says is committed and applied here.
    pub async fn submit(&self, request: ControllerRequest) -> Result<ControllerReply, SubmitError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Submission { request, reply })
            .await
            .map_err(|_| SubmitError::ShutDown)?;
        answer.await.map_err(|_| SubmitError::ShutDown)?
    }

    /// The metadata as they are here and now.
    pub fn image(&self) -> Arc<ClusterImage> {
        self.version().image
    }

    /// The metadata, and the entry they are of.
    pub fn version(&self) -> MetadataVersion {
        self.observer.publisher.current()
    }

    /// The metadata from here on, of which a slow reader sees only the latest.
    pub fn watch(&self) -> watch::Receiver<MetadataVersion> {
        self.observer.publisher.watch()
    }

    /// The metadata from here on, change by change. Applying waits for a subscriber that lags too far behind.
    pub fn subscribe(&self) -> Subscription {
        self.observer.publisher.subscribe()
    }

    pub fn status(&self) -> QuorumStatus {
        let metrics = self.raft.metrics();
        let metrics: &RaftMetrics<TypeConfig<R>> = &metrics.borrow_watched();
        let now_ms = R::now_ms();
        // openraft's figures may come a moment after the reply to a request.
        let applied_end = self.version().offset.0 + 1;
        let high_watermark = metrics.local_committed.map_or(0, |last| last.index as i64 + 1).max(applied_end);
        let own_end = metrics.last_log_index.map_or(0, |last| last as i64 + 1).max(high_watermark);
        let voters = metrics.membership_config.voter_ids().map(|node_id| VoterStatus {
            node_id,
            log_end_offset: Offset(if node_id == self.node_id { own_end } else { -1 }),
            last_fetch_ms: if node_id == self.node_id { now_ms } else { -1 },
            last_caught_up_ms: if node_id == self.node_id { now_ms } else { -1 },
        });
        QuorumStatus {
            leader: metrics.current_leader,
            leader_epoch: LeaderEpoch(metrics.current_term as i32),
            high_watermark: Offset(high_watermark),
            voters: voters.collect(),
            failure: metrics.running_state.as_ref().err().map(ToString::to_string),
        }
    }

    /// Ends openraft and notes how far the log goes. Requests that are not answered yet get an error.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.raft.shutdown().await.map_err(|error| io::Error::other(error.to_string()))?;
        self.store.close().await
    }
}

/// Makes the only voter the leader, and waits until it has applied its log.
async fn lead_alone<R: Runtime>(raft: &Raft<TypeConfig<R>, StateMachine>, voters: BTreeMap<NodeId, String>) -> Result<(), StartError> {
    if raft.is_initialized().await.map_err(to_start_error)? {
        // Ignored if openraft takes up an earlier leadership; otherwise there is nobody to wait for.
        raft.trigger().elect(false).await.map_err(to_start_error)?;
    } else {
        let nodes: BTreeMap<NodeId, BasicNode> = voters.into_iter().map(|(id, address)| (id, BasicNode::new(address))).collect();
        raft.initialize(nodes).await.map_err(to_start_error)?;
    }
    let timeout = Some(limits::FIRST_LEAD_TIMEOUT);
    raft.wait(timeout)
        .current_leader(*raft.node_id(), "to lead")
        .await
        .map_err(to_start_error)?;
    raft.wait_for_recovery(timeout).await.map_err(to_start_error)?;
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
fn to_start_error(error: impl ToString) -> StartError {
    StartError::Raft(error.to_string())
}

fn raft_config(voters: usize) -> Config {
    Config {
        cluster_name: "metadata".to_owned(),
        heartbeat_interval: limits::HEARTBEAT_INTERVAL_MS,
        election_timeout_min: limits::ELECTION_TIMEOUT_MS_MIN,
        election_timeout_max: limits::ELECTION_TIMEOUT_MS_MAX,
        // A node that votes alone has nobody to watch, and sleeps when nothing is asked of it.
        enable_tick: voters > 1,
        enable_pre_vote: Some(true),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(limits::SNAPSHOT_AFTER_ENTRIES),
        max_in_snapshot_log_to_keep: limits::ENTRIES_KEPT_BELOW_SNAPSHOT,
        ..Config::default()
    }
}
