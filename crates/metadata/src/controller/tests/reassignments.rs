//! Replicas on the move.

use super::alter_partition::propose;
use super::*;
use dohle_protocol::messages::alter_partition_reassignments::{ReassignablePartition, ReassignableTopic};
use dohle_protocol::messages::list_partition_reassignments::ListPartitionReassignmentsTopics;

fn request(topic: &str, partition_index: i32, replicas: Option<&[i32]>) -> AlterPartitionReassignmentsRequest {
    let partition = ReassignablePartition {
        partition_index,
        replicas: replicas.map(<[i32]>::to_vec),
        ..Default::default()
    };
    AlterPartitionReassignmentsRequest {
        topics: vec![ReassignableTopic {
            name: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn ask(cluster: &mut Cluster, request: AlterPartitionReassignmentsRequest) -> (ErrorCode, String) {
    let reply = cluster.ask(ControllerRequest::AlterPartitionReassignments(request));
    let ControllerReply::AlterPartitionReassignments(response) = reply else {
        unreachable!()
    };
    let result = &response.responses[0].partitions[0];
    let (code, message) = error_of(result.error_code, &result.error_message);
    (code, message.to_owned())
}

pub(super) fn reassign(cluster: &mut Cluster, replicas: Option<&[i32]>) -> (ErrorCode, String) {
    ask(cluster, request("t", 0, replicas))
}

fn done() -> (ErrorCode, String) {
    (ErrorCode::None, String::new())
}

/// Replicas, adding, removing.
fn moving(cluster: &Cluster) -> [Vec<i32>; 3] {
    let partition = cluster.partition("t");
    let lists = [&partition.replicas, &partition.adding_replicas, &partition.removing_replicas];
    lists.map(|ids| crate::image::topics::raw_ids(ids))
}

#[test]
fn replicas_go_when_all_that_come_are_in_sync() {
    let mut cluster = Cluster::of(5);
    cluster.on_replicas(&[1, 2, 3]);
    assert_eq!(reassign(&mut cluster, Some(&[4, 5, 2])), done());
    assert_eq!(moving(&cluster), [vec![4, 5, 2, 1, 3], vec![4, 5], vec![1, 3]]);
    assert_eq!(cluster.led("t"), (1, vec![1, 2, 3]));
    propose(&mut cluster, &[1, 2, 3, 4]).unwrap();
    assert_eq!(moving(&cluster)[1], [4, 5]);
    let epoch = cluster.partition("t").leader_epoch.0;
    assert_eq!(propose(&mut cluster, &[1, 2, 3, 4, 5]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(moving(&cluster), [vec![4, 5, 2], vec![], vec![]]);
    assert_eq!(cluster.led("t"), (4, vec![2, 4, 5]));
    assert_eq!(cluster.partition("t").leader_epoch.0, epoch + 1);
}

#[test]
fn a_leader_that_stays_leads_on_in_a_new_epoch() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2]);
    reassign(&mut cluster, Some(&[1, 3]));
    let result = propose(&mut cluster, &[1, 2, 3]).unwrap();
    assert_eq!((result.leader_id, result.leader_epoch, result.isr), (1, 1, vec![1, 3]));
    assert_eq!(moving(&cluster), [vec![1, 3], vec![], vec![]]);
}

#[test]
fn what_needs_no_copy_is_done_at_once() {
    type Led = (i32, Vec<i32>);
    let table: [(&[i32], Led); 3] = [(&[3, 2, 1], (1, vec![1, 2, 3])), (&[2, 3], (2, vec![2, 3])), (&[1], (1, vec![1]))];
    for (target, led) in table {
        let mut cluster = Cluster::of(3);
        cluster.on_replicas(&[1, 2, 3]);
        assert_eq!(reassign(&mut cluster, Some(target)), done());
        assert_eq!(moving(&cluster), [target.to_vec(), vec![], vec![]]);
        assert_eq!(cluster.led("t"), led);
    }
}

#[test]
fn a_reassignment_is_cancelled_to_where_it_began_even_after_a_second_one() {
    let mut cluster = Cluster::of(5);
    cluster.on_replicas(&[1, 2]);
    reassign(&mut cluster, Some(&[3, 4]));
    propose(&mut cluster, &[1, 2, 3]).unwrap();
    assert_eq!(reassign(&mut cluster, Some(&[5, 2])), done());
    assert_eq!(moving(&cluster), [vec![5, 2, 3, 4, 1], vec![5, 3, 4], vec![3, 4, 1]]);
    assert_eq!(cluster.image.topic("t").unwrap().replication_factor(), 2);
    assert_eq!(reassign(&mut cluster, None), done());
    assert_eq!(moving(&cluster), [vec![2, 1], vec![], vec![]]);
    assert_eq!(cluster.led("t"), (1, vec![1, 2]));
    assert_eq!(
        reassign(&mut cluster, None),
        (
            ErrorCode::NoReassignmentInProgress,
            ErrorCode::NoReassignmentInProgress.message().to_owned()
        )
    );
}

#[test]
fn a_reassignment_is_not_cancelled_if_that_would_lose_records() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1]);
    reassign(&mut cluster, Some(&[2, 3]));
    propose(&mut cluster, &[1, 2]).unwrap();
    cluster.fence(1);
    assert_eq!(cluster.led("t"), (2, vec![2]));
    cluster.alive(1);
    let (code, message) = reassign(&mut cluster, None);
    assert_eq!(code, ErrorCode::InvalidReplicaAssignment);
    assert!(message.contains("unclean leader election"), "{message}");
    assert_eq!(moving(&cluster)[0], [2, 3, 1]);
    cluster.set_topic_config("t", "unclean.leader.election.enable", "true");
    assert_eq!(reassign(&mut cluster, None), done());
    assert_eq!(moving(&cluster), [vec![1], vec![], vec![]]);
    assert_eq!((cluster.led("t"), cluster.partition("t").recovering), ((1, vec![1]), true));
    // Even then, somebody must be there to lead.
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1]);
    cluster.set_topic_config("t", "unclean.leader.election.enable", "true");
    reassign(&mut cluster, Some(&[2, 3]));
    propose(&mut cluster, &[1, 2]).unwrap();
    cluster.fence(1);
    assert_eq!(reassign(&mut cluster, None).0, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(cluster.led("t"), (2, vec![2]));
}

