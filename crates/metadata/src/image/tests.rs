//! Records in, image and delta out.

use std::sync::Arc;

use dohle_protocol::id::LeaderEpoch;
use uuid::Uuid;

use super::*;
use crate::config::resource::ConfigResource;
use crate::delta::{Delta, PartitionDelta};
use crate::record::{BrokerChangeRecord, PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord};

fn id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn topic(name: &str, number: u128) -> MetadataRecord {
    TopicRecord {
        name: name.to_owned(),
        topic_id: id(number).0,
        ..Default::default()
    }
    .into()
}

fn partition(number: u128, index: i32) -> MetadataRecord {
    let record = PartitionRecord {
        topic_id: id(number).0,
        partition_index: index,
        replicas: vec![1, 2],
        isr: vec![1, 2],
        leader: 1,
        ..Default::default()
    };
    record.into()
}

fn register(broker_id: i32, broker_epoch: i64) -> MetadataRecord {
    RegisterBrokerRecord {
        broker_id,
        broker_epoch,
        fenced: true,
        ..Default::default()
    }
    .into()
}

fn config(resource: &ConfigResource, name: &str, value: Option<&str>) -> MetadataRecord {
    resource.to_record(name, value).into()
}

fn remove(number: u128) -> MetadataRecord {
    RemoveTopicRecord {
        topic_id: id(number).0,
        ..Default::default()
    }
    .into()
}

/// Two brokers, two topics, a little configuration.
fn small_cluster() -> ClusterImage {
    let topic_a = ConfigResource::Topic("a".to_owned());
    ClusterImage::from_records(&[
        register(1, 10),
        register(2, 20),
        topic("b", 2),
        topic("a", 1),
        partition(1, 0),
        partition(1, 1),
        partition(2, 0),
        config(&topic_a, "retention.ms", Some("1")),
        config(&ConfigResource::Broker(None), "log.retention.ms", Some("2")),
    ])
}

fn after(image: &ClusterImage, records: &[MetadataRecord]) -> ClusterImage {
    let mut image = image.clone();
    records.iter().for_each(|record| image.apply(record));
    image
}

#[test]
fn topics_are_found_by_name_and_id_and_listed_in_order() {
    let image = small_cluster();
    assert_eq!(image.topics().iter().map(|topic| &*topic.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(image.topics().iter_from("aa").map(|topic| &*topic.name).collect::<Vec<_>>(), ["b"]);
    assert_eq!(image.topic("b").unwrap().id, id(2));
    assert_eq!(&*image.topic_by_id(id(1)).unwrap().name, "a");
    assert!(image.topic("c").is_none() && image.topic_by_id(id(3)).is_none());
}

#[test]
fn a_change_of_a_partition_counts_epochs() {
    let change = PartitionChangeRecord {
        topic_id: id(1).0,
        partition_index: 1,
        isr: Some(vec![2]),
        ..Default::default()
    };
    let image = after(&small_cluster(), &[change.into()]);
    let partition = image.partition("a", PartitionIndex(1)).unwrap();
    assert_eq!(
        (partition.leader, partition.leader_epoch, partition.partition_epoch),
        (BrokerId(1), LeaderEpoch(0), 1)
    );
    let change = PartitionChangeRecord {
        topic_id: id(1).0,
        partition_index: 1,
        leader: 1,
        ..Default::default()
    };
    let image = after(&image, &[change.into()]);
    let partition = image.partition("a", PartitionIndex(1)).unwrap();
    assert_eq!(
        (partition.leader_epoch, partition.partition_epoch, partition.isr.as_slice()),
        (LeaderEpoch(1), 2, &[BrokerId(2)][..])
    );
}

#[test]
fn a_snapshot_makes_the_image_again() {
    let image = small_cluster();
    assert_eq!(ClusterImage::from_records(&image.to_records()), image);
    assert_eq!(ClusterImage::default().to_records(), []);
}

#[test]
#[should_panic(expected = "a partition belongs to a topic that exists")]
fn a_record_that_contradicts_the_image_is_not_applied() {
    small_cluster().apply(&partition(9, 0));
}

#[test]
fn a_delta_says_what_a_broker_has_to_do() {
    let before = small_cluster();
    let topic_b = ConfigResource::Topic("b".to_owned());
    let change = PartitionChangeRecord {
        topic_id: id(1).0,
        partition_index: 1,
        leader: 2,
        ..Default::default()
    };
    let unfence = BrokerChangeRecord {
        broker_id: 2,
        broker_epoch: 20,
        fenced: -1,
        ..Default::default()
    };
    let now = after(
        &before,
        &[
            change.into(),
            topic("c", 3),
            partition(3, 0),
            config(&topic_b, "segment.ms", Some("9")),
            config(&ConfigResource::Broker(None), "log.retention.ms", None),
            unfence.into(),
        ],
    );
    let delta = Delta::between(&before, &now);
    let changed = PartitionDelta {
        topic: Arc::from("a"),
        topic_id: id(1),
        index: PartitionIndex(1),
        before: before.partition("a", PartitionIndex(1)).cloned(),
        now: now.partition("a", PartitionIndex(1)).unwrap().clone(),
    };
    assert_eq!(delta.partitions[0], changed);
    assert_eq!(
        (delta.partitions[0].now.leader, delta.partitions[0].now.leader_epoch),
        (BrokerId(2), LeaderEpoch(1))
    );
    let new = &delta.partitions[1];
    assert_eq!(
        (&*new.topic, new.index, &new.before, delta.partitions.len()),
        ("c", PartitionIndex(0), &None, 2)
    );
    assert_eq!(delta.topics_created, [now.topic("c").unwrap().clone()]);
    assert_eq!(delta.topics_deleted, []);
    assert_eq!(delta.topic_configs, [Arc::from("b")]);
    assert_eq!((delta.broker_configs, delta.brokers), (vec![None], vec![BrokerId(2)]));
}

#[test]
fn a_topic_that_is_deleted_and_created_again_is_another_one() {
    let before = small_cluster();
    let now = after(&before, &[remove(1), topic("a", 7), partition(7, 0)]);
    let delta = Delta::between(&before, &now);
    assert_eq!(delta.topics_deleted, [before.topic("a").unwrap().clone()]);
    assert_eq!(delta.topics_created, [now.topic("a").unwrap().clone()]);
    assert_eq!((delta.partitions.len(), delta.partitions[0].topic_id), (1, id(7)));
    assert_eq!(
        delta.topic_configs,
        [Arc::from("a")],
        "the new topic does not inherit a configuration"
    );
}

#[test]
fn a_deleted_topic_takes_everything_along() {
    let before = small_cluster();
    let now = after(&before, &[remove(1)]);
    let delta = Delta::between(&before, &now);
    assert_eq!(
        (delta.topics_deleted.len(), delta.partitions.len(), delta.topic_configs.len()),
        (1, 0, 0)
    );
    assert!(now.topic_config("a").is_empty());
    assert!(Delta::between(&now, &now.clone()).is_empty());
}
