//! Replicas that may lead although they are not in sync, while nothing is committed (KIP-966).

use super::alter_partition::propose;
use super::*;

/// `t` on 1, 2 and 3, committed by two of them.
fn committed_by_two() -> Cluster {
    let mut cluster = Cluster::of(4);
    cluster.on_replicas(&[1, 2, 3]);
    cluster.set_topic_config("t", "min.insync.replicas", "2");
    cluster
}

#[test]
fn who_was_in_sync_when_commits_ended_is_eligible() {
    let mut cluster = committed_by_two();
    propose(&mut cluster, &[1, 2]).unwrap();
    assert_eq!(cluster.holders("t"), [vec![1, 2], vec![], vec![]]);
    propose(&mut cluster, &[1]).unwrap();
    assert_eq!(cluster.holders("t"), [vec![1], vec![2], vec![]]);
    // Nobody who was in sync is left, but 2 holds as much.
    cluster.fence(1);
    assert_eq!(cluster.led("t"), (2, vec![2]));
    assert_eq!(cluster.holders("t"), [vec![2], vec![1], vec![]]);
    assert!(!cluster.partition("t").recovering);
    // Commits go on, and nobody else is eligible any more.
    propose(&mut cluster, &[2, 3]).unwrap();
    assert_eq!(cluster.holders("t"), [vec![2, 3], vec![], vec![]]);
}

#[test]
fn when_all_are_gone_the_first_that_holds_all_leads() {
    let mut cluster = committed_by_two();
    for id in [3, 2, 1] {
        cluster.fence(id);
    }
    assert_eq!((cluster.led("t"), cluster.holders("t")[1].clone()), ((-1, vec![1]), vec![2]));
    cluster.alive(3);
    assert_eq!(cluster.led("t"), (-1, vec![1]), "3 may have missed what 1 and 2 committed");
    cluster.alive(2);
    assert_eq!((cluster.led("t"), cluster.holders("t")[1].clone()), ((2, vec![2]), vec![1]));
}

#[test]
fn where_one_commits_nobody_else_is_eligible() {
    let mut cluster = Cluster::of(3);
    cluster.on_replicas(&[1, 2, 3]);
    for id in [3, 2, 1] {
        cluster.fence(id);
    }
    assert_eq!(cluster.holders("t"), [vec![1], vec![], vec![]]);
    cluster.alive(2);
    assert_eq!(cluster.led("t"), (-1, vec![1]));
}

#[test]
fn no_more_replicas_can_be_demanded_than_there_are() {
    let mut cluster = Cluster::of(2);
    cluster.on_replicas(&[1, 2]);
    cluster.set_topic_config("t", "min.insync.replicas", "3");
    propose(&mut cluster, &[1]).unwrap();
    assert_eq!(cluster.holders("t"), [vec![1], vec![2], vec![]]);
    propose(&mut cluster, &[1, 2]).unwrap();
    assert_eq!(cluster.holders("t"), [vec![1, 2], vec![], vec![]]);
}

#[test]
fn a_lower_minimum_ends_eligibility_at_once_and_a_higher_one_grants_none() {
    for broker_wide in [false, true] {
        let mut cluster = Cluster::of(3);
        cluster.on_replicas(&[1, 2, 3]);
        let set = |cluster: &mut Cluster, value: &str| {
            let (resource, name) = if broker_wide { (4, "") } else { (2, "t") };
            let outcome = cluster.set_config(resource, name, &[("min.insync.replicas", 0, Some(value))]);
            assert_eq!(outcome.0, ErrorCode::None, "{}", outcome.1);
        };
        set(&mut cluster, "2");
        propose(&mut cluster, &[1, 2]).unwrap();
        set(&mut cluster, "3");
        assert_eq!(cluster.holders("t"), [vec![1, 2], vec![], vec![]]);
        propose(&mut cluster, &[1]).unwrap();
        assert_eq!(cluster.holders("t"), [vec![1], vec![2], vec![]]);
        set(&mut cluster, "2");
        assert_eq!(cluster.holders("t"), [vec![1], vec![2], vec![]]);
        set(&mut cluster, "1");
        assert_eq!(cluster.holders("t"), [vec![1], vec![], vec![]]);
        cluster.fence(1);
        assert_eq!(cluster.led("t"), (-1, vec![1]));
    }
}
