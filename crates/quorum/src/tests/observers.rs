//! Nodes without a vote: they learn what is committed, from whomever they reach.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use super::cluster::{Cluster, allocate, snapshot};
use super::*;
use crate::limits;
use crate::quorum::{QuorumConfig, Role};
use crate::submit_error::SubmitError;
use crate::type_config::NodeId;
use crate::voter_change_error::VoterChangeError;

async fn observe(cluster: &mut Cluster, id: NodeId) -> Arc<Quorum> {
    let mut config = cluster.config(id);
    config.role = Role::Observer;
    cluster.start_with(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_follows_every_change_and_every_leader() {
    let mut cluster = Cluster::start(3).await;
    let observer = observe(&mut cluster, 9).await;
    let name = timeout(Duration::from_secs(10), observer.cluster_id()).await.unwrap().unwrap();
    let mut subscription = observer.subscribe();
    let mut offset = subscription.start.offset;
    for _ in 0..2 {
        let voters: Vec<NodeId> = cluster.nodes.keys().copied().filter(|id| *id != 9).collect();
        let (id, leader) = cluster.leader_among(&voters).await;
        assert_eq!(leader.cluster_id().await.unwrap(), name);
        for _ in 0..20 {
            allocate(&leader).await.unwrap();
        }
        let goal = leader.version();
        while offset < goal.offset {
            let change = timeout(Duration::from_secs(10), subscription.changes.recv())
                .await
                .unwrap()
                .unwrap();
            assert!(change.version.offset > offset);
            offset = change.version.offset;
        }
        assert!(observer.image() == goal.image);
        assert_eq!(allocate(&observer).await, Err(SubmitError::NotController { leader: Some(id) }));
        let refused = observer.add_voter(4, "4".to_owned()).await;
        assert_eq!(refused, Err(VoterChangeError::NotController { leader: Some(id) }));
        assert_eq!((observer.status().leader, observer.status().voters.len()), (Some(id), 3));
        let seen = leader.status().observers;
        assert_eq!(seen.iter().map(|observer| observer.node_id).collect::<Vec<_>>(), [9]);
        drop(leader);
        cluster.kill(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_catches_up_across_a_snapshot() {
    let mut cluster = Cluster::start(3).await;
    let observer = observe(&mut cluster, 9).await;
    let voters = [1, 2, 3];
    let (_, leader) = cluster.leader_among(&voters).await;
    cluster.network.isolate(&[9]);
    for _ in 0..limits::ENTRIES_KEPT_BELOW_SNAPSHOT + 200 {
        allocate(&leader).await.unwrap();
    }
    snapshot(&leader).await;
    cluster.network.heal();
    // A new one as well, which knows nothing but an address.
    let mut config = cluster.config(10);
    config.role = Role::Observer;
    config.voters = BTreeMap::new();
    config.bootstrap = vec!["2".to_owned()];
    let newcomer = cluster.start_with(config).await.unwrap();
    let goal = leader.version();
    for node in [observer, newcomer] {
        let mut versions = node.watch();
        let caught_up = versions.wait_for(|version| version.offset >= goal.offset);
        let version = timeout(Duration::from_secs(20), caught_up).await.expect("lags").unwrap().clone();
        assert!(version.image == goal.image);
    }
}

/// All voters have lost their disks: nothing that the observer knows is true any more, and it does not ask without pause.
#[tokio::test(flavor = "multi_thread")]
async fn an_observer_of_a_later_term_asks_seldom() {
    let mut cluster = Cluster::start(0).await;
    cluster.voters = (1..=3).map(|id| (id, id.to_string())).collect();
    let named = |cluster: &Cluster, id: NodeId| QuorumConfig {
        cluster_id: Some("blue".to_owned()),
        ..cluster.config(id)
    };
    for id in 1..=3 {
        cluster.start_with(named(&cluster, id)).await.unwrap();
    }
    let observer = QuorumConfig {
        role: Role::Observer,
        ..named(&cluster, 9)
    };
    let observer = cluster.start_with(observer).await.unwrap();
    let voters = [1, 2, 3];
    while observer.status().leader_epoch.0 < 20 {
        let (id, leader) = cluster.leader_among(&voters).await;
        // Whoever is asked to may not want to just now.
        let _ = leader.transfer_leader(id % 3 + 1).await;
    }
    for id in voters {
        cluster.kill(id).await;
    }
    cluster.disks.clear();
    for id in voters {
        cluster.start_with(named(&cluster, id)).await.unwrap();
    }
    let (_, leader) = cluster.leader_among(&voters).await;
    assert!(leader.status().leader_epoch.0 < 20);
    let before = cluster.network.bytes();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let moved = cluster.network.bytes() - before;
    assert!(moved < 30_000, "{moved} bytes in a second without any change");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_that_has_everything_asks_seldom() {
    let mut cluster = Cluster::start(1).await;
    let observer = observe(&mut cluster, 9).await;
    timeout(Duration::from_secs(10), observer.cluster_id()).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = cluster.network.bytes();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // A voter alone has no heartbeats, so everything that moves is the observer's.
    let moved = cluster.network.bytes() - before;
    assert!(moved < 500, "{moved} bytes in a second without any change");
}
