//! Elections on request, and the return of preferred leaders.

use super::alter_partition::propose;
use super::restarts::kill;
use super::*;
use crate::delta::Delta;
use dohle_protocol::messages::elect_leaders::TopicPartitions;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

/// Topic, partition, error.
type Outcome = (String, i32, ErrorCode);

fn elect(cluster: &mut Cluster, election_type: i8, partitions: Option<&[(&str, &[i32])]>) -> Vec<Outcome> {
    let to_wire = |(topic, partitions): &(&str, &[i32])| TopicPartitions {
        topic: (*topic).to_owned(),
        partitions: partitions.to_vec(),
        ..Default::default()
    };
    let request = ElectLeadersRequest {
        election_type,
        topic_partitions: partitions.map(|topics| topics.iter().map(to_wire).collect()),
        ..Default::default()
    };
    let ControllerReply::ElectLeaders(response) = cluster.ask(ControllerRequest::ElectLeaders(request)) else {
        unreachable!()
    };
    assert_eq!(response.error_code, 0);
    let results = response.replica_election_results.into_iter();
    results
        .flat_map(|topic| {
            let partitions = topic.partition_result.into_iter();
            partitions.map(move |it| (topic.topic.clone(), it.partition_id, ErrorCode::from_code(it.error_code)))
        })
        .collect()
}

fn elect_one(cluster: &mut Cluster, election_type: i8) -> ErrorCode {
    elect(cluster, election_type, Some(&[("t", &[0])])).remove(0).2
}

#[test]
fn the_preferred_leader_leads_again_when_it_is_in_sync() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2, 3]);
    assert_eq!(elect_one(&mut cluster, PREFERRED), ErrorCode::ElectionNotNeeded);
    cluster.fence(1);
    assert_eq!(elect_one(&mut cluster, PREFERRED), ErrorCode::PreferredLeaderNotAvailable);
    cluster.alive(1);
    assert_eq!(elect_one(&mut cluster, PREFERRED), ErrorCode::PreferredLeaderNotAvailable);
    propose(&mut cluster, &[2, 3, 1]).unwrap();
    let before = cluster.partition("t").leader_epoch.0;
    assert_eq!(elect_one(&mut cluster, PREFERRED), ErrorCode::None);
    assert_eq!(cluster.led("t"), (1, vec![2, 3, 1]));
    assert_eq!(cluster.partition("t").leader_epoch.0, before + 1);
}

#[test]
fn an_unclean_election_is_held_only_where_nobody_leads_and_is_told() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2, 3]);
    assert_eq!(elect_one(&mut cluster, UNCLEAN), ErrorCode::ElectionNotNeeded);
    propose(&mut cluster, &[1]).unwrap();
    for id in [2, 3, 1] {
        cluster.fence(id);
    }
    assert_eq!(elect_one(&mut cluster, UNCLEAN), ErrorCode::EligibleLeadersNotAvailable);
    cluster.alive(3);
    assert_eq!(cluster.led("t"), (-1, vec![1]));
    assert_eq!(elect_one(&mut cluster, PREFERRED), ErrorCode::PreferredLeaderNotAvailable);
    let before = cluster.image.clone();
    assert_eq!(elect_one(&mut cluster, UNCLEAN), ErrorCode::None);
    assert_eq!((cluster.led("t"), cluster.partition("t").recovering), ((3, vec![3]), true));
    assert!(Delta::between(&before, &cluster.image).partitions[0].may_have_lost_records());
    let before = cluster.image.clone();
    propose(&mut cluster, &[3]).unwrap();
    assert!(!Delta::between(&before, &cluster.image).partitions[0].may_have_lost_records());
}

#[test]
fn an_unclean_election_prefers_who_once_held_all() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2, 3]);
    cluster.set_topic_config("t", "min.insync.replicas", "2");
    propose(&mut cluster, &[1, 3]).unwrap();
    kill(&mut cluster, 3);
    cluster.register(3, 903).unwrap();
    assert_eq!(cluster.holders("t"), [vec![1], vec![], vec![3]]);
    cluster.fence(1);
    cluster.alive(3);
    assert_eq!(cluster.led("t"), (-1, vec![1]));
    assert_eq!(elect_one(&mut cluster, UNCLEAN), ErrorCode::None);
    assert_eq!(cluster.holders("t"), [vec![3], vec![], vec![]], "rather than 2");
}

