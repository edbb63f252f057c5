//! Brokers that stop in order, one by one and all at once.

use super::*;

fn stop(cluster: &mut Cluster, id: i32) -> BrokerState {
    let epoch = cluster.epoch(id);
    cluster.beat(id, epoch, false, true).unwrap()
}

#[test]
fn a_broker_hands_over_before_it_stops() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[1, 2]);
    let stopping = BrokerState {
        caught_up: true,
        fenced: false,
        in_controlled_shutdown: true,
        should_shut_down: false,
    };
    assert_eq!(stop(&mut cluster, 1), stopping);
    assert_eq!(cluster.led("t"), (2, vec![2]));
    let result = cluster.create(topic("u", 1, 1));
    assert_eq!(result.error_code, 0);
    assert_eq!(cluster.led("u").0, 2, "nothing new on a broker that goes");
    assert_eq!(stop(&mut cluster, 1), stopping, "2 does not know yet that it leads");
    cluster.alive(2);
    let stopped = BrokerState {
        fenced: true,
        should_shut_down: true,
        ..stopping
    };
    assert_eq!(stop(&mut cluster, 1), stopped);
    assert_eq!(stop(&mut cluster, 1), stopped, "the answer was lost");
}

#[test]
fn a_broker_that_asks_again_before_it_was_answered_does_not_go_sooner() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[1, 2]);
    cluster.alive(2);
    let committed = Offset(cluster.offset());
    assert!(!stop(&mut cluster, 1).should_shut_down);
    // Decided with the one before, for the same entry.
    cluster.soft.reached(committed);
    let again = ControllerRequest::BrokerHeartbeat(BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch: cluster.epoch(1),
        want_shut_down: true,
        ..Default::default()
    });
    let decision = cluster
        .controller
        .decide(&cluster.image, &mut cluster.soft, cluster.now_ms, 0, again);
    let ControllerReply::BrokerHeartbeat(Ok(state)) = decision.reply else {
        unreachable!()
    };
    assert!(!state.should_shut_down, "2 does not know yet that it leads");
    cluster.alive(2);
    assert!(stop(&mut cluster, 1).should_shut_down);
}

#[test]
fn a_broker_without_replicas_stops_at_once() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[1]);
    assert!(stop(&mut cluster, 2).should_shut_down);
}

#[test]
fn what_nobody_else_can_lead_has_no_leader_as_long_as_there_is_somebody_to_know() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[1]);
    stop(&mut cluster, 1);
    assert_eq!(cluster.led("t"), (-1, vec![1]));
    cluster.alive(2);
    assert!(stop(&mut cluster, 1).should_shut_down);
}

#[test]
fn all_that_stop_at_once_get_out() {
    for min_insync_replicas in ["1", "2", "3"] {
        let mut cluster = Cluster::of(3);
        cluster.on_replicas(&[1, 2, 3]);
        cluster.set_topic_config("t", "min.insync.replicas", min_insync_replicas);
        cluster.topic("u", 12, 2);
        let mut out = Vec::new();
        for _round in 0..3 {
            for id in [1, 2, 3] {
                if stop(&mut cluster, id).should_shut_down && !out.contains(&id) {
                    out.push(id);
                }
            }
        }
        out.sort_unstable();
        assert_eq!(out, [1, 2, 3]);
        // The last one leads when it is back; the eligible ones may be first.
        let leader = cluster.partition("t").leader;
        assert_eq!(leader, BrokerId(3));
        let epochs = [1, 2].map(|id| cluster.epoch(id));
        cluster.register_again(1, 901, epochs[0]).unwrap();
        cluster.alive(1);
        let expected = if min_insync_replicas == "3" { 1 } else { -1 };
        assert_eq!(cluster.led("t").0, expected);
        cluster.register_again(2, 902, epochs[1]).unwrap();
        cluster.alive(2);
        let expected = ["1", "2", "3"]
            .iter()
            .position(|min| *min == min_insync_replicas)
            .map(|at| [-1, 2, 1][at]);
        assert_eq!(Some(cluster.led("t").0), expected);
    }
}

#[test]
fn a_controller_that_is_new_lets_a_stopping_broker_go_on() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[1, 2]);
    stop(&mut cluster, 1);
    cluster.soft = Soft::default();
    assert!(stop(&mut cluster, 1).should_shut_down);
}
