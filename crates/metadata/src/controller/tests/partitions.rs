//! Adding partitions.

use super::*;
use dohle_protocol::id::PartitionIndex;
use dohle_protocol::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};

fn grow(cluster: &mut Cluster, topics: Vec<CreatePartitionsTopic>, validate_only: bool) -> Vec<(ErrorCode, String)> {
    let request = CreatePartitionsRequest {
        topics,
        validate_only,
        ..Default::default()
    };
    let ControllerReply::CreatePartitions(response) = cluster.ask(ControllerRequest::CreatePartitions(request)) else {
        unreachable!()
    };
    let to_answer = |result: dohle_protocol::messages::create_partitions::CreatePartitionsTopicResult| {
        (ErrorCode::from_code(result.error_code), result.error_message.unwrap_or_default())
    };
    response.results.into_iter().map(to_answer).collect()
}

fn to(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let to_wire = |ids: &&[i32]| CreatePartitionsAssignment {
        broker_ids: ids.to_vec(),
        ..Default::default()
    };
    let assignments = assignments.map(|chosen| chosen.iter().map(to_wire).collect());
    CreatePartitionsTopic {
        name: name.to_owned(),
        count,
        assignments,
        ..Default::default()
    }
}

#[test]
fn partitions_are_added_behind_the_others() {
    let mut cluster = Cluster::of(3);
    cluster.topic("t", 2, 2);
    let before = cluster.image.topic("t").unwrap().clone();
    assert_eq!(
        grow(&mut cluster, vec![to("t", 5, None)], false),
        [(ErrorCode::None, String::new())]
    );
    let after = cluster.image.topic("t").unwrap().clone();
    assert_eq!((after.partitions.len(), after.id), (5, before.id));
    assert!(before.partitions.iter().eq(after.partitions.iter().take(2)));
    assert!(after.partitions.values().all(|partition| partition.replicas.len() == 2));

    assert_eq!(grow(&mut cluster, vec![to("t", 6, Some(&[&[3, 2]]))], false)[0].0, ErrorCode::None);
    assert_eq!(
        cluster.image.partition("t", PartitionIndex(5)).unwrap().replicas,
        [BrokerId(3), BrokerId(2)]
    );
}

#[test]
fn c3_what_is_no_increase_is_refused() {
    let mut cluster = Cluster::of(2);
    cluster.topic("t", 3, 1);
    let too_few_assignments = "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.";
    let table = [
        (
            to("t", 1, None),
            ErrorCode::InvalidPartitions,
            "The topic t currently has 3 partition(s); 1 would not be an increase.",
        ),
        (
            to("t", -1, None),
            ErrorCode::InvalidPartitions,
            "The topic t currently has 3 partition(s); -1 would not be an increase.",
        ),
        (to("t", 3, None), ErrorCode::InvalidPartitions, "Topic already has 3 partition(s)."),
        (
            to("t", i32::MAX, None),
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request; 10000 are allowed.",
        ),
        (to("t", 5, Some(&[&[1]])), ErrorCode::InvalidReplicaAssignment, too_few_assignments),
        (
            to("t", 4, Some(&[&[1, 2]])),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s).",
        ),
        (
            to("x", 4, None),
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition.message(),
        ),
    ];
    for (request, code, message) in table {
        assert_eq!(grow(&mut cluster, vec![request], false), [(code, message.to_owned())]);
    }
    let twice = grow(&mut cluster, vec![to("t", 4, None), to("t", 5, None)], false);
    assert_eq!(twice, [(ErrorCode::InvalidRequest, "Duplicate topic name.".to_owned())]);
    assert_eq!(cluster.image.topic("t").unwrap().partitions.len(), 3);
}

#[test]
fn validate_only_adds_nothing() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 1, 1);
    assert_eq!(grow(&mut cluster, vec![to("t", 2, None)], true)[0].0, ErrorCode::None);
    assert_eq!(cluster.image.topic("t").unwrap().partitions.len(), 1);
}
