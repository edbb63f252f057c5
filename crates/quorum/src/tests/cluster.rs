//! Quorums of several in one process: formation, failover, minorities, late nodes, restarts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dohle_metadata::controller::{Controller, ControllerReply, ControllerRequest};
use dohle_metadata::record::NoOpRecord;
use dohle_protocol::id::{BrokerId, ProducerId};
use dohle_protocol::messages::allocate_producer_ids::AllocateProducerIdsRequest;
use dohle_protocol::messages::broker_registration::BrokerRegistrationRequest;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use uuid::Uuid;

use super::network::TestNetwork;
use super::*;
use crate::limits;
use crate::quorum::{QuorumConfig, Role};
use crate::start_error::StartError;
use crate::submit_error::SubmitError;
use crate::type_config::{Leader, NodeId};

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Heartbeats need a processor in time: not all clusters at once.
static CLUSTERS_AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Nodes that run, each with its disk.
pub(super) struct Cluster {
    _turn: SemaphorePermit<'static>,
    pub(super) network: TestNetwork,
    pub(super) voters: BTreeMap<NodeId, String>,
    pub(super) disks: BTreeMap<NodeId, FaultyDisk>,
    pub(super) nodes: BTreeMap<NodeId, Arc<Quorum>>,
}

impl Cluster {
    pub(super) async fn start(count: u64) -> Cluster {
        let mut cluster = Cluster {
            _turn: CLUSTERS_AT_ONCE.acquire().await.unwrap(),
            network: TestNetwork::default(),
            voters: (1..=count).map(|id| (id, id.to_string())).collect(),
            disks: BTreeMap::new(),
            nodes: BTreeMap::new(),
        };
        for id in 1..=count {
            cluster.start_node(id).await;
        }
        cluster
    }

    pub(super) fn config(&self, id: NodeId) -> QuorumConfig {
        QuorumConfig {
            node_id: id,
            role: Role::Voter,
            cluster_id: None,
            dir: DIR.into(),
            voters: self.voters.clone(),
            bootstrap: Vec::new(),
            peers: self.network.of(id),
            controller: Controller::new(BrokerId(id as i32)),
        }
    }

    pub(super) async fn start_node(&mut self, id: NodeId) -> Arc<Quorum> {
        self.start_with(self.config(id)).await.unwrap()
    }

