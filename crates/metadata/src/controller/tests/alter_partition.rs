//! Leaders that propose in-sync replicas.

use super::*;
use dohle_protocol::messages::alter_partition::{BrokerState as InSync, PartitionData, PartitionResult, TopicData};

/// By the leader of `t`, as of what it knows.
fn proposal(cluster: &Cluster, isr: &[i32]) -> PartitionData {
    let partition = cluster.partition("t");
    let state = |id: &i32| InSync {
        broker_id: *id,
        broker_epoch: cluster.image.broker(BrokerId(*id)).map_or(-1, |broker| broker.epoch),
        ..Default::default()
    };
    PartitionData {
        partition_index: 0,
        leader_epoch: partition.leader_epoch.0,
        new_isr_with_epochs: isr.iter().map(state).collect(),
        partition_epoch: partition.partition_epoch,
        ..Default::default()
    }
}

fn propose_as(cluster: &mut Cluster, broker_id: i32, proposal: PartitionData) -> Result<PartitionResult, ErrorCode> {
    let topic_id = cluster.image.topic("t").unwrap().id.0;
    let request = AlterPartitionRequest {
        broker_id,
        broker_epoch: cluster.epoch(broker_id),
        topics: vec![TopicData {
            topic_id,
            partitions: vec![proposal],
            ..Default::default()
        }],
        ..Default::default()
    };
    let ControllerReply::AlterPartition(mut response) = cluster.ask(ControllerRequest::AlterPartition(request)) else {
        unreachable!()
    };
    assert_eq!((response.error_code, response.topics[0].topic_id), (0, topic_id));
    let result = response.topics[0].partitions.remove(0);
    match ErrorCode::from_code(result.error_code) {
        ErrorCode::None => Ok(result),
        code => Err(code),
    }
}

/// The leader of `t` proposes these replicas, and is right about everything.
pub(super) fn propose(cluster: &mut Cluster, isr: &[i32]) -> Result<PartitionResult, ErrorCode> {
    let leader = cluster.partition("t").leader.0;
    let proposal = proposal(cluster, isr);
    propose_as(cluster, leader, proposal)
}

#[test]
fn the_leader_says_who_is_in_sync() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2, 3]);
    for (isr, partition_epoch) in [(&[1][..], 1), (&[1, 3], 2), (&[1, 3, 2], 3), (&[1, 3, 2], 3)] {
        let result = propose(&mut cluster, isr).unwrap();
        assert_eq!(
            (result.leader_id, result.leader_epoch, result.isr.as_slice(), result.partition_epoch),
            (1, 0, isr, partition_epoch)
        );
        assert_eq!(cluster.led("t"), (1, isr.to_vec()));
    }
    let without_epochs = PartitionData {
        new_isr: vec![1, 2],
        new_isr_with_epochs: vec![],
        ..proposal(&cluster, &[])
    };
    assert_eq!(propose_as(&mut cluster, 1, without_epochs).unwrap().isr, [1, 2]);
}

#[test]
fn what_a_leader_must_not_propose() {
    type Change = fn(&mut PartitionData);
    let table: [(i32, &[i32], Change, ErrorCode); 16] = [
        (1, &[1], |it| it.leader_epoch += 1, ErrorCode::NotController),
        (1, &[1], |it| it.partition_epoch += 1, ErrorCode::NotController),
        (1, &[1], |it| it.leader_epoch -= 1, ErrorCode::FencedLeaderEpoch),
        (2, &[2], |it| it.leader_epoch -= 1, ErrorCode::FencedLeaderEpoch),
        (2, &[2], |_| {}, ErrorCode::InvalidRequest),
        (1, &[1], |it| it.partition_epoch -= 1, ErrorCode::InvalidUpdateVersion),
        (1, &[1], |it| it.partition_index = 1, ErrorCode::UnknownTopicOrPartition),
        (1, &[], |_| {}, ErrorCode::InvalidRequest),
        (1, &[2], |_| {}, ErrorCode::InvalidRequest),
        (1, &[1, 2, 2], |_| {}, ErrorCode::InvalidRequest),
        (1, &[1, 5], |_| {}, ErrorCode::InvalidRequest),
        (1, &[1], |it| it.leader_recovery_state = 1, ErrorCode::InvalidRequest),
        (1, &[1], |it| it.leader_recovery_state = 2, ErrorCode::InvalidRequest),
        (
            1,
            &[1, 2],
            |it| it.new_isr_with_epochs[1].broker_epoch -= 1,
            ErrorCode::IneligibleReplica,
        ),
        (1, &[1, 3], |_| {}, ErrorCode::IneligibleReplica),
        (1, &[1, 4], |_| {}, ErrorCode::IneligibleReplica),
    ];
    for (number, (broker, isr, change, code)) in table.into_iter().enumerate() {
        let mut cluster = Cluster::of(5);
        cluster.on_replicas(&[4, 1, 2, 3]);
        // 4 hands over and stops, 3 is fenced, and 1 leads.
        let epoch = cluster.epoch(4);
        cluster.beat(4, epoch, false, true).unwrap();
        cluster.fence(3);
        assert_eq!(cluster.led("t"), (1, vec![1, 2]));
        let before = cluster.image.clone();
        let mut proposal = proposal(&cluster, isr);
        change(&mut proposal);
        assert_eq!(propose_as(&mut cluster, broker, proposal), Err(code), "{number}");
        assert_eq!(cluster.image, before, "{number}");
    }
}

#[test]
fn who_asks_must_be_the_process_that_is_registered_and_the_topic_the_one_that_is_there() {
    let mut cluster = Cluster::of(1);
    cluster.on_replicas(&[1]);
    let request = AlterPartitionRequest {
        broker_id: 1,
        broker_epoch: cluster.epoch(1) - 1,
        ..Default::default()
    };
    let ControllerReply::AlterPartition(response) = cluster.ask(ControllerRequest::AlterPartition(request)) else {
        unreachable!()
    };
    assert_eq!(ErrorCode::from_code(response.error_code), ErrorCode::StaleBrokerEpoch);

    let request = AlterPartitionRequest {
        broker_id: 1,
        broker_epoch: cluster.epoch(1),
        topics: vec![TopicData {
            topic_id: Uuid::from_u128(1),
            partitions: vec![proposal(&cluster, &[1])],
            ..Default::default()
        }],
        ..Default::default()
    };
    let ControllerReply::AlterPartition(response) = cluster.ask(ControllerRequest::AlterPartition(request)) else {
        unreachable!()
    };
    assert_eq!(
        ErrorCode::from_code(response.topics[0].partitions[0].error_code),
        ErrorCode::UnknownTopicId
    );
}
