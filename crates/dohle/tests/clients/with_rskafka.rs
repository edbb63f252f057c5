//! rskafka: a codec and a way of retrying of its own.

use crate::harness::Node;
use crate::row::{Row, now_ms, rows};
use rskafka::BackoffConfig;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::{Record, RecordAndOffset};
use std::time::{Duration, UNIX_EPOCH};

const FETCH_BYTES: std::ops::Range<i32> = 1..1_000_000;
const WAIT_MS: i32 = 1000;
const TIMEOUT_MS: i32 = 30_000;
const RECORDS: usize = 100;

pub(crate) async fn client(address: &str) -> Client {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(200),
        deadline: Some(Duration::from_secs(60)),
        ..Default::default()
    };
    ClientBuilder::new(vec![address.to_owned()])
        .backoff_config(backoff)
        .build()
        .await
        .expect("a client")
}

pub(crate) async fn partition(address: &str, topic: &str, partition: i32) -> PartitionClient {
    client(address)
        .await
        .partition_client(topic, partition, UnknownTopicHandling::Error)
        .await
        .expect("the partition")
}

pub(crate) fn as_record(row: &Row) -> Record {
    let timestamp = UNIX_EPOCH + Duration::from_millis(row.timestamp_ms as u64);
    Record {
        key: row.key.clone(),
        value: row.value.clone(),
        headers: row.headers.clone(),
        timestamp: timestamp.into(),
    }
}

fn as_row(read: RecordAndOffset) -> (i64, Row) {
    let RecordAndOffset { record, offset } = read;
    let row = Row {
        key: record.key,
        value: record.value,
        headers: record.headers,
        timestamp_ms: record.timestamp.timestamp_millis(),
    };
    (offset, row)
}

/// Writes rows to partition 0, in order.
pub(crate) async fn write(address: &str, topic: &str, codec: &str, rows: &[Row]) {
    let compression = match codec {
        "none" => Compression::NoCompression,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        other => panic!("{other} is no codec"),
    };
    let partition = partition(address, topic, 0).await;
    let mut offset = 0;
    for some in rows.chunks(150) {
        let offsets = partition
            .produce(some.iter().map(as_record).collect(), compression)
            .await
            .expect("the records are accepted");
        assert_eq!(offsets, (offset..offset + some.len() as i64).collect::<Vec<_>>());
        offset += some.len() as i64;
    }
}

/// Reads `count` rows with their offsets.
pub(crate) async fn read(address: &str, topic: &str, index: i32, offset: i64, count: usize) -> Vec<(i64, Row)> {
    let partition = partition(address, topic, index).await;
    let mut read = Vec::new();
    while read.len() < count {
        let next = read.last().map_or(offset, |(offset, _)| offset + 1);
        let (records, _) = partition.fetch_records(next, FETCH_BYTES, WAIT_MS).await.expect("records");
        assert!(!records.is_empty(), "{topic}: {} records, then no more", read.len());
        read.extend(records.into_iter().map(as_row));
    }
    read
}

/// The error code in an answer.
fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> ProtocolError {
    match answer {
        Err(Error::ServerError { protocol_error, .. }) => protocol_error,
        other => panic!("expected an error code: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_listed_and_deleted() {
    let node = Node::start(&["auto.create.topics.enable=false"]);
    let client = client(&node.address()).await;
    let controller = client.controller_client().unwrap();
    controller.create_topic("one", 3, 1, TIMEOUT_MS).await.unwrap();
    controller.create_topic("two", 1, 1, TIMEOUT_MS).await.unwrap();
    assert_eq!(
        code(controller.create_topic("one", 3, 1, TIMEOUT_MS).await),
        ProtocolError::TopicAlreadyExists
    );
    assert_eq!(
        code(controller.create_topic("a b", 3, 1, TIMEOUT_MS).await),
        ProtocolError::InvalidTopicException
    );
    assert_eq!(
        code(controller.create_topic("three", 1, 3, TIMEOUT_MS).await),
        ProtocolError::InvalidReplicationFactor
    );
    let listed = client.list_topics().await.unwrap();
    let listed: Vec<_> = listed
        .into_iter()
        .map(|topic| (topic.name, topic.partitions.into_iter().collect::<Vec<_>>()))
        .collect();
    assert_eq!(listed, [("one".to_owned(), vec![0, 1, 2]), ("two".to_owned(), vec![0])]);

    controller.delete_topic("one", TIMEOUT_MS).await.unwrap();
    assert_eq!(
        code(controller.delete_topic("one", TIMEOUT_MS).await),
        ProtocolError::UnknownTopicOrPartition
    );
    let listed: Vec<_> = client.list_topics().await.unwrap().into_iter().map(|topic| topic.name).collect();
    assert_eq!(listed, ["two"]);
    let gone = client.partition_client("one", 0, UnknownTopicHandling::Error).await;
    assert_eq!(code(gone), ProtocolError::UnknownTopicOrPartition);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_deleted_and_offsets_found() {
    let node = Node::start(&[]);
    node.connect().create_topic("cut", 1, &[]);
    let written = rows(RECORDS);
    write(&node.address(), "cut", "none", &written).await;
    let partition = partition(&node.address(), "cut", 0).await;
    assert_eq!(partition.get_offset(OffsetAt::Earliest).await.unwrap(), 0);
    assert_eq!(partition.get_offset(OffsetAt::Latest).await.unwrap(), 100);
    let at = |timestamp_ms: i64| OffsetAt::Timestamp((UNIX_EPOCH + Duration::from_millis(timestamp_ms as u64)).into());
    assert_eq!(partition.get_offset(at(written[61].timestamp_ms)).await.unwrap(), 61);
    assert_eq!(partition.get_offset(at(written[61].timestamp_ms - 3)).await.unwrap(), 61);
    assert_eq!(partition.get_offset(at(now_ms() + 1_000_000)).await.unwrap(), -1);

    partition.delete_records(55, TIMEOUT_MS).await.unwrap();
    assert_eq!(partition.get_offset(OffsetAt::Earliest).await.unwrap(), 55);
    assert_eq!(
        code(partition.fetch_records(54, FETCH_BYTES, WAIT_MS).await),
        ProtocolError::OffsetOutOfRange
    );
    assert_eq!(
        code(partition.fetch_records(101, FETCH_BYTES, WAIT_MS).await),
        ProtocolError::OffsetOutOfRange
    );
    assert_eq!(
        code(partition.delete_records(101, TIMEOUT_MS).await),
        ProtocolError::OffsetOutOfRange
    );
    let (records, high_watermark) = partition.fetch_records(55, FETCH_BYTES, WAIT_MS).await.unwrap();
    assert_eq!((records.len(), high_watermark), (45, 100));
}
