//! Brokers that come and go, and what becomes of the partitions they lead.

use super::*;
use crate::controller::producer_ids::ProducerIdsRequest;
use crate::image::topics::PartitionImage;
use dohle_protocol::id::{PartitionIndex, ProducerId};

fn partition<'a>(cluster: &'a Cluster, topic: &str) -> &'a PartitionImage {
    cluster.image.partition(topic, PartitionIndex(0)).unwrap()
}

/// The only partition of a topic with these replicas.
fn on_replicas(cluster: &mut Cluster, replicas: &[i32]) {
    let result = cluster.create(with_replicas(topic("t", -1, -1), &[(0, replicas)]));
    assert_eq!(result.error_code, 0);
}

fn ids(raw: &[i32]) -> Vec<BrokerId> {
    raw.iter().map(|id| BrokerId(*id)).collect()
}

#[test]
fn a_cluster_is_named_once() {
    let mut cluster = Cluster::of(0);
    let reply = cluster.ask(ControllerRequest::Bootstrap {
        cluster_id: "another".to_owned(),
    });
    assert_eq!(
        reply,
        ControllerReply::Bootstrap {
            cluster_id: CLUSTER.to_owned()
        }
    );
    assert_eq!(
        (cluster.image.cluster_id(), cluster.image.features().level(METADATA_FEATURE)),
        (Some(CLUSTER), 1)
    );
}

#[test]
fn a_broker_of_another_cluster_is_refused() {
    let mut cluster = Cluster::of(0);
    let registration = BrokerRegistration {
        broker_id: BrokerId(1),
        incarnation_id: Uuid::from_u128(1),
        cluster_id: "another".to_owned(),
        endpoints: Vec::new(),
        rack: None,
    };
    let reply = cluster.ask(ControllerRequest::RegisterBroker(registration));
    let message = format!("Expected cluster ID {CLUSTER}, but got cluster ID another");
    assert_eq!(
        reply,
        ControllerReply::RegisterBroker(Err(Refusal::new(ErrorCode::InconsistentClusterId, message)))
    );
}

#[test]
fn an_id_in_use_is_refused_until_its_owner_falls_silent() {
    let mut cluster = Cluster::of(2);
    let first = cluster.epoch(2);
    assert_eq!(cluster.register(2, 999).unwrap_err().code, ErrorCode::DuplicateBrokerRegistration);
    assert_eq!(cluster.register(2, 102), Ok(first), "the same process may say it again");
    assert!(!cluster.image.broker(BrokerId(2)).unwrap().fenced);

    for _ in 0..4 {
        cluster.now_ms += 3_000;
        let epoch = cluster.epoch(1);
        cluster.beat(1, epoch, false, false).unwrap();
    }
    let second = cluster.register(2, 999).unwrap();
    assert!(second > first);
    assert!(cluster.image.broker(BrokerId(2)).unwrap().fenced);
    assert_eq!(cluster.beat(2, first, false, false).unwrap_err().code, ErrorCode::StaleBrokerEpoch);
    assert_eq!(cluster.beat(9, 1, false, false).unwrap_err().code, ErrorCode::StaleBrokerEpoch);
}

#[test]
fn a_new_controller_gives_the_others_time_but_knows_that_its_own_broker_is_new() {
    let mut cluster = Cluster::of(2);
    cluster.soft = Soft::default();
    assert_eq!(cluster.register(2, 999).unwrap_err().code, ErrorCode::DuplicateBrokerRegistration);
    cluster.register(1, 999).unwrap();
}

#[test]
fn a_single_node_that_stops_in_order_leads_again_in_the_same_epoch() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 1, 1);
    let epoch = cluster.epoch(1);
    let state = cluster.beat(1, epoch, false, true).unwrap();
    assert_eq!(
        state,
        BrokerState {
            fenced: true,
            in_controlled_shutdown: false,
            should_shut_down: true
        }
    );
    cluster.soft = Soft::default();
    let log = cluster.log.len();
    let epoch = cluster.register(1, 999).unwrap();
    assert!(!cluster.beat(1, epoch, false, false).unwrap().fenced);
    assert_eq!(
        (partition(&cluster, "t").leader, partition(&cluster, "t").leader_epoch.0),
        (BrokerId(1), 0)
    );
    assert_eq!(cluster.log.len() - log, 2, "a restart must not write a record for each partition");
}

#[test]
fn a_single_node_that_crashed_leads_again_in_a_new_epoch() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 1, 1);
    cluster.soft = Soft::default();
    let epoch = cluster.register(1, 999).unwrap();
    assert_eq!(partition(&cluster, "t").leader, BrokerId::NONE);
    cluster.beat(1, epoch, false, false).unwrap();
    let partition = partition(&cluster, "t");
    assert_eq!(
        (partition.leader, partition.leader_epoch.0, &partition.isr),
        (BrokerId(1), 2, &ids(&[1]))
    );
}