    pub(super) async fn start_with(&mut self, config: QuorumConfig) -> Result<Arc<Quorum>, StartError> {
        let id = config.node_id;
        let disk = self.disks.entry(id).or_default().clone();
        disk.create_dir(Path::new("data")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        let quorum = Arc::new(Quorum::start(config, Arc::new(disk)).await?);
        self.network.connect(id, &quorum);
        self.nodes.insert(id, Arc::clone(&quorum));
        Ok(quorum)
    }

    /// The power of one node fails.
    pub(super) async fn kill(&mut self, id: NodeId) {
        self.network.disconnect(id);
        let node = self.nodes.remove(&id).unwrap();
        let disk = self.disks.get_mut(&id).unwrap();
        *disk = disk.crash(id);
        if let Member::Voter(voter) = &node.member {
            // Without a word to anybody: what the old disk still gets is lost.
            let _ = voter.raft.shutdown().await;
        }
    }

    /// Somebody who leads and is followed: it has committed something.
    pub(super) async fn leader(&self) -> (NodeId, Arc<Quorum>) {
        self.leader_among(&self.nodes.keys().copied().collect::<Vec<_>>()).await
    }

    pub(super) async fn leader_among(&self, ids: &[NodeId]) -> (NodeId, Arc<Quorum>) {
        let searching = async {
            loop {
                for id in ids {
                    let node = &self.nodes[id];
                    let leads = node.leader().is_some_and(|leader| leader.node_id == *id);
                    if leads && allocate(node).await.is_ok() {
                        return (*id, Arc::clone(node));
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, searching).await.expect("no leader")
    }

    /// All nodes have the same metadata as the leader.
    pub(super) async fn agree(&self) {
        let (_, leader) = self.leader().await;
        let goal = leader.version();
        for (id, node) in &self.nodes {
            let mut versions = node.watch();
            let caught_up = versions.wait_for(|version| version.offset >= goal.offset);
            let version = timeout(PATIENCE, caught_up)
                .await
                .unwrap_or_else(|_| panic!("node {id} lags"))
                .unwrap()
                .clone();
            if version.offset == goal.offset {
                assert!(version.image == goal.image, "node {id} has other metadata");
            }
        }
    }
}

/// A change of the metadata that anybody can ask for: a block of producer ids, of which none comes twice. Registers a broker first.
pub(super) async fn allocate(quorum: &Quorum) -> Result<ProducerId, SubmitError> {
    let registered = quorum.image().broker(BrokerId(7)).map(|broker| broker.epoch);
    let broker_epoch = match registered {
        Some(epoch) => epoch,
        None => {
            let registration = BrokerRegistrationRequest {
                broker_id: 7,
                incarnation_id: Uuid::from_u128(7),
                cluster_id: quorum.image().cluster_id().unwrap_or_default().to_owned(),
                ..Default::default()
            };
            match quorum.submit(ControllerRequest::RegisterBroker(registration)).await? {
                ControllerReply::RegisterBroker(Ok(epoch)) => epoch,
                // Not named yet.
                _ => return Err(SubmitError::NotController { leader: None }),
            }
        }
    };
    let request = AllocateProducerIdsRequest {
        broker_id: 7,
        broker_epoch,
        ..Default::default()
    };
    match quorum.submit(ControllerRequest::AllocateProducerIds(request)).await? {
        ControllerReply::AllocateProducerIds(Ok(block)) => Ok(block.first),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_voters_form_a_quorum_and_agree_on_a_name() {
    let cluster = Cluster::start(3).await;
    cluster.agree().await;
    // On a busy machine the first leader may not be the last.
    let agreed = async {
        loop {
            let known: Vec<_> = cluster.nodes.values().map(|node| node.leader()).collect();
            match &known[..] {
                [Some(one), others @ ..] if others.iter().all(|other| other.as_ref() == Some(one)) => return one.clone(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let Leader { node_id: id, address } = timeout(PATIENCE, agreed).await.expect("they name different leaders");
    assert_eq!(address, id.to_string());
    let leader = Arc::clone(&cluster.nodes[&id]);
    let name = timeout(PATIENCE, leader.cluster_id()).await.unwrap().unwrap();
    assert_eq!(name.len(), 22, "{name}");
    for node in cluster.nodes.values() {
        assert_eq!(timeout(PATIENCE, node.cluster_id()).await.unwrap().unwrap(), name);
    }
    cluster.agree().await;
    let other = cluster.nodes.values().find(|node| !Arc::ptr_eq(node, &leader)).unwrap();
    assert_eq!(allocate(other).await, Err(SubmitError::NotController { leader: Some(id) }));
    let status = leader.status();
    assert_eq!((status.leader, status.voters.len(), status.warning), (Some(id), 3, None));
    let recently = status
        .voters
        .iter()
        .all(|voter| voter.last_fetch_ms > 0 && voter.address == voter.node_id.to_string());
    assert!(recently, "{:?}", status.voters);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_followed_by_another_within_twice_the_election_timeout() {
    let mut cluster = Cluster::start(3).await;
    for _ in 0..3 {
        let (id, leader) = cluster.leader().await;
        let before = allocate(&leader).await.unwrap();
        let epoch = leader.status().leader_epoch;
        drop(leader);
        cluster.kill(id).await;
        let killed = Instant::now();
        let (_, next) = cluster.leader().await;
        // Some more on a machine that does other things as well.
        let allowed = Duration::from_millis(2 * limits::ELECTION_TIMEOUT_MS_MAX + 1_500);
        assert!(killed.elapsed() < allowed, "{:?}", killed.elapsed());
        assert!(allocate(&next).await.unwrap().0 > before.0, "what was acknowledged is lost");
        assert!(next.status().leader_epoch > epoch);
        drop(next);
        cluster.start_node(id).await;
        cluster.agree().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_of_which_the_end_is_known_is_followed_before_its_lease_is_over() {
    let mut cluster = Cluster::start(3).await;
    let mut took = Vec::new();
    // One of some, on a machine that does other things as well.
    while took.len() < 5 {
        let (gone, leader) = cluster.leader().await;
        let before = allocate(&leader).await.unwrap();
        drop(leader);
        cluster.kill(gone).await;
        let killed = Instant::now();
        futures_util::future::join_all(cluster.nodes.values().map(|node| node.leader_is_gone(gone))).await;
        let (_, next) = cluster.leader().await;
        took.push(killed.elapsed());
        assert!(allocate(&next).await.unwrap().0 > before.0, "what was acknowledged is lost");
        // The last heartbeat may be as old as the next one would have been due.
        let shortest_wait = limits::ELECTION_TIMEOUT_MS_MAX + limits::ELECTION_TIMEOUT_MS_MIN - limits::HEARTBEAT_INTERVAL_MS;
        if took.last() < Some(&Duration::from_millis(shortest_wait)) {
            return;
        }
        cluster.start_node(gone).await;
        cluster.agree().await;
    }
    panic!("a leader that is gone was followed after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_of_the_end_of_another_than_the_leader_does_nothing() {
    let cluster = Cluster::start(3).await;
    let (id, leader) = cluster.leader().await;
    let epoch = leader.status().leader_epoch;
    let other = cluster.nodes.keys().find(|other| **other != id).unwrap();
    for node in cluster.nodes.values() {
        node.leader_is_gone(*other).await;
    }
    leader.leader_is_gone(id).await;
    allocate(&leader).await.unwrap();
    assert_eq!(leader.status().leader_epoch, epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_voters_survive_the_loss_of_two_and_not_of_three() {
    let mut cluster = Cluster::start(5).await;
    for _ in 0..2 {
        let (id, _) = cluster.leader().await;
        cluster.kill(id).await;
    }
    let (id, leader) = cluster.leader().await;
    let dead: Vec<NodeId> = (1..=5).filter(|id| !cluster.nodes.contains_key(id)).collect();
    let third = *cluster.nodes.keys().find(|other| **other != id).unwrap();
    cluster.kill(third).await;
    assert!(allocate_fails(&leader).await);
    drop(leader);
    cluster.start_node(dead[0]).await;
    cluster.leader().await;
}

/// Whether a change gets no answer, or an error.
async fn allocate_fails(quorum: &Quorum) -> bool {
    !matches!(timeout(Duration::from_secs(2), allocate(quorum)).await, Ok(Ok(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_a_minority_commits_nothing_and_gives_up_what_it_wrote() {
    let cluster = Cluster::start(3).await;
    let (id, old) = cluster.leader().await;
    cluster.agree().await;
    let before = old.version();
    cluster.network.isolate(&[id]);
    assert!(allocate_fails(&old).await);
    assert_eq!(old.version().offset, before.offset);
    let others: Vec<NodeId> = cluster.nodes.keys().copied().filter(|other| *other != id).collect();
    let (_, new) = cluster.leader_among(&others).await;
    let acknowledged = allocate(&new).await.unwrap();
    cluster.network.heal();
    cluster.agree().await;
    let (_, leader) = cluster.leader().await;
    assert!(allocate(&leader).await.unwrap().0 > acknowledged.0);
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_is_no_loss_of_leadership() {
    let cluster = Cluster::start(3).await;
    cluster.leader().await;
    cluster.network.delay(Duration::from_millis(30));
    let (id, leader) = cluster.leader().await;
    let epoch = leader.status().leader_epoch;
    for _ in 0..20 {
        allocate(&leader).await.unwrap();
    }
    assert_eq!((leader.status().leader, leader.status().leader_epoch), (Some(id), epoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_comes_late_gets_a_snapshot() {
    let mut cluster = Cluster::start(3).await;
    let (id, leader) = cluster.leader().await;
    let late = *cluster.nodes.keys().find(|other| **other != id).unwrap();
    cluster.kill(late).await;
    cluster.disks.remove(&late);
    for _ in 0..limits::ENTRIES_KEPT_BELOW_SNAPSHOT + 200 {
        allocate(&leader).await.unwrap();
    }
    snapshot(&leader).await;
    assert!(voter(&leader).store.purged().is_some());
    drop(leader);
    let node = cluster.start_node(late).await;
    cluster.agree().await;
    assert!(voter(&node).store.purged().is_some(), "came without a snapshot");
    // It survives a restart on its own.
    drop(node);
    cluster.kill(late).await;
    cluster.start_node(late).await;
    cluster.agree().await;
}

/// Also where the controller is not: what it decides is in everybody's log.
#[tokio::test(flavor = "multi_thread")]
async fn many_records_bring_about_a_snapshot_on_every_voter() {
    let cluster = Cluster::start(3).await;
    let (id, leader) = cluster.leader().await;
    let proposal = Proposal {
        decided_term: leader.status().leader_epoch.0 as u64,
        decided_by: id,
        records: vec![NoOpRecord::default().into(); limits::SNAPSHOT_AFTER_RECORDS as usize],
    };
    let written = voter(&leader).raft.client_write(proposal).await.unwrap();
    for node in cluster.nodes.values() {
        let wait = voter(node).raft.wait(Some(PATIENCE));
        wait.metrics(|metrics| metrics.snapshot >= Some(written.log_id), "a snapshot")
            .await
            .unwrap();
    }
}

/// Of everything so far; the log before it goes.
pub(super) async fn snapshot(quorum: &Quorum) {
    let last = quorum.version().offset.0 as u64;
    voter(quorum).raft.trigger().snapshot().await.unwrap();
    let wait = voter(quorum).raft.wait(Some(PATIENCE));
    wait.metrics(
        |metrics| metrics.snapshot.is_some_and(|snapshot| snapshot.index >= last),
        "a snapshot",
    )
    .await
    .unwrap();
    let wait = voter(quorum).raft.wait(Some(PATIENCE));
    wait.metrics(|metrics| metrics.purged.is_some(), "a purge").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_all_nodes_lose_their_power_at_once_and_nothing_that_was_acknowledged() {
    let mut cluster = Cluster::start(3).await;
    let mut last = ProducerId(-1);
    for _ in 0..3 {
        let (_, leader) = cluster.leader().await;
        for _ in 0..20 {
            let next = allocate(&leader).await.unwrap();
            assert!(next.0 > last.0, "{next:?} was given out before");
            last = next;
        }
        let name = leader.cluster_id().await.unwrap();
        drop(leader);
        for id in 1..=3 {
            cluster.kill(id).await;
        }
        for id in 1..=3 {
            cluster.start_node(id).await;
        }
        let (_, leader) = cluster.leader().await;
        assert_eq!(leader.cluster_id().await.unwrap(), name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_shuts_down_hands_over_first() {
    let mut cluster = Cluster::start(3).await;
    let (id, leader) = cluster.leader().await;
    cluster.agree().await;
    let stopping = Instant::now();
    leader.shutdown().await.unwrap();
    assert!(stopping.elapsed() < Duration::from_secs(3));
    cluster.network.disconnect(id);
    cluster.nodes.remove(&id);
    // No lease has to run out.
    assert!(
        cluster
            .nodes
            .values()
            .any(|node| node.leader().is_some_and(|leader| leader.node_id != id))
    );
    cluster.leader().await;
    // All the others at once, too.
    let stopping = Instant::now();
    let shutdowns = cluster.nodes.values().map(|node| node.shutdown());
    futures_util::future::join_all(shutdowns)
        .await
        .into_iter()
        .for_each(|ended| ended.unwrap());
    assert!(stopping.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_node_of_another_cluster_is_refused() {
    let mut cluster = Cluster::start(3).await;
    let (id, leader) = cluster.leader().await;
    let name = leader.cluster_id().await.unwrap();
    let other = *cluster.nodes.keys().find(|other| **other != id).unwrap();
    cluster.agree().await;
    cluster.kill(other).await;
    let mut config = cluster.config(other);
    config.cluster_id = Some("green".to_owned());
    let stranger = cluster.start_with(config).await.unwrap();
    let refusal = timeout(PATIENCE, stranger.cluster_id()).await.unwrap().unwrap_err();
    let message = refusal.to_string();
    assert!(message.contains("green") && message.contains(&name), "{message}");
    assert!(
        matches!(refusal, StartError::OtherCluster { .. } | StartError::Foreign(_)),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_node_that_answers_for_another_is_not_listened_to() {
    let mut cluster = Cluster::start(3).await;
    cluster.leader().await;
    // The address of node 9 is the one of node 1.
    let mut config = cluster.config(9);
    config.role = Role::Observer;
    config.voters = BTreeMap::from([(5, "1".to_owned())]);
    let observer = cluster.start_with(config).await.unwrap();
    assert!(timeout(Duration::from_secs(1), observer.cluster_id()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_voter_that_is_not_in_the_list_does_not_start() {
    let mut cluster = Cluster::start(1).await;
    let mut config = cluster.config(2);
    config.voters = BTreeMap::from([(1, "1".to_owned()), (3, "3".to_owned())]);
    let refusal = cluster.start_with(config).await.map(|_| ()).unwrap_err();
    assert!(refusal.to_string().contains("controller.quorum.voters"), "{refusal}");
}
