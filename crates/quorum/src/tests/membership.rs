//! Voters come and go while the quorum works.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::{BasicNode, RaftMetrics};
use tokio::time::timeout;

use super::cluster::{Cluster, PATIENCE, allocate};
use super::*;
use crate::type_config::{Leader, Membership, NodeId};
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

/// These vote, follow one of them, and have what was acknowledged before.
async fn work(cluster: &Cluster, ids: &[NodeId], last: &mut i64) -> NodeId {
    let (id, leader) = cluster.leader_among(ids).await;
    assert_eq!(voters(&leader), ids);
    let next = allocate(&leader).await.unwrap().0;
    assert!(next > *last, "{next} was given out before");
    *last = next;
    let goal = leader.version();
    for follower in ids {
        let node = &cluster.nodes[follower];
        let mut versions = node.watch();
        let caught_up = timeout(PATIENCE, versions.wait_for(|version| version.offset >= goal.offset)).await;
        assert!(caught_up.is_ok(), "node {follower} lags");
        let mut leaders = node.watch_leader();
        let follows = |leader: &Option<Leader>| leader.as_ref().is_some_and(|leader| leader.node_id == id);
        assert!(
            timeout(PATIENCE, leaders.wait_for(follows)).await.is_ok(),
            "node {follower} does not follow"
        );
        assert!(node.image() == leader.image(), "node {follower} has other metadata");
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_from_one_voter_to_three_and_back_has_one_leader_and_all_metadata() {
    let mut cluster = Cluster::start(1).await;
    let mut last = -1;
    let name = cluster.nodes[&1].cluster_id().await.unwrap();
    work(&cluster, &[1], &mut last).await;
    for id in [2, 3] {
        let node = start_unattached(&mut cluster, id).await;
        let (_, leader) = cluster.leader_among(&[1]).await;
        leader.add_voter(id, id.to_string()).await.unwrap();
        work(&cluster, &(1..=id).collect::<Vec<_>>(), &mut last).await;
        assert_eq!(timeout(PATIENCE, node.cluster_id()).await.unwrap().unwrap(), name);
    }
    // First one that follows, then the one that leads.
    let leader = work(&cluster, &[1, 2, 3], &mut last).await;
    let (gone, left): (Vec<NodeId>, Vec<NodeId>) = ([1, 2, 3].into_iter()).partition(|id| *id == leader % 3 + 1);
    cluster.nodes[&leader].remove_voter(gone[0]).await.unwrap();
    cluster.kill(gone[0]).await;
    let leader = work(&cluster, &left, &mut last).await;
    cluster.nodes[&leader].remove_voter(leader).await.unwrap();
    let left: Vec<NodeId> = left.into_iter().filter(|id| *id != leader).collect();
    work(&cluster, &left, &mut last).await;
    cluster.kill(leader).await;
    // Whoever is left needs nobody, not even after a power cut.
    cluster.kill(left[0]).await;
    start_unattached(&mut cluster, left[0]).await;
    work(&cluster, &left, &mut last).await;
    assert_eq!(cluster.nodes[&left[0]].cluster_id().await.unwrap(), name);
}

/// With a vote of its own, a node that does not answer would leave a quorum of one without a majority.
#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_does_not_answer_gets_no_vote_until_it_does() {
    let mut cluster = Cluster::start(1).await;
    let first = Arc::clone(&cluster.nodes[&1]);
    allocate(&first).await.unwrap();
    let adding = tokio::spawn({
        let first = Arc::clone(&first);
        async move { first.add_voter(2, "2".to_owned()).await }
    });
    learns(&first, 2).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        timeout(PATIENCE, allocate(&first)).await.expect("no majority").unwrap();
        assert_eq!(voters(&first), [1]);
    }
    start_unattached(&mut cluster, 2).await;
    assert!(timeout(PATIENCE, adding).await.unwrap().unwrap().is_ok());
    work(&cluster, &[1, 2], &mut -1).await;
}

/// Returns when the node is on its way to become a voter.
async fn learns(leader: &Quorum, id: NodeId) {
    let has_begun = |metrics: &RaftMetrics<TypeConfig>| metrics.membership_config.nodes().any(|(node_id, _)| *node_id == id);
    let wait = voter(leader).raft.wait(Some(PATIENCE));
    wait.metrics(has_begun, "a learner").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_voter_whose_power_fails_while_another_one_is_added_leads_again() {
    let mut cluster = Cluster::start(1).await;
    let first = Arc::clone(&cluster.nodes[&1]);
    let mut last = allocate(&first).await.unwrap().0;
    let adding = tokio::spawn({
        let first = Arc::clone(&first);
        async move { first.add_voter(2, "2".to_owned()).await }
    });
    learns(&first, 2).await;
    drop(first);
    cluster.kill(1).await;
    assert!(timeout(PATIENCE, adding).await.unwrap().unwrap().is_err());
    cluster.start_node(1).await;
    work(&cluster, &[1], &mut last).await;
    start_unattached(&mut cluster, 2).await;
    cluster.nodes[&1].add_voter(2, "2".to_owned()).await.unwrap();
    work(&cluster, &[1, 2], &mut last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_voter_that_moved_says_so_before_others_are_added() {
    let mut cluster = Cluster::start(0).await;
    cluster.voters = BTreeMap::from([(1, String::new())]);
    let hidden = cluster.start_node(1).await;
    allocate(&hidden).await.unwrap();
    let refused = hidden.add_voter(2, "2".to_owned()).await.unwrap_err();
    assert!(refused.to_string().contains("controller.listener.names"), "{refused}");
    drop(hidden);
    cluster.kill(1).await;
    cluster.voters = BTreeMap::from([(1, "1".to_owned())]);
    let offset = cluster.start_node(1).await.status().high_watermark;
    assert_eq!(cluster.nodes[&1].status().voters[0].address, "1");
    cluster.kill(1).await;
    let again = cluster.start_node(1).await;
    assert_eq!(again.status().high_watermark, offset, "it is said once");
    start_unattached(&mut cluster, 2).await;
    again.add_voter(2, "2".to_owned()).await.unwrap();
    // The one that was added reaches it, too.
    again.transfer_leader(2).await.unwrap();
    work(&cluster, &[1, 2], &mut -1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_its_leader_left_half_way_is_finished_by_the_next_one() {
    let mut cluster = Cluster::start(3).await;
    start_unattached(&mut cluster, 4).await;
    let (id, leader) = cluster.leader_among(&[1, 2, 3]).await;
    let raft = &voter(&leader).raft;
    raft.add_learner(4, BasicNode::new("4"), true).await.unwrap();
    let nodes: BTreeMap<NodeId, BasicNode> = (1..=4).map(|id| (id, BasicNode::new(id))).collect();
    let halfway = Membership::new(vec![[1, 2, 3].into(), [1, 2, 3, 4].into()], nodes).unwrap();
    raft.append_membership(halfway, EntryPayload::Blank, []).await.unwrap();
    drop(leader);
    cluster.kill(id).await;
    let others: Vec<NodeId> = (1..=4).filter(|other| *other != id).collect();
    let (_, next) = cluster.leader_among(&others).await;
    let is_finished = |metrics: &RaftMetrics<TypeConfig>| metrics.membership_config.membership().get_joint_config().len() == 1;
    let wait = voter(&next).raft.wait(Some(Duration::from_secs(10)));
    wait.metrics(is_finished, "the second step").await.unwrap();
    assert_eq!(voters(&next), [1, 2, 3, 4]);
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
