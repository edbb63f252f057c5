//! Brokers that come back, with all they held, or perhaps not.

use super::alter_partition::propose;
use super::*;

fn fence_broker(cluster: &mut Cluster, id: i32, broker_epoch: i64) -> Result<(), Refusal> {
    let request = ControllerRequest::FenceBroker {
        broker_id: BrokerId(id),
        broker_epoch,
    };
    let ControllerReply::FenceBroker(reply) = cluster.ask(request) else {
        unreachable!()
    };
    reply
}

/// The process is killed, and its connection breaks.
pub(super) fn kill(cluster: &mut Cluster, id: i32) -> i64 {
    let epoch = cluster.epoch(id);
    fence_broker(cluster, id, epoch).unwrap();
    epoch
}

#[test]
fn a_broker_that_is_known_to_be_gone_is_fenced_at_once_and_may_come_back_at_once() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[2, 1]);
    assert_eq!(cluster.register(2, 999).unwrap_err().code, ErrorCode::DuplicateBrokerRegistration);
    let epoch = kill(&mut cluster, 2);
    assert_eq!(cluster.led("t"), (1, vec![1]));
    fence_broker(&mut cluster, 2, epoch).unwrap();
    let again = cluster.register(2, 999).unwrap();
    assert_eq!(fence_broker(&mut cluster, 2, epoch).unwrap_err().code, ErrorCode::StaleBrokerEpoch);
    // It crashed before its first heartbeat.
    fence_broker(&mut cluster, 2, again).unwrap();
    cluster.register(2, 1000).unwrap();
}

#[test]
fn a_broker_that_ended_in_order_need_not_wait_for_its_session() {
    let mut cluster = Cluster::of(2);
    let epoch = cluster.epoch(2);
    assert_eq!(
        cluster.register_again(2, 999, epoch - 1).unwrap_err().code,
        ErrorCode::DuplicateBrokerRegistration
    );
    assert!(cluster.register_again(2, 999, epoch).unwrap() > epoch);
}

#[test]
fn after_a_crash_others_count_as_in_sync() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2, 3]);
    cluster.set_topic_config("t", "min.insync.replicas", "2");
    for id in [3, 2, 1] {
        kill(&mut cluster, id);
    }
    assert_eq!(cluster.holders("t"), [vec![1], vec![2], vec![]]);
    // 2 and then 1 are back after a crash.
    cluster.register(2, 902).unwrap();
    assert_eq!(cluster.holders("t"), [vec![1], vec![], vec![2]]);
    cluster.register(1, 901).unwrap();
    assert_eq!(cluster.holders("t"), [vec![1], vec![], vec![2]], "the last one stays");
    assert!(cluster.partition("t").recovering, "which is told");
    cluster.alive(2);
    assert_eq!(cluster.led("t").0, -1);
    cluster.alive(1);
    assert_eq!(cluster.led("t"), (1, vec![1]));
    propose(&mut cluster, &[1, 2]).unwrap();
    assert!(!cluster.partition("t").recovering);
}

#[test]
fn a_crash_makes_an_eligible_replica_lead() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2, 3]);
    cluster.set_topic_config("t", "min.insync.replicas", "2");
    propose(&mut cluster, &[1, 2]).unwrap();
    kill(&mut cluster, 2);
    kill(&mut cluster, 1);
    assert_eq!(cluster.holders("t"), [vec![1], vec![2], vec![]]);
    cluster.register(1, 901).unwrap();
    assert_eq!(cluster.holders("t"), [vec![2], vec![], vec![1]], "2 holds all, wherever it is");
    cluster.alive(1);
    assert_eq!(cluster.led("t").0, -1);
    cluster.alive(2);
    assert_eq!(cluster.led("t"), (2, vec![2]));
}

#[test]
fn who_ended_in_order_stays_eligible() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2, 3]);
    cluster.set_topic_config("t", "min.insync.replicas", "2");
    let epochs = [3, 2, 1].map(|id| kill(&mut cluster, id));
    cluster.register_again(2, 902, epochs[1]).unwrap();
    assert_eq!(cluster.holders("t"), [vec![1], vec![2], vec![]]);
    cluster.alive(2);
    assert_eq!((cluster.led("t"), cluster.holders("t")[1].clone()), ((2, vec![2]), vec![1]));
}

#[test]
fn a_leader_that_stopped_in_order_but_crashed_later_leads_in_a_new_epoch() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 1, 1);
    let epoch = cluster.epoch(1);
    assert!(cluster.beat(1, epoch, false, true).unwrap().should_shut_down);
    assert_eq!(cluster.led("t"), (1, vec![1]));
    cluster.register(1, 999).unwrap();
    assert_eq!(cluster.led("t"), (-1, vec![1]));
    cluster.alive(1);
    let partition = cluster.partition("t");
    assert_eq!((partition.leader.0, partition.leader_epoch.0, partition.recovering), (1, 2, false));
}

#[test]
fn a_broker_is_let_in_when_it_knows_of_its_registration() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 3, 1);
    let epoch = cluster.register(2, 102).unwrap();
    let beat = |cluster: &mut Cluster, current_metadata_offset: i64| {
        let state = cluster.beat_with(BrokerHeartbeatRequest {
            broker_id: 2,
            broker_epoch: epoch,
            current_metadata_offset,
            ..Default::default()
        });
        let state = state.unwrap();
        (state.caught_up, state.fenced)
    };
    let registered_at = cluster.offset();
    assert_eq!(beat(&mut cluster, registered_at - 1), (false, true));
    assert_eq!(beat(&mut cluster, registered_at), (true, false));
    // A later controller knows only that the registration is older than itself.
    cluster.fence(2);
    cluster.soft = Soft::default();
    let now = cluster.offset();
    assert_eq!(beat(&mut cluster, now - 1), (false, true));
    assert_eq!(beat(&mut cluster, now), (true, false));
}

#[test]
fn a_broker_that_will_not_come_back_is_forgotten_but_not_what_only_it_holds() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2]);
    let unregister = |cluster: &mut Cluster, broker_id: i32| {
        let request = UnregisterBrokerRequest {
            broker_id,
            ..Default::default()
        };
        let ControllerReply::UnregisterBroker(reply) = cluster.ask(ControllerRequest::UnregisterBroker(request)) else {
            unreachable!()
        };
        reply.map_err(|refusal| refusal.to_string())
    };
    assert_eq!(
        unregister(&mut cluster, 9),
        Err("Broker ID 9 is not currently registered".to_owned())
    );
    let epoch = kill(&mut cluster, 1);
    unregister(&mut cluster, 1).unwrap();
    assert!(cluster.image.broker(BrokerId(1)).is_none());
    assert_eq!(cluster.led("t"), (2, vec![2]));
    assert_eq!(cluster.beat(1, epoch, false, false).unwrap_err().code, ErrorCode::StaleBrokerEpoch);
    kill(&mut cluster, 2);
    unregister(&mut cluster, 2).unwrap();
    assert_eq!(cluster.led("t"), (-1, vec![2]));
    // A leader takes a lower epoch for that of an earlier process. The clock of this controller is late.
    let epoch = cluster.image.brokers().last_epoch(BrokerId(2)).unwrap();
    cluster.now_ms -= 3_600_000;
    cluster.image = ClusterImage::from_records(&cluster.image.to_records());
    assert!(cluster.register(2, 902).unwrap() > epoch);
    cluster.alive(2);
    assert_eq!(cluster.led("t"), (2, vec![2]));
    assert_eq!(ClusterImage::from_records(&cluster.image.to_records()), cluster.image);
}
