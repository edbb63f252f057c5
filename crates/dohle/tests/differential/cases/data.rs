//! Produce, fetch, offsets, epochs, producers.

use super::Definition;
use super::admin::{create_topic, topic_id};
use super::render::show;
use crate::peer::Peer;
use bytes::Bytes;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::compression::Compression;
use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use dohle_protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use dohle_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use dohle_protocol::messages::init_producer_id::InitProducerIdRequest;
use dohle_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use dohle_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic};
use dohle_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use dohle_protocol::{ApiKey, ErrorCode};

pub(super) const CASES: &[Definition] = &[
    ("produce", ApiKey::Produce, produce_well),
    ("produce-unknown", ApiKey::Produce, produce_unknown),
    ("produce-acks-2", ApiKey::Produce, |peer, version| {
        produce_shown(peer, version, 2, batch(1))
    }),
    ("produce-flipped-bit", ApiKey::Produce, |peer, version| {
        produce_damaged(peer, version, |batch| batch[80] ^= 1)
    }),
    ("produce-magic-1", ApiKey::Produce, |peer, version| {
        produce_damaged(peer, version, |batch| batch[16] = 1)
    }),
    ("produce-control", ApiKey::Produce, |peer, version| {
        produce_shown(peer, version, -1, builder(1).control().build())
    }),
    ("produce-too-large", ApiKey::Produce, produce_too_large),
    ("produce-sequences", ApiKey::Produce, produce_sequences),
    ("fetch", ApiKey::Fetch, fetch_well),
    ("fetch-out-of-range", ApiKey::Fetch, fetch_out_of_range),
    ("fetch-epochs", ApiKey::Fetch, fetch_epochs),
    ("fetch-sessions", ApiKey::Fetch, fetch_sessions),
    ("list-offsets", ApiKey::ListOffsets, list_offsets_well),
    ("list-offsets-errors", ApiKey::ListOffsets, list_offsets_errors),
    ("offset-for-leader-epoch", ApiKey::OffsetForLeaderEpoch, offset_for_leader_epoch),
    ("delete-records", ApiKey::DeleteRecords, delete_records),
    ("init-producer-id", ApiKey::InitProducerId, init_producer_id),
    ("describe-producers", ApiKey::DescribeProducers, describe_producers),
];

/// Records with fixed timestamps one second apart.
fn builder(records: i64) -> RecordBatchBuilder {
    let mut builder = RecordBatchBuilder::new();
    for number in 0..records {
        builder.append(1_700_000_000_000 + number * 1000, Some(b"key"), Some(b"value"), &[]);
    }
    builder
}

fn batch(records: i64) -> Bytes {
    builder(records).build()
}

