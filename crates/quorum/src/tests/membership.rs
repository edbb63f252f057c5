//! Voters come and go while the quorum works.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::cluster::{Cluster, allocate};
use super::*;
use crate::type_config::NodeId;
use crate::voter_change_error::VoterChangeError;

async fn start_unattached(cluster: &mut Cluster, id: NodeId) -> Arc<Quorum> {
    let mut config = cluster.config(id);
    config.voters = BTreeMap::new();
    cluster.start_with(config).await.unwrap()
}

fn voters(quorum: &Quorum) -> Vec<NodeId> {
    quorum.status().voters.iter().map(|voter| voter.node_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_of_one_grows_to_three_and_back() {
    let mut cluster = Cluster::start(1).await;
    let first = Arc::clone(&cluster.nodes[&1]);
    allocate(&first).await.unwrap();
    start_unattached(&mut cluster, 2).await;
    let warning = first.add_voter(2, "2".to_owned()).await.unwrap();
    assert!(warning.is_some_and(|warning| warning.contains("2 voters survives the loss of 0")));
    start_unattached(&mut cluster, 3).await;
    assert_eq!(first.add_voter(3, "3".to_owned()).await.unwrap(), None);
    assert_eq!(voters(&first), [1, 2, 3]);
    assert_eq!(first.add_voter(3, "3".to_owned()).await, Err(VoterChangeError::AlreadyVoter(3)));
    cluster.agree().await;
    // Each of them counts: the first one may go, although it was alone once.
    drop(first);
    cluster.kill(1).await;
    let (id, leader) = cluster.leader().await;
    assert_ne!(id, 1);
    leader.remove_voter(1).await.unwrap();
    assert_eq!(leader.remove_voter(1).await, Err(VoterChangeError::NotAVoter(1)));
    let other = if id == 2 { 3 } else { 2 };
    leader.remove_voter(other).await.unwrap();
    assert_eq!(voters(&leader), [id]);
    cluster.kill(other).await;
    allocate(&leader).await.unwrap();
    assert_eq!(leader.remove_voter(id).await, Err(VoterChangeError::LastVoter(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn voters_come_and_go_under_load() {
    let mut cluster = Cluster::start(3).await;
    let (_, leader) = cluster.leader().await;
    let done = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (leader, done) = (Arc::clone(&leader), Arc::clone(&done));
        async move {
            let mut count = 0;
            let mut last = -1;
            while !done.load(Ordering::SeqCst) || count < 10 {
                let next = allocate(&leader).await.unwrap().0;
                assert!(next > last);
                last = next;
                count += 1;
            }
            count
        }
    });
    start_unattached(&mut cluster, 4).await;
    let adding = leader.add_voter(4, "4".to_owned());
    let (added, refused) = tokio::join!(adding, leader.add_voter(5, "5".to_owned()));
    assert!(added.unwrap().is_some(), "four is an even number");
    assert_eq!(refused, Err(VoterChangeError::UnderWay));
    start_unattached(&mut cluster, 5).await;
    assert_eq!(leader.add_voter(5, "5".to_owned()).await, Ok(None));
    assert_eq!(voters(&leader), [1, 2, 3, 4, 5]);
    let gone = *cluster.nodes.keys().find(|id| !Arc::ptr_eq(&cluster.nodes[id], &leader)).unwrap();
    leader.remove_voter(gone).await.unwrap();
    assert!(!voters(&leader).contains(&gone));
    done.store(true, Ordering::SeqCst);
    assert!(load.await.unwrap() >= 10);
    cluster.kill(gone).await;
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_removed_is_followed_by_another() {
    let mut cluster = Cluster::start(3).await;
    let (id, leader) = cluster.leader().await;
    leader.remove_voter(id).await.unwrap();
    let others: Vec<NodeId> = cluster.nodes.keys().copied().filter(|other| *other != id).collect();
    let (_, next) = cluster.leader_among(&others).await;
    assert!(!voters(&next).contains(&id));
    drop(leader);
    cluster.kill(id).await;
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leadership_goes_to_whom_it_is_given() {
    let cluster = Cluster::start(3).await;
    let (id, leader) = cluster.leader().await;
    let next = *cluster.nodes.keys().find(|other| **other != id).unwrap();
    leader.transfer_leader(next).await.unwrap();
    let (found, _) = cluster.leader().await;
    assert_eq!(found, next);
    let refused = leader.transfer_leader(id).await;
    assert_eq!(refused, Err(VoterChangeError::NotController { leader: Some(next) }));
    assert_eq!(cluster.nodes[&next].transfer_leader(9).await, Err(VoterChangeError::NotAVoter(9)));
    assert!(timeout(Duration::from_secs(5), cluster.agree()).await.is_ok());
}
