//! Replicas and racks.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A broker for each rack name.
fn in_racks(racks: &[Option<&str>]) -> Cluster {
    let mut cluster = Cluster::of(0);
    for (id, rack) in (1..).zip(racks) {
        let request = BrokerRegistrationRequest {
            rack: rack.map(str::to_owned),
            ..registration(id, id as u128)
        };
        cluster.register_with(request).unwrap();
        cluster.alive(id);
    }
    cluster
}

fn replicas_of(cluster: &Cluster) -> Vec<Vec<i32>> {
    let topic = cluster.image.topic("t").unwrap();
    topic
        .partitions
        .values()
        .map(|it| crate::image::topics::raw_ids(&it.replicas))
        .collect()
}

#[test]
fn the_replicas_of_a_partition_are_in_different_racks() {
    let racks = [Some("a"), Some("a"), Some("b"), Some("b"), Some("c"), Some("c")];
    for seed in 0..20 {
        let mut cluster = in_racks(&racks);
        cluster.seed = seed * 1000;
        cluster.topic("t", 18, 3);
        let mut leaders = BTreeMap::new();
        for replicas in replicas_of(&cluster) {
            let of: BTreeSet<_> = replicas.iter().map(|id| racks[*id as usize - 1]).collect();
            assert_eq!(of.len(), 3, "{replicas:?}");
            *leaders.entry(replicas[0]).or_insert(0) += 1;
        }
        assert!(leaders.len() == 6 && leaders.values().all(|count| *count == 3), "{leaders:?}");
    }
}

#[test]
fn more_replicas_than_racks_are_spread_and_never_on_one_broker_twice() {
    for seed in 0..20 {
        let mut cluster = in_racks(&[Some("a"), Some("a"), Some("a"), Some("b"), None]);
        cluster.seed = seed * 1000;
        cluster.topic("t", 10, 5);
        for replicas in replicas_of(&cluster) {
            let distinct: BTreeSet<_> = replicas.iter().collect();
            assert_eq!((replicas.len(), distinct.len()), (5, 5), "{replicas:?}");
            let first_three: BTreeSet<_> = replicas[..3].iter().map(|id| (*id).clamp(3, 5)).collect();
            assert_eq!(first_three.len(), 3, "{replicas:?}");
        }
    }
}

#[test]
fn a_fenced_broker_leads_nothing_new_and_comes_after_the_others_of_its_rack() {
    for seed in 0..20 {
        let mut cluster = in_racks(&[Some("a"), Some("a"), Some("b"), Some("b"), Some("c")]);
        cluster.seed = seed * 1000;
        cluster.fence(1);
        cluster.fence(5);
        cluster.topic("t", 12, 3);
        for replicas in replicas_of(&cluster) {
            assert!(![1, 5].contains(&replicas[0]), "{replicas:?}");
            assert!(!replicas.contains(&1), "2 is there: {replicas:?}");
            assert!(replicas.contains(&5), "there is nobody else in its rack: {replicas:?}");
        }
    }
}

#[test]
fn one_rack_is_as_good_as_none() {
    let place = |racks: &[Option<&str>]| {
        let mut cluster = in_racks(racks);
        cluster.topic("t", 9, 2);
        replicas_of(&cluster)
    };
    assert_eq!(place(&[Some("a"); 3]), place(&[None; 3]));
}
