//! Internal topics and the number of brokers.

use super::*;
use crate::controller::internal_topics::internal_replication_factor;
use crate::topic_name::CONSUMER_OFFSETS;

#[test]
fn an_internal_topic_has_as_many_replicas_as_there_are_brokers_up_to_three() {
    for (brokers, configured, factor) in [
        (0, None, 1),
        (1, None, 1),
        (2, None, 2),
        (3, None, 3),
        (5, None, 3),
        (5, Some(4), 4),
    ] {
        let cluster = Cluster::of(brokers);
        assert_eq!(internal_replication_factor(&cluster.image, configured), factor);
    }
}

#[test]
fn an_internal_topic_grows_with_the_cluster() {
    let mut cluster = Cluster::of(1);
    cluster.topic(CONSUMER_OFFSETS, 6, 1);
    cluster.topic("t", 1, 1);
    for id in [2, 3, 4] {
        let epoch = cluster.register(id, 100 + id as u128).unwrap();
        cluster.beat(id, epoch, false, false).unwrap();
        let wanted = id.min(3) as usize;
        let topic = cluster.image.topic(CONSUMER_OFFSETS).unwrap();
        assert_eq!(topic.replication_factor(), wanted);
        for partition in topic.partitions.values() {
            assert_eq!(partition.replicas.len(), wanted);
            assert_eq!(
                (partition.leader.0, partition.removing_replicas.len()),
                (1, 0),
                "nothing is lost on the way"
            );
            assert!(partition.is_reassigning());
        }
    }
    let first: std::collections::BTreeSet<i32> = cluster
        .image
        .topic(CONSUMER_OFFSETS)
        .unwrap()
        .partitions
        .values()
        .map(|it| it.replicas[0].0)
        .collect();
    assert!(first.len() > 1, "others lead some of them later");
    assert_eq!(cluster.partition("t").replicas, ids(&[1]));
}

#[test]
fn an_internal_topic_does_not_grow_beyond_what_is_configured() {
    for (configured, replicas) in [("1", 1), ("2", 2), ("4", 4)] {
        let mut cluster = Cluster::of(1);
        let key = "offsets.topic.replication.factor".to_owned();
        cluster.controller.file.insert(key, configured.to_owned());
        cluster.topic(CONSUMER_OFFSETS, 1, 1);
        for id in 2..=5 {
            let epoch = cluster.register(id, 100 + id as u128).unwrap();
            cluster.beat(id, epoch, false, false).unwrap();
        }
        assert_eq!(cluster.partition(CONSUMER_OFFSETS).replicas.len(), replicas);
    }
}
