//! Brokers that come and go, and what becomes of the partitions they lead.

use super::*;
use dohle_protocol::id::ProducerId;
use dohle_protocol::messages::broker_registration::{Feature, Listener};

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
fn c2_a_registration_that_cannot_be_is_refused() {
    let feature = |min, max| Feature {
        name: METADATA_FEATURE.to_owned(),
        min_supported_version: min,
        max_supported_version: max,
        ..Default::default()
    };
    let table = [
        (
            BrokerRegistrationRequest {
                cluster_id: "another".to_owned(),
                ..registration(1, 1)
            },
            ErrorCode::InconsistentClusterId,
            format!("Expected cluster ID {CLUSTER}, but got cluster ID another"),
        ),
        (registration(-1, 1), ErrorCode::InvalidRegistration, "-1 is no broker id".to_owned()),
        (
            BrokerRegistrationRequest {
                is_migrating_zk_broker: true,
                ..registration(1, 1)
            },
            ErrorCode::BrokerIdNotRegistered,
            "Controller does not support registering ZK brokers.".to_owned(),
        ),
        (
            BrokerRegistrationRequest {
                features: vec![feature(2, 3)],
                ..registration(1, 1)
            },
            ErrorCode::UnsupportedVersion,
            "Unable to register because the broker does not support finalized version 1 of dohle.metadata. The broker wants a version \
             between 2 and 3, inclusive."
                .to_owned(),
        ),
    ];
    for (request, code, message) in table {
        let mut cluster = Cluster::of(0);
        assert_eq!(cluster.register_with(request), Err(Refusal::new(code, message)));
        assert!(cluster.image.brokers().is_empty());
    }
    let known = BrokerRegistrationRequest {
        features: vec![feature(1, 3)],
        ..registration(1, 1)
    };
    Cluster::of(0).register_with(known).unwrap();
}

#[test]
fn a_registration_says_where_the_broker_is() {
    let mut cluster = Cluster::of(0);
    let listener = Listener {
        name: "REPLICATION".to_owned(),
        host: "b1".to_owned(),
        port: 9093,
        security_protocol: 1,
        ..Default::default()
    };
    let request = BrokerRegistrationRequest {
        listeners: vec![listener],
        rack: Some("r".to_owned()),
        ..registration(1, 1)
    };
    cluster.register_with(request).unwrap();
    let broker = cluster.image.broker(BrokerId(1)).unwrap();
    let endpoint = broker.endpoint("REPLICATION").unwrap();
    assert_eq!(
        (&*endpoint.host, endpoint.port, endpoint.security_protocol, broker.rack.as_deref()),
        ("b1", 9093, 1, Some("r"))
    );
}

