//! Records to bytes and back.

use super::*;
use dohle_protocol::wire::TaggedFields;
use uuid::Uuid;

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
