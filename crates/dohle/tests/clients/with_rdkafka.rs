//! librdkafka: writes, reads by assignment, administers.

use crate::harness::Node;
use crate::row::{Row, now_ms, rows};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(60);
const RECORDS: usize = 100;

/// Settings of any client; it comes back soon when the node does.
pub(crate) fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config.set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "100");
    config
}

pub(crate) fn producer(address: &str, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = config(address);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().expect("a producer")
}

/// A consumer that reads partitions, each from an offset on.
pub(crate) fn consumer(address: &str, partitions: &[(&str, i32, i64)], settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = config(address);
    // The crate wants a group even for consumers that assign.
    config
        .set("group.id", "none")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    for (topic, partition, offset) in partitions {
        assignment.add_partition_offset(topic, *partition, Offset::Offset(*offset)).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    consumer
}

/// The next record; a node that is away for a while is no reason to give up.
pub(crate) fn next(consumer: &BaseConsumer) -> BorrowedMessage<'_> {
    let began = Instant::now();
    loop {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => return message,
            None
            | Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown))) => {}
            Some(Err(error)) => panic!("{error}"),
        }
        assert!(began.elapsed() < TIMEOUT, "no record comes");
    }
}

pub(crate) fn as_row(message: &BorrowedMessage<'_>) -> Row {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Row {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect(),
        timestamp_ms: message.timestamp().to_millis().expect("a timestamp"),
    }
}

/// Writes rows to partition 0, in order.
pub(crate) async fn write(address: &str, topic: &str, codec: &str, rows: &[Row]) {
    let producer = producer(address, &[("compression.codec", codec), ("linger.ms", "5"), ("acks", "all")]);
    let mut deliveries = Vec::new();
    for row in rows {
        let mut record = FutureRecord::<[u8], [u8]>::to(topic).partition(0).timestamp(row.timestamp_ms);
        record.key = row.key.as_deref();
        record.payload = row.value.as_deref();
        if !row.headers.is_empty() {
            let empty = OwnedHeaders::new();
            record.headers = Some(
                row.headers
                    .iter()
                    .fold(empty, |all, (key, value)| all.insert(Header { key, value: Some(value) })),
            );
        }
        deliveries.push(producer.send_result(record).map_err(|(error, _)| error).expect("room in the queue"));
    }
    for (number, delivery) in deliveries.into_iter().enumerate() {
        let delivered = delivery
            .await
            .expect("the producer lives")
            .map_err(|(error, _)| error)
            .expect("the record is delivered");
        assert_eq!(delivered.offset, number as i64);
    }
}

/// Reads `count` rows with their offsets.
pub(crate) fn read(address: &str, topic: &str, partition: i32, offset: i64, count: usize) -> Vec<(i64, Row)> {
    let consumer = consumer(address, &[(topic, partition, offset)], &[]);
    let read = |_| {
        let message = next(&consumer);
        (message.offset(), as_row(&message))
    };
    (0..count).map(read).collect()
}

fn admin(node: &Node) -> (AdminClient<DefaultClientContext>, AdminOptions) {
    let admin = config(&node.address()).create().expect("an admin client");
    (admin, AdminOptions::new().operation_timeout(Some(Duration::from_secs(30))))
}

fn topic(name: &str, partitions: i32) -> NewTopic<'_> {
    NewTopic::new(name, partitions, TopicReplication::Fixed(1))
}