#[test]
fn an_id_in_use_is_refused_until_its_owner_falls_silent() {
    let mut cluster = Cluster::of(2);
    let first = cluster.epoch(2);
    assert_eq!(cluster.register(2, 999).unwrap_err().code, ErrorCode::DuplicateBrokerRegistration);
    assert_eq!(cluster.register(2, 102), Ok(first), "the same process may say it again");
    assert!(!cluster.image.broker(BrokerId(2)).unwrap().fenced);

    for _ in 0..3 {
        cluster.now_ms += 1_500;
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
fn who_is_fenced_by_its_own_wish_keeps_its_id() {
    let mut cluster = Cluster::of(2);
    cluster.fence(2);
    assert_eq!(cluster.register(2, 999).unwrap_err().code, ErrorCode::DuplicateBrokerRegistration);
    cluster.alive(2);
    assert!(!cluster.image.broker(BrokerId(2)).unwrap().fenced);
}

/// A process at this place.
fn at(port: u16, incarnation: u128) -> BrokerRegistrationRequest {
    let listener = Listener {
        name: "PLAINTEXT".to_owned(),
        host: "b".to_owned(),
        port,
        ..Default::default()
    };
    BrokerRegistrationRequest {
        listeners: vec![listener],
        ..registration(2, incarnation)
    }
}

#[test]
fn who_has_the_listeners_of_a_process_that_hung_up_has_taken_its_place() {
    let refused = Err(ErrorCode::DuplicateBrokerRegistration);
    let register = |cluster: &mut Cluster, request| cluster.register_with(request).map(drop).map_err(|refusal| refusal.code);
    let mut cluster = Cluster::of(1);
    register(&mut cluster, at(9092, 1)).unwrap();
    cluster.alive(2);
    cluster.on_replicas(&[2, 1]);
    assert_eq!(register(&mut cluster, at(9092, 2)), refused, "it is connected");
    let first = cluster.epoch(2);
    let hung_up = |broker_epoch| ControllerRequest::BrokerHungUp {
        broker_id: BrokerId(2),
        broker_epoch,
    };
    let ControllerReply::BrokerHungUp(reply) = cluster.ask(hung_up(first - 1)) else {
        unreachable!()
    };
    assert_eq!(reply.unwrap_err().code, ErrorCode::StaleBrokerEpoch);
    assert_eq!(
        register(&mut cluster, at(9092, 2)),
        refused,
        "it was an earlier process that hung up"
    );
    assert_eq!(cluster.decide(hung_up(first)).records, []);
    assert_eq!(register(&mut cluster, at(9093, 2)), refused, "it may be there still");
    cluster.alive(2);
    assert_eq!(register(&mut cluster, at(9092, 2)), refused, "it is connected again");
    cluster.ask(hung_up(first));
    register(&mut cluster, at(9092, 2)).unwrap();
    assert!(cluster.epoch(2) > first && cluster.led("t") == (1, vec![1]));

    // Whoever died with the controller, and is back before another one is there.
    cluster.alive(2);
    cluster.soft = Soft::default();
    assert_eq!(register(&mut cluster, at(9093, 3)), refused);
    register(&mut cluster, at(9092, 3)).unwrap();
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
            caught_up: true,
            fenced: true,
            in_controlled_shutdown: false,
            should_shut_down: true
        }
    );
    cluster.soft = Soft::default();
    let log = cluster.log.len();
    let epoch = cluster.register_again(1, 999, epoch).unwrap();
    assert!(!cluster.beat(1, epoch, false, false).unwrap().fenced);
    assert_eq!(
        (cluster.partition("t").leader, cluster.partition("t").leader_epoch.0),
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
    assert_eq!(cluster.partition("t").leader, BrokerId::NONE);
    cluster.beat(1, epoch, false, false).unwrap();
    let partition = cluster.partition("t");
    assert_eq!(
        (partition.leader, partition.leader_epoch.0, &partition.isr),
        (BrokerId(1), 2, &ids(&[1]))
    );
}

#[test]
fn a_silent_broker_is_fenced_and_an_in_sync_replica_takes_over() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[2, 3, 1]);
    for _ in 0..3 {
        cluster.now_ms += 1_500;
        for id in [1, 3] {
            let epoch = cluster.epoch(id);
            cluster.beat(id, epoch, false, false).unwrap();
        }
        cluster.ask(ControllerRequest::FenceSilentBrokers);
    }
    assert!(cluster.image.broker(BrokerId(2)).unwrap().fenced);
    let taken_over = cluster.partition("t").clone();
    assert_eq!(
        (taken_over.leader, taken_over.leader_epoch.0, taken_over.isr),
        (BrokerId(3), 1, ids(&[3, 1]))
    );

    let epoch = cluster.epoch(2);
    cluster.beat(2, epoch, false, false).unwrap();
    assert_eq!(
        cluster.partition("t").leader,
        BrokerId(3),
        "who is back leads nothing that others lead"
    );
}

#[test]
fn a_controller_that_slept_blames_nobody() {
    let mut cluster = Cluster::of(2);
    // Or was kept from deciding by its disk, when both were about to be heard of again.
    for slept_ms in [3_600_000, 2_900] {
        cluster.now_ms += 1_000;
        assert_eq!(cluster.decide(ControllerRequest::FenceSilentBrokers).records, []);
        cluster.now_ms += slept_ms;
        assert_eq!(cluster.decide(ControllerRequest::FenceSilentBrokers).records, []);
    }
    for _ in 0..2 {
        cluster.now_ms += 1_500;
        assert_eq!(cluster.decide(ControllerRequest::FenceSilentBrokers).records, []);
    }
    cluster.now_ms += 1;
    assert_eq!(cluster.decide(ControllerRequest::FenceSilentBrokers).records.len(), 2);
}