fn produce(peer: &mut Peer, version: i16, target: (&str, i32), acks: i16, records: Bytes) -> String {
    let (topic, partition) = target;
    let request = ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            topic_id: id_in(peer, version, topic),
            partition_data: vec![PartitionProduceData {
                index: partition,
                records: Some(records),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    show(&peer.call(version, &request))
}

/// The id by which versions 13 and later of Produce and Fetch name a topic; some unknown id for a topic that does not exist.
fn id_in(peer: &mut Peer, version: i16, topic: &str) -> uuid::Uuid {
    match version {
        13.. => topic_id(peer, topic).unwrap_or(uuid::Uuid::from_u128(77)),
        _ => uuid::Uuid::nil(),
    }
}

fn produce_shown(peer: &mut Peer, version: i16, acks: i16, records: Bytes) -> String {
    create_topic(peer, "produce-shown", 1, &[]);
    produce(peer, version, ("produce-shown", 0), acks, records)
}

fn produce_well(peer: &mut Peer, version: i16) -> String {
    let topic = format!("produce-well-{version}");
    create_topic(peer, &topic, 1, &[]);
    let mut answers = String::new();
    for codec in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let records = builder(3).compression(codec, None).build();
        answers += &produce(peer, version, (&topic, 0), -1, records.clone());
        answers += &produce(peer, version, (&topic, 0), 1, records);
    }
    let append_time = format!("produce-append-time-{version}");
    create_topic(peer, &append_time, 1, &[("message.timestamp.type", "LogAppendTime")]);
    answers + &produce(peer, version, (&append_time, 0), -1, batch(2))
}

fn produce_unknown(peer: &mut Peer, version: i16) -> String {
    create_topic(peer, "produce-shown", 1, &[]);
    produce(peer, version, ("nowhere", 0), -1, batch(1))
        + &produce(peer, version, ("produce-shown", 999), -1, batch(1))
        + &produce(peer, version, ("produce-shown", -1), -1, batch(1))
}

fn produce_damaged(peer: &mut Peer, version: i16, damage: fn(&mut [u8])) -> String {
    let mut records = batch(2).to_vec();
    damage(&mut records);
    produce_shown(peer, version, -1, records.into())
}

fn produce_too_large(peer: &mut Peer, version: i16) -> String {
    create_topic(peer, "produce-small", 1, &[("max.message.bytes", "100")]);
    produce(peer, version, ("produce-small", 0), -1, batch(10))
}

/// In order, repeats, a gap, an older epoch, a newer epoch that does not start at 0, and one that does.
fn produce_sequences(peer: &mut Peer, version: i16) -> String {
    let topic = format!("produce-sequences-{version}");
    create_topic(peer, &topic, 1, &[]);
    let id = init_producer(peer);
    let mut answers = String::new();
    for (epoch, sequence) in [(1, 0), (1, 2), (1, 2), (1, 0), (1, 9), (0, 4), (2, 5), (2, 0)] {
        let records = builder(2).producer(id, ProducerEpoch(epoch), sequence).build();
        answers += &produce(peer, version, (&topic, 0), -1, records);
    }
    answers
}

fn init_producer(peer: &mut Peer) -> ProducerId {
    let request = InitProducerIdRequest {
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    loop {
        let answer = peer.call(4, &request).expect("an answer");
        // A real node first has to fetch a block of ids.
        if answer.error_code != ErrorCode::CoordinatorLoadInProgress.code() {
            assert_eq!(answer.error_code, 0);
            return ProducerId(answer.producer_id);
        }
    }
}

/// What a fetch asks of one partition.
#[derive(Clone, Copy)]
struct Position {
    partition: i32,
    offset: i64,
    epoch: i32,
    max_bytes: i32,
}

fn at(offset: i64) -> Position {
    Position {
        partition: 0,
        offset,
        epoch: -1,
        max_bytes: 1 << 20,
    }
}

fn fetch_request(peer: &mut Peer, version: i16, topic: &str, positions: &[Position]) -> FetchRequest {
    let partitions = positions.iter().map(|position| FetchPartition {
        partition: position.partition,
        fetch_offset: position.offset,
        current_leader_epoch: position.epoch,
        partition_max_bytes: position.max_bytes,
        ..Default::default()
    });
    let topic = FetchTopic {
        topic: topic.into(),
        topic_id: id_in(peer, version, topic),
        partitions: partitions.collect(),
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 0,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

fn fetch(peer: &mut Peer, version: i16, topic: &str, positions: &[Position]) -> String {
    let request = fetch_request(peer, version, topic, positions);
    show(&peer.call(version, &request))
}

/// A topic of two partitions with ten batches of two records in the first.
fn filled_topic(peer: &mut Peer, topic: &str) {
    if create_topic(peer, topic, 2, &[]) {
        for _ in 0..10 {
            produce(peer, 9, (topic, 0), -1, batch(2));
        }
    }
}

fn fetch_well(peer: &mut Peer, version: i16) -> String {
    filled_topic(peer, "fetch-well");
    let small = Position { max_bytes: 1, ..at(3) };
    let other = Position { partition: 1, ..at(0) };
    let mut answers = String::new();
    for positions in [&[at(0)][..], &[at(5), other], &[other, small], &[at(20)]] {
        answers += &fetch(peer, version, "fetch-well", positions);
    }
    let mut committed = fetch_request(peer, version, "fetch-well", &[at(18)]);
    committed.isolation_level = 1;
    answers + &show(&peer.call(version, &committed))
}

fn fetch_out_of_range(peer: &mut Peer, version: i16) -> String {
    filled_topic(peer, "fetch-well");
    let unknown = Position { partition: 9, ..at(0) };
    let mut answers = String::new();
    for position in [at(21), at(-5), unknown] {
        answers += &fetch(peer, version, "fetch-well", &[position]);
    }
    answers + &fetch(peer, version, "nowhere", &[at(0)])
}

fn fetch_epochs(peer: &mut Peer, version: i16) -> String {
    filled_topic(peer, "fetch-well");
    if version < 9 {
        return String::new();
    }
    fetch(peer, version, "fetch-well", &[Position { epoch: 0, ..at(0) }])
        + &fetch(peer, version, "fetch-well", &[Position { epoch: 5, ..at(0) }])
}

/// A new session, an empty increment, one with news, a wrong epoch, an unknown session.
fn fetch_sessions(peer: &mut Peer, version: i16) -> String {
    if version < 7 {
        return String::new();
    }
    let topic = format!("fetch-sessions-{version}");
    filled_topic(peer, &topic);
    let mut request = fetch_request(peer, version, &topic, &[at(20), Position { partition: 1, ..at(0) }]);
    request.session_epoch = 0;
    let first = peer.call(version, &request);
    let mut answers = show(&first);
    request.session_id = first.expect("an answer").session_id;
    request.topics.clear();
    for epoch in [1, 2, 9] {
        if epoch == 2 {
            produce(peer, 9, (&topic, 1), -1, batch(1));
        }
        request.session_epoch = epoch;
        answers += &show(&peer.call(version, &request));
    }
    request.session_id = 123_456_789;
    answers + &show(&peer.call(version, &request))
}

fn list_offsets(peer: &mut Peer, version: i16, target: (&str, i32), epoch: i32, timestamp: i64) -> String {
    let (topic, partition_index) = target;
    let partition = ListOffsetsPartition {
        partition_index,
        current_leader_epoch: epoch,
        timestamp,
        ..Default::default()
    };
    let topic = ListOffsetsTopic {
        name: topic.into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![topic],
        timeout_ms: 1000,
        ..Default::default()
    };
    format!("{timestamp} {}", show(&peer.call(version, &request)))
}

fn list_offsets_well(peer: &mut Peer, version: i16) -> String {
    filled_topic(peer, "fetch-well");
    let timestamps = [
        -1,
        -2,
        -3,
        -4,
        -5,
        -6,
        -7,
        0,
        1_700_000_000_000,
        1_700_000_000_500,
        1_700_000_001_000,
        1_700_000_001_001,
    ];
    let mut answers = String::new();
    for timestamp in timestamps {
        answers += &list_offsets(peer, version, ("fetch-well", 0), -1, timestamp);
        answers += &list_offsets(peer, version, ("fetch-well", 1), -1, timestamp);
    }
    answers
}

fn list_offsets_errors(peer: &mut Peer, version: i16) -> String {
    filled_topic(peer, "fetch-well");
    let mut answers = list_offsets(peer, version, ("nowhere", 0), -1, -1) + &list_offsets(peer, version, ("fetch-well", 9), -1, -1);
    if version >= 4 {
        answers += &list_offsets(peer, version, ("fetch-well", 0), 0, -1);
        answers += &list_offsets(peer, version, ("fetch-well", 0), 7, -1);
    }
    answers
}

fn offset_for_leader_epoch(peer: &mut Peer, version: i16) -> String {
    filled_topic(peer, "fetch-well");
    let mut answers = String::new();
    for (partition, current_leader_epoch, leader_epoch) in [(0, -1, 0), (0, -1, 5), (0, 0, 0), (0, 3, 0), (1, -1, 0), (8, -1, 0)] {
        let partition = OffsetForLeaderPartition {
            partition,
            current_leader_epoch,
            leader_epoch,
            ..Default::default()
        };
        let topic = OffsetForLeaderTopic {
            topic: "fetch-well".into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics: vec![topic],
            ..Default::default()
        };
        answers += &show(&peer.call(version, &request));
    }
    answers
}

fn delete_records(peer: &mut Peer, version: i16) -> String {
    let topic = format!("delete-records-{version}");
    filled_topic(peer, &topic);
    let mut answers = String::new();
    for (name, partition_index, offset) in [
        (topic.as_str(), 0, 3),
        (&topic, 0, 1),
        (&topic, 0, 99),
        (&topic, 0, -2),
        (&topic, 0, -1),
        (&topic, 7, 0),
        ("nowhere", 0, 0),
    ] {
        let partition = DeleteRecordsPartition {
            partition_index,
            offset,
            ..Default::default()
        };
        let wanted = DeleteRecordsTopic {
            name: name.into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = DeleteRecordsRequest {
            topics: vec![wanted],
            timeout_ms: 10_000,
            ..Default::default()
        };
        answers += &show(&peer.call(version, &request));
    }
    answers + &list_offsets(peer, 5, (&topic, 0), -1, -2)
}

fn init_producer_id(peer: &mut Peer, version: i16) -> String {
    let fresh = InitProducerIdRequest {
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let first = peer.call(version, &fresh);
    let mut answers = show(&first);
    if version >= 3 {
        let producer_id = first.expect("an answer").producer_id;
        for producer_epoch in [0, -1] {
            answers += &show(&peer.call(
                version,
                &InitProducerIdRequest {
                    producer_id,
                    producer_epoch,
                    ..fresh.clone()
                },
            ));
        }
    }
    answers
}

fn describe_producers(peer: &mut Peer, version: i16) -> String {
    create_topic(peer, "producers", 1, &[]);
    let id = init_producer(peer);
    produce(peer, 9, ("producers", 0), -1, builder(4).producer(id, ProducerEpoch(0), 0).build());
    let topics = vec![
        TopicRequest {
            name: "producers".into(),
            partition_indexes: vec![0, 5],
            ..Default::default()
        },
        TopicRequest {
            name: "nowhere".into(),
            partition_indexes: vec![0],
            ..Default::default()
        },
    ];
    show(&peer.call(
        version,
        &DescribeProducersRequest {
            topics,
            ..Default::default()
        },
    ))
}