#[test]
fn unclean_elections_can_be_configured() {
    for (resource, name) in [(2, "t"), (4, "")] {
        let mut cluster = Cluster::of(3);
        cluster.on_replicas(&[1, 2]);
        propose(&mut cluster, &[1]).unwrap();
        cluster.fence(1);
        assert_eq!(cluster.led("t"), (-1, vec![1]));
        let outcome = cluster.set_config(resource, name, &[("unclean.leader.election.enable", 0, Some("true"))]);
        assert_eq!(outcome.0, ErrorCode::None, "{}", outcome.1);
        assert_eq!((cluster.led("t"), cluster.partition("t").recovering), ((2, vec![2]), true));
        // And when it happens later.
        cluster.alive(1);
        cluster.fence(2);
        assert_eq!(cluster.led("t"), (1, vec![1]));
    }
}

#[test]
fn an_election_of_all_tells_of_those_that_change_or_cannot() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2]);
    for (name, replicas) in [("a", &[1, 2][..]), ("b", &[2, 3]), ("c", &[3, 1])] {
        cluster.create(with_replicas(topic(name, -1, -1), &[(0, replicas)]));
    }
    cluster.fence(1);
    cluster.alive(1);
    assert_eq!(
        elect(&mut cluster, PREFERRED, None),
        [
            ("a".to_owned(), 0, ErrorCode::PreferredLeaderNotAvailable),
            ("t".to_owned(), 0, ErrorCode::PreferredLeaderNotAvailable)
        ]
    );
    assert_eq!(
        elect(&mut cluster, PREFERRED, Some(&[("b", &[0, 1]), ("x", &[0])])),
        [
            ("b".to_owned(), 0, ErrorCode::ElectionNotNeeded),
            ("b".to_owned(), 1, ErrorCode::UnknownTopicOrPartition),
            ("x".to_owned(), 0, ErrorCode::UnknownTopicOrPartition)
        ]
    );
    let request = ElectLeadersRequest {
        election_type: 2,
        ..Default::default()
    };
    let ControllerReply::ElectLeaders(response) = cluster.ask(ControllerRequest::ElectLeaders(request)) else {
        unreachable!()
    };
    assert_eq!(ErrorCode::from_code(response.error_code), ErrorCode::InvalidRequest);
}

fn balance(cluster: &mut Cluster) -> usize {
    let ControllerReply::BalanceLeaders { moved } = cluster.ask(ControllerRequest::BalanceLeaders) else {
        unreachable!()
    };
    moved
}

#[test]
fn preferred_leaders_lead_again_by_themselves() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[1, 2]);
    assert_eq!(balance(&mut cluster), 0);
    cluster.fence(1);
    cluster.alive(1);
    assert_eq!(balance(&mut cluster), 0, "1 is not in sync yet");
    propose(&mut cluster, &[2, 1]).unwrap();
    assert_eq!(balance(&mut cluster), 1);
    assert_eq!(cluster.led("t"), (1, vec![2, 1]));
    assert_eq!(balance(&mut cluster), 0);
}

#[test]
fn leaders_are_not_moved_for_a_few_or_if_nobody_wants_it() {
    let table = [
        ("leader.imbalance.per.broker.percentage", "99", 1),
        ("leader.imbalance.per.broker.percentage", "100", 0),
        ("auto.leader.rebalance.enable", "false", 0),
        ("auto.leader.rebalance.enable", "true", 1),
    ];
    for (key, value, moved) in table {
        let mut cluster = Cluster::of(2);
        cluster.controller.file.insert(key.to_owned(), value.to_owned());
        cluster.on_replicas(&[1, 2]);
        cluster.fence(1);
        cluster.alive(1);
        propose(&mut cluster, &[2, 1]).unwrap();
        assert_eq!(balance(&mut cluster), moved, "{key}={value}");
    }
}