#[test]
fn g2_a_target_that_cannot_be_is_refused() {
    let table: [(&str, i32, &[i32], bool, ErrorCode); 7] = [
        ("x", 0, &[1], true, ErrorCode::UnknownTopicOrPartition),
        ("t", 1, &[1], true, ErrorCode::UnknownTopicOrPartition),
        ("t", 0, &[], true, ErrorCode::InvalidReplicaAssignment),
        ("t", 0, &[1, 9], true, ErrorCode::InvalidReplicaAssignment),
        ("t", 0, &[1, 1], true, ErrorCode::InvalidReplicaAssignment),
        ("t", 0, &[-1], true, ErrorCode::InvalidReplicaAssignment),
        ("t", 0, &[1], false, ErrorCode::InvalidReplicationFactor),
    ];
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2]);
    let before = cluster.image.clone();
    for (topic, index, replicas, allow_replication_factor_change, code) in table {
        let request = AlterPartitionReassignmentsRequest {
            allow_replication_factor_change,
            ..request(topic, index, Some(replicas))
        };
        assert_eq!(ask(&mut cluster, request).0, code, "{topic}-{index} {replicas:?}");
        assert_eq!(cluster.image, before);
    }
    let same_factor = AlterPartitionReassignmentsRequest {
        allow_replication_factor_change: false,
        ..request("t", 0, Some(&[2, 3]))
    };
    assert_eq!(ask(&mut cluster, same_factor), done());
}

#[test]
fn reassignments_are_listed() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2]);
    cluster.topic("still", 2, 1);
    reassign(&mut cluster, Some(&[3, 2]));
    let list = |cluster: &mut Cluster, topics: Option<&[(&str, &[i32])]>| {
        let to_wire = |(name, indexes): &(&str, &[i32])| ListPartitionReassignmentsTopics {
            name: (*name).to_owned(),
            partition_indexes: indexes.to_vec(),
            ..Default::default()
        };
        let request = ListPartitionReassignmentsRequest {
            topics: topics.map(|topics| topics.iter().map(to_wire).collect()),
            ..Default::default()
        };
        let ControllerReply::ListPartitionReassignments(response) = cluster.ask(ControllerRequest::ListPartitionReassignments(request))
        else {
            unreachable!()
        };
        let topics = response.topics.into_iter();
        topics
            .flat_map(|topic| {
                let partitions = topic.partitions.into_iter();
                partitions.map(move |it| {
                    let lists = [it.replicas, it.adding_replicas, it.removing_replicas];
                    (topic.name.clone(), it.partition_index, lists)
                })
            })
            .collect::<Vec<_>>()
    };
    let moving = vec![("t".to_owned(), 0, [vec![3, 2, 1], vec![3], vec![1]])];
    assert_eq!(list(&mut cluster, None), moving);
    assert_eq!(list(&mut cluster, Some(&[("still", &[0, 1]), ("t", &[0, 7]), ("x", &[0])])), moving);
    assert_eq!(list(&mut cluster, Some(&[("t", &[])])), []);
}

#[test]
fn new_partitions_get_as_many_replicas_as_the_others_will_have() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1]);
    reassign(&mut cluster, Some(&[3]));
    let request = CreatePartitionsRequest {
        topics: vec![dohle_protocol::messages::create_partitions::CreatePartitionsTopic {
            name: "t".to_owned(),
            count: 2,
            ..Default::default()
        }],
        ..Default::default()
    };
    cluster.ask(ControllerRequest::CreatePartitions(request));
    let added = cluster.image.partition("t", PartitionIndex(1)).unwrap();
    assert_eq!(added.replicas.len(), 1);
}