#[test]
fn the_controller_before_this_one_has_less_time_to_be_heard_of() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[2, 3, 1]);
    cluster.soft = Soft::default();
    cluster.alive(3);
    let unheard = |id| ControllerRequest::FenceUnheard { broker_id: BrokerId(id) };
    assert_eq!(cluster.decide(unheard(3)).records, []);
    assert_eq!(cluster.decide(unheard(9)).records, [], "a controller that is no broker");
    cluster.ask(unheard(2));
    assert!(cluster.image.broker(BrokerId(2)).unwrap().fenced);
    assert_eq!(cluster.partition("t").leader, BrokerId(3));
    assert_eq!(cluster.decide(unheard(2)).records, []);
}

#[test]
fn a_clock_that_is_set_back_saves_nobody() {
    let mut cluster = Cluster::of(2);
    for _ in 0..2 {
        cluster.now_ms += 1_000;
        cluster.alive(1);
    }
    cluster.now_ms -= 3_600_000;
    cluster.alive(1);
    for _ in 0..2 {
        cluster.now_ms += 500;
        assert_eq!(cluster.decide(ControllerRequest::FenceSilentBrokers).records, []);
    }
    cluster.now_ms += 1;
    cluster.ask(ControllerRequest::FenceSilentBrokers);
    let is_fenced = |cluster: &Cluster, id| cluster.image.broker(BrokerId(id)).unwrap().fenced;
    assert!(is_fenced(&cluster, 2) && !is_fenced(&cluster, 1));
    assert!(
        cluster.register(2, 999).unwrap() > 1_000_000,
        "epochs rise, whatever the clock says"
    );
}

#[test]
fn the_last_in_sync_replica_stays_in_sync_and_leads_when_it_is_back() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[1, 2]);
    for id in [1, 2] {
        let epoch = cluster.epoch(id);
        cluster.beat(id, epoch, true, false).unwrap();
    }
    assert_eq!(
        (cluster.partition("t").leader, &cluster.partition("t").isr),
        (BrokerId::NONE, &ids(&[2]))
    );
    let epoch = cluster.epoch(1);
    cluster.beat(1, epoch, false, false).unwrap();
    assert_eq!(cluster.partition("t").leader, BrokerId::NONE, "who was not in sync does not lead");
    let epoch = cluster.epoch(2);
    cluster.beat(2, epoch, false, false).unwrap();
    assert_eq!(
        (cluster.partition("t").leader, cluster.partition("t").leader_epoch.0),
        (BrokerId(2), 3)
    );
}

#[test]
fn a_follower_that_is_fenced_leaves_the_leader_and_its_epoch() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[1, 2]);
    let epoch = cluster.epoch(2);
    cluster.beat(2, epoch, true, false).unwrap();
    let partition = cluster.partition("t");
    assert_eq!(
        (partition.leader, partition.leader_epoch.0, partition.partition_epoch),
        (BrokerId(1), 0, 1)
    );
    assert_eq!(partition.isr, ids(&[1]));
}

#[test]
fn producer_ids_are_given_away_once() {
    let mut cluster = Cluster::of(1);
    let request = AllocateProducerIdsRequest {
        broker_id: 1,
        broker_epoch: cluster.epoch(1),
        ..Default::default()
    };
    let mut firsts = Vec::new();
    for _ in 0..3 {
        let reply = cluster.ask(ControllerRequest::AllocateProducerIds(request.clone()));
        let ControllerReply::AllocateProducerIds(Ok(block)) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(block.len, 1000);
        firsts.push(block.first.0);
        cluster.image = ClusterImage::from_records(&cluster.image.to_records());
    }
    assert_eq!(firsts, [0, 1000, 2000]);

    let stale = AllocateProducerIdsRequest {
        broker_epoch: request.broker_epoch - 1,
        ..request.clone()
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
    let ControllerReply::AllocateProducerIds(Err(refusal)) = cluster.ask(ControllerRequest::AllocateProducerIds(request.clone())) else {
        panic!()
    };
    assert_eq!(refusal.code, ErrorCode::UnknownServerError);
    assert_eq!(cluster.image.next_producer_id(), ProducerId(i64::MAX - 999));
}
