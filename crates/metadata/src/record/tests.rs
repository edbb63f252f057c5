//! Records to bytes and back.

use dohle_protocol::id::BrokerId;
use dohle_protocol::wire::TaggedFields;
use uuid::Uuid;

use super::*;
use crate::image::ClusterImage;
use crate::image::topics::PartitionImage;

const AN_ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);

fn one_of_each() -> Vec<MetadataRecord> {
    [of_topics(), of_brokers(), of_the_cluster()].concat()
}

fn of_topics() -> Vec<MetadataRecord> {
    vec![
        TopicRecord {
            name: "a.b".to_owned(),
            topic_id: AN_ID,
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
        PartitionRecord {
            topic_id: AN_ID,
            partition_index: 3,
            replicas: vec![1, 2, 3],
            isr: vec![2, 3],
            leader: 2,
            leader_epoch: 5,
            partition_epoch: 7,
            adding_replicas: vec![1],
            removing_replicas: vec![2],
            eligible_leader_replicas: vec![1],
            last_known_elr: vec![4],
            leader_recovery_state: 1,
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
        PartitionChangeRecord {
            topic_id: AN_ID,
            partition_index: 3,
            isr: Some(vec![3]),
            leader: 3,
            adding_replicas: Some(vec![1]),
            removing_replicas: Some(vec![]),
            eligible_leader_replicas: Some(vec![2]),
            last_known_elr: Some(vec![1]),
            leader_recovery_state: 0,
            ..Default::default()
        }
        .into(),
        RemoveTopicRecord {
            topic_id: AN_ID,
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
        ConfigRecord {
            resource_type: 2,
            resource_name: "a.b".to_owned(),
            name: "retention.ms".to_owned(),
            value: None,
            ..Default::default()
        }
        .into(),
    ]
}

fn of_brokers() -> Vec<MetadataRecord> {
    vec![
        RegisterBrokerRecord {
            broker_id: 1,
            incarnation_id: AN_ID,
            broker_epoch: 1_700_000_000_000,
            endpoints: vec![BrokerEndpoint {
                name: "PLAINTEXT".to_owned(),
                host: "::1".to_owned(),
                port: 65535,
                ..Default::default()
            }],
            rack: Some("r".to_owned()),
            fenced: true,
            in_controlled_shutdown: false,
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
        BrokerChangeRecord {
            broker_id: 1,
            broker_epoch: 2,
            fenced: -1,
            in_controlled_shutdown: 1,
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
        UnregisterBrokerRecord {
            broker_id: 1,
            broker_epoch: 2,
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
        ProducerIdsRecord {
            broker_id: 1,
            broker_epoch: 2,
            next_producer_id: 3000,
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
    ]
}

fn of_the_cluster() -> Vec<MetadataRecord> {
    vec![
        ClusterRecord {
            cluster_id: "MkU3OEVBNTcwNTJENDM2Qk".to_owned(),
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
        FeatureLevelRecord {
            name: "dohle.metadata".to_owned(),
            level: 1,
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
        NoOpRecord {
            unknown_tagged_fields: TaggedFields::default(),
        }
        .into(),
    ]
}

#[test]
fn records_survive_encoding() {
    for record in one_of_each() {
        assert_eq!(MetadataRecord::decode(&record.encode().unwrap()).unwrap(), record);
    }
}

#[test]
fn the_bytes_of_a_record_do_not_change() {
    let change = PartitionChangeRecord {
        topic_id: Uuid::from_u128(1),
        partition_index: 2,
        leader: -1,
        ..Default::default()
    };
    let bytes = MetadataRecord::from(change).encode().unwrap();
    let id = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(bytes, [&[5, 1][..], &id, &[0, 0, 0, 2, 1, 1, 4, 255, 255, 255, 255]].concat());
}

#[test]
fn a_record_of_a_newer_program_is_refused_by_name() {
    let unknown = MetadataRecord::decode(&Bytes::from_static(&[200, 1, 0]));
    assert_eq!(unknown, Err(RecordError::NewerType(200)));
    let newer = MetadataRecord::decode(&Bytes::from_static(&[3, 1, 2, b'a'])).unwrap_err();
    assert_eq!(
        newer,
        RecordError::NewerVersion {
            record: "TopicRecord",
            version: 1,
            version_max: 0
        }
    );
    assert!(newer.to_string().contains("newer format"), "{newer}");
    let huge = MetadataRecord::decode(&Bytes::from_static(&[3, 0x80, 0x80, 0x04]));
    assert!(matches!(huge, Err(RecordError::NewerVersion { version: 65536, .. })), "{huge:?}");
}

#[test]
fn damaged_records_are_errors() {
    for record in one_of_each() {
        let good = record.encode().unwrap();
        for length in 0..good.len() {
            assert!(MetadataRecord::decode(&good.slice(..length)).is_err(), "{record:?} cut to {length}");
        }
        let longer = Bytes::from([good.as_ref(), &[0]].concat());
        assert!(
            matches!(MetadataRecord::decode(&longer), Err(RecordError::Trailing { bytes: 1, .. })),
            "{record:?}"
        );
    }
}

/// The metadata log of a node of an earlier release, record by record, in hexadecimal: two topics were created, one deleted, configurations
/// altered, producer ids given away, and the node was stopped in order.
const LOG_OF_VERSION_0: &str = include_str!("../../testdata/log-of-version-0.hex");

fn from_hex(line: &str) -> Bytes {
    let digits: Vec<u8> = line.bytes().map(|digit| (digit as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn a_log_of_an_earlier_release_is_read() {
    let records: Vec<MetadataRecord> = LOG_OF_VERSION_0
        .lines()
        .map(|line| MetadataRecord::decode(&from_hex(line)).unwrap())
        .collect();
    assert_eq!(records.len(), 15);
    let image = ClusterImage::from_records(&records);
    assert_eq!(image.cluster_id(), Some("qkQ4HoKZQcmCg0R-yR_fXw"));
    let names: Vec<&str> = image.topics().iter().map(|topic| &*topic.name).collect();
    assert_eq!(names, ["orders"]);
    let one = vec![BrokerId(1)];
    let partition = PartitionImage {
        replicas: one.clone(),
        isr: one,
        leader: BrokerId(1),
        ..PartitionImage::default()
    };
    let orders = image.topic("orders").unwrap();
    assert!(orders.partitions.values().eq([&partition, &partition]));
    assert_eq!(image.topic_config("orders").len(), 2);
    assert_eq!(image.configs().broker(None)["log.retention.ms"], "5000");
    let broker = image.broker(BrokerId(1)).unwrap();
    assert!(broker.fenced && broker.endpoint("PLAINTEXT").is_some_and(|endpoint| endpoint.port == 39092));
    assert_eq!(image.next_producer_id().0, 1000);
    assert_eq!(ClusterImage::from_records(&image.to_records()), image);
}

#[test]
fn a_change_of_a_partition_of_version_0_says_nothing_of_what_came_later() {
    let id = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let bytes = [&[5, 0][..], &id, &[0, 0, 0, 2, 2, 0, 5, 2, 0, 0, 0, 3, 1, 4, 0, 0, 0, 3]].concat();
    let change = PartitionChangeRecord {
        topic_id: Uuid::from_u128(1),
        partition_index: 2,
        isr: Some(vec![3]),
        leader: 3,
        ..Default::default()
    };
    assert_eq!(MetadataRecord::decode(&Bytes::from(bytes)), Ok(change.into()));
}