#[test]
fn a_silent_broker_is_fenced_and_an_in_sync_replica_takes_over() {
    let mut cluster = Cluster::of(3);
    on_replicas(&mut cluster, &[2, 3, 1]);
    for _ in 0..4 {
        cluster.now_ms += 3_000;
        for id in [1, 3] {
            let epoch = cluster.epoch(id);
            cluster.beat(id, epoch, false, false).unwrap();
        }
        cluster.ask(ControllerRequest::FenceSilentBrokers);
    }
    assert!(cluster.image.broker(BrokerId(2)).unwrap().fenced);
    let taken_over = partition(&cluster, "t").clone();
    assert_eq!(
        (taken_over.leader, taken_over.leader_epoch.0, taken_over.isr),
        (BrokerId(3), 1, ids(&[3, 1]))
    );

    let epoch = cluster.epoch(2);
    cluster.beat(2, epoch, false, false).unwrap();
    assert_eq!(
        partition(&cluster, "t").leader,
        BrokerId(3),
        "who is back leads nothing that others lead"
    );
}

#[test]
fn a_controller_that_slept_blames_nobody() {
    let mut cluster = Cluster::of(2);
    cluster.now_ms += 3_600_000;
    assert_eq!(cluster.decide(ControllerRequest::FenceSilentBrokers).records, []);
    cluster.now_ms += 9_000;
    assert_eq!(cluster.decide(ControllerRequest::FenceSilentBrokers).records, []);
    cluster.now_ms += 1;
    assert_eq!(cluster.decide(ControllerRequest::FenceSilentBrokers).records.len(), 2);
}

#[test]
fn the_last_in_sync_replica_stays_in_sync_and_leads_when_it_is_back() {
    let mut cluster = Cluster::of(2);
    on_replicas(&mut cluster, &[1, 2]);
    for id in [1, 2] {
        let epoch = cluster.epoch(id);
        cluster.beat(id, epoch, true, false).unwrap();
    }
    assert_eq!(
        (partition(&cluster, "t").leader, &partition(&cluster, "t").isr),
        (BrokerId::NONE, &ids(&[2]))
    );
    let epoch = cluster.epoch(1);
    cluster.beat(1, epoch, false, false).unwrap();
    assert_eq!(partition(&cluster, "t").leader, BrokerId::NONE, "who was not in sync does not lead");
    let epoch = cluster.epoch(2);
    cluster.beat(2, epoch, false, false).unwrap();
    assert_eq!(
        (partition(&cluster, "t").leader, partition(&cluster, "t").leader_epoch.0),
        (BrokerId(2), 3)
    );
}

#[test]
fn a_broker_hands_over_before_it_stops() {
    let mut cluster = Cluster::of(2);
    on_replicas(&mut cluster, &[1, 2]);
    let epoch = cluster.epoch(1);
    let state = cluster.beat(1, epoch, false, true).unwrap();
    assert_eq!(
        state,
        BrokerState {
            fenced: false,
            in_controlled_shutdown: true,
            should_shut_down: false
        }
    );
    assert_eq!(
        (partition(&cluster, "t").leader, &partition(&cluster, "t").isr),
        (BrokerId(2), &ids(&[2]))
    );
    let result = cluster.create(topic("u", 1, 1));
    assert_eq!(result.error_code, 0);
    assert_eq!(partition(&cluster, "u").leader, BrokerId(2), "nothing new on a broker that goes");
    let state = cluster.beat(1, epoch, false, true).unwrap();
    assert_eq!(
        state,
        BrokerState {
            fenced: true,
            in_controlled_shutdown: true,
            should_shut_down: true
        }
    );
}

#[test]
fn a_follower_that_is_fenced_leaves_the_leader_and_its_epoch() {
    let mut cluster = Cluster::of(2);
    on_replicas(&mut cluster, &[1, 2]);
    let epoch = cluster.epoch(2);
    cluster.beat(2, epoch, true, false).unwrap();
    let partition = partition(&cluster, "t");
    assert_eq!(
        (partition.leader, partition.leader_epoch.0, partition.partition_epoch),
        (BrokerId(1), 0, 1)
    );
    assert_eq!(partition.isr, ids(&[1]));
}

#[test]
fn producer_ids_are_given_away_once() {
    let mut cluster = Cluster::of(1);
    let request = ProducerIdsRequest {
        broker_id: BrokerId(1),
        broker_epoch: cluster.epoch(1),
    };
    let mut firsts = Vec::new();
    for _ in 0..3 {
        let reply = cluster.ask(ControllerRequest::AllocateProducerIds(request));
        let ControllerReply::AllocateProducerIds(Ok(block)) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(block.len, 1000);
        firsts.push(block.first.0);
        cluster.image = ClusterImage::from_records(&cluster.image.to_records());
    }
    assert_eq!(firsts, [0, 1000, 2000]);

    let stale = ProducerIdsRequest {
        broker_epoch: request.broker_epoch - 1,
        ..request
    };
    let ControllerReply::AllocateProducerIds(Err(refusal)) = cluster.ask(ControllerRequest::AllocateProducerIds(stale)) else {
        panic!()
    };
    assert_eq!(refusal.code, ErrorCode::StaleBrokerEpoch);

    let exhausted = crate::record::ProducerIdsRecord {
        broker_id: 1,
        next_producer_id: i64::MAX - 999,
        ..Default::default()
    };
    cluster.image.apply(&exhausted.into());
    let ControllerReply::AllocateProducerIds(Err(refusal)) = cluster.ask(ControllerRequest::AllocateProducerIds(request)) else {
        panic!()
    };
    assert_eq!(refusal.code, ErrorCode::UnknownServerError);
    assert_eq!(cluster.image.next_producer_id(), ProducerId(i64::MAX - 999));
}