/// Partition counts of all topics.
fn topics(node: &Node) -> Vec<(String, usize)> {
    let consumer: BaseConsumer = config(&node.address()).create().unwrap();
    let metadata = consumer.fetch_metadata(None, TIMEOUT).unwrap();
    let mut topics: Vec<_> = metadata
        .topics()
        .iter()
        .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
        // Made when the first consumer looks for the coordinator of its group.
        .filter(|(name, _)| name != "__consumer_offsets")
        .collect();
    topics.sort();
    topics
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_grown_and_deleted() {
    use RDKafkaErrorCode::{InvalidPartitions, InvalidReplicationFactor, InvalidTopic, TopicAlreadyExists, UnknownTopicOrPartition};
    let node = Node::start(&[]);
    let (admin, options) = admin(&node);
    let trial = AdminOptions::new().validate_only(true);
    assert_eq!(
        admin.create_topics(&[topic("trial", 1)], &trial).await.unwrap(),
        [Ok("trial".into())]
    );

    let three_replicas = NewTopic::new("three", 1, TopicReplication::Fixed(3));
    let wanted = [topic("one", 1), topic("two", 4), topic("a/b", 1), three_replicas];
    let created = admin.create_topics(&wanted, &options).await.unwrap();
    let refused = |name: &str, code| Err((name.to_owned(), code));
    assert_eq!(
        created,
        [
            Ok("one".into()),
            Ok("two".into()),
            refused("a/b", InvalidTopic),
            refused("three", InvalidReplicationFactor)
        ]
    );
    assert_eq!(
        admin.create_topics(&[topic("one", 1)], &options).await.unwrap(),
        [refused("one", TopicAlreadyExists)]
    );
    assert_eq!(topics(&node), [("one".into(), 1), ("two".into(), 4)]);

    let grown = admin
        .create_partitions(&[NewPartitions::new("one", 3), NewPartitions::new("two", 2)], &options)
        .await
        .unwrap();
    assert_eq!(grown, [Ok("one".into()), refused("two", InvalidPartitions)]);
    assert_eq!(topics(&node), [("one".into(), 3), ("two".into(), 4)]);

    let deleted = admin.delete_topics(&["one", "nowhere"], &options).await.unwrap();
    assert_eq!(deleted, [Ok("one".into()), refused("nowhere", UnknownTopicOrPartition)]);
    assert_eq!(topics(&node), [("two".into(), 4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_are_described_and_altered() {
    let mut node = Node::start(&["node.id=1", "log.retention.ms=7200000"]);
    let (admin, options) = admin(&node);
    admin
        .create_topics(&[topic("configured", 1).set("max.message.bytes", "1234")], &options)
        .await
        .unwrap()[0]
        .as_ref()
        .unwrap();
    let altered = AlterConfig::new(ResourceSpecifier::Topic("configured")).set("retention.bytes", "5555555");
    admin.alter_configs(&[altered], &options).await.unwrap()[0].as_ref().unwrap();
    // The crate loses the error of a refusal; what counts is that nothing was altered.
    let refused = AlterConfig::new(ResourceSpecifier::Topic("configured")).set("retention.ms", "soon");
    admin.alter_configs(&[refused], &options).await.unwrap();

    for start in ["before", "after a restart"] {
        let resources = [ResourceSpecifier::Topic("configured"), ResourceSpecifier::Broker(1)];
        let described = admin.describe_configs(&resources, &options).await.unwrap();
        let topic = described[0].as_ref().unwrap();
        let entry = |name: &str| {
            topic
                .get(name)
                .map(|entry| (entry.value.as_deref().unwrap(), &entry.source))
                .expect("the entry")
        };
        assert_eq!(entry("retention.bytes"), ("5555555", &ConfigSource::DynamicTopic), "{start}");
        // AlterConfigs replaces all of a topic's configuration.
        assert_eq!(entry("max.message.bytes"), ("1048588", &ConfigSource::Default), "{start}");
        assert_eq!(entry("retention.ms"), ("7200000", &ConfigSource::StaticBroker), "{start}");
        let broker = described[1].as_ref().unwrap();
        assert!(
            broker
                .get("node.id")
                .is_some_and(|entry| entry.is_read_only && entry.value.as_deref() == Some("1")),
            "{start}"
        );
        node.kill();
        node.start_again();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_deleted_up_to_an_offset_and_to_the_end() {
    let node = Node::start(&[]);
    node.connect().create_topic("cut", 1, &[]);
    write(&node.address(), "cut", "none", &rows(RECORDS)).await;
    let (admin, options) = admin(&node);
    let mut range = (0, RECORDS as i64);
    for (up_to, start) in [(Offset::Offset(40), 40), (Offset::Offset(20), 40), (Offset::End, 100)] {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset("cut", 0, up_to).unwrap();
        let deleted = admin.delete_records(&offsets, &options).await.unwrap();
        let deleted = deleted.find_partition("cut", 0).expect("an answer");
        assert_eq!((deleted.error(), deleted.offset()), (Ok(()), Offset::Offset(start)));
        let consumer: BaseConsumer = config(&node.address()).create().unwrap();
        range = consumer.fetch_watermarks("cut", 0, TIMEOUT).unwrap();
        assert_eq!(range, (start, 100));
    }
    assert_eq!(range, (100, 100));
    write_after(&node, "cut", 100).await;
    let read = read(&node.address(), "cut", 0, 100, 1);
    assert_eq!(read[0].0, 100);
}

async fn write_after(node: &Node, topic: &str, offset: i64) {
    let producer = producer(&node.address(), &[]);
    let record = FutureRecord::<[u8], [u8]>::to(topic).partition(0).payload(b"after");
    assert_eq!(
        producer.send(record, TIMEOUT).await.map_err(|(error, _)| error).unwrap().offset,
        offset
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_found_by_time() {
    let node = Node::start(&[]);
    node.connect().create_topic("timed", 1, &[]);
    let written = rows(RECORDS);
    write(&node.address(), "timed", "none", &written).await;
    let consumer: BaseConsumer = config(&node.address()).create().unwrap();
    let exact = (written[37].timestamp_ms, Offset::Offset(37));
    let between = (written[37].timestamp_ms + 1, Offset::Offset(38));
    let beyond = (now_ms() + 1_000_000, Offset::End);
    for (timestamp_ms, expected) in [exact, between, beyond] {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset("timed", 0, Offset::Offset(timestamp_ms)).unwrap();
        let found = consumer.offsets_for_times(times, TIMEOUT).unwrap();
        assert_eq!(found.find_partition("timed", 0).unwrap().offset(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_consumer_is_woken_by_the_append() {
    let node = Node::start(&[]);
    node.connect().create_topic("awaited", 1, &[]);
    let patient = [("fetch.wait.max.ms", "30000"), ("socket.timeout.ms", "60000")];
    let consumer = consumer(&node.address(), &[("awaited", 0, 0)], &patient);
    // By now the fetch waits at the node.
    assert!(consumer.poll(Duration::from_secs(1)).is_none());
    write_after(&node, "awaited", 0).await;
    let message = consumer.poll(Duration::from_secs(10)).expect("long before the wait ends").unwrap();
    assert_eq!(message.payload(), Some(&b"after"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn producing_creates_a_topic_and_reading_does_not() {
    let node = Node::start(&["num.partitions=3"]);
    let impatient = [("topic.metadata.propagation.max.ms", "500")];
    let consumer = consumer(&node.address(), &[("read-only", 0, 0)], &impatient);
    assert!(matches!(
        consumer.poll(TIMEOUT),
        Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition)))
    ));
    write_after(&node, "made-by-producing", 0).await;
    assert_eq!(topics(&node), [("made-by-producing".into(), 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn w15_a_record_that_is_too_large_is_refused_and_the_next_one_is_not() {
    let node = Node::start(&[]);
    node.connect().create_topic("small", 1, &[("max.message.bytes", "1000")]);
    let producer = producer(&node.address(), &[]);
    let large = vec![7; 2000];
    let refused = producer
        .send(FutureRecord::<[u8], [u8]>::to("small").partition(0).payload(&large), TIMEOUT)
        .await;
    let (error, _) = refused.unwrap_err();
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
    write_after(&node, "small", 0).await;
    producer.flush(TIMEOUT).unwrap();
}
