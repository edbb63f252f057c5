//! How partitions are read: limits, sessions, topic ids, offsets by time, and the log that becomes shorter from the front.

mod harness;

use dohle_protocol::ErrorCode;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use dohle_protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use dohle_protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use dohle_protocol::messages::fetch::{FetchRequest, FetchResponse, FetchTopic, ForgottenTopic};
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use dohle_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic};
use harness::*;
use uuid::Uuid;

/// Partition indexes and values of an answer.
fn read(answer: FetchResponse) -> Vec<(i32, Vec<String>)> {
    assert_eq!(answer.error_code, 0);
    let partitions = answer.responses.into_iter().flat_map(|topic| topic.partitions);
    partitions
        .map(|partition| (partition.partition_index, values(partition.records.unwrap())))
        .collect()
}

/// For partitions 0 and 1 of `t`, from the start.
fn fetch_both() -> FetchRequest {
    let mut request = fetch_request("t", 0, 0);
    let mut other = request.topics[0].partitions[0].clone();
    other.partition = 1;
    request.topics[0].partitions.push(other);
    request
}

async fn topic_id(client: &mut Client, name: &str) -> Uuid {
    let topic = MetadataRequestTopic {
        name: Some(name.to_string()),
        ..MetadataRequestTopic::default()
    };
    let answer = client
        .call(
            12,
            &MetadataRequest {
                topics: Some(vec![topic]),
                ..MetadataRequest::default()
            },
        )
        .await;
    answer.topics[0].topic_id
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_28_a_fetch_in_the_middle_of_a_batch_returns_all_of_it() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch_of(&["a", "b", "c"])).await;
    client.produce("t", 0, batch_of(&["d"])).await;
    assert_eq!(values(client.fetch("t", 0, 1).await.records.unwrap()), ["a", "b", "c", "d"]);
    // From files, not from memory.
    let broker = broker.restart().await;
    let mut client = broker.connect().await;
    assert_eq!(values(client.fetch("t", 0, 1).await.records.unwrap()), ["a", "b", "c", "d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_29_the_first_partition_with_records_gives_a_batch_however_small_the_limits() {
    let mut broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let batch = batch_of(&["a value of some length"]);
    for partition in [0, 0, 1] {
        client.produce("t", partition, batch.clone()).await;
    }
    let whole = |partition, batches| (partition, vec!["a value of some length".to_string(); batches]);
    for from_files in [false, true] {
        let mut request = fetch_both();
        request.max_bytes = 1;
        assert_eq!(read(client.call(12, &request).await), [whole(0, 1), (1, vec![])], "{from_files}");
        request.max_bytes = 2 * batch.len() as i32 + 1;
        assert_eq!(read(client.call(12, &request).await), [whole(0, 2), (1, vec![])], "{from_files}");
        request.topics[0].partitions[0].partition_max_bytes = 1;
        assert_eq!(read(client.call(12, &request).await), [whole(0, 1), whole(1, 1)], "{from_files}");
        request.topics[0].partitions.reverse();
        request.max_bytes = 1;
        assert_eq!(
            read(client.call(12, &request).await),
            [whole(1, 1), (0, vec![])],
            "the order of the request counts"
        );
        broker = broker.restart().await;
        client = broker.connect().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_31_an_error_in_one_partition_is_told_at_once() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let mut request = fetch_both();
    request.max_wait_ms = i32::MAX;
    request.topics[0].partitions[1].fetch_offset = 99;
    let answer = client.call(12, &request).await;
    let errors: Vec<_> = answer.responses[0]
        .partitions
        .iter()
        .map(|partition| error_of(partition.error_code))
        .collect();
    assert_eq!(errors, [ErrorCode::None, ErrorCode::OffsetOutOfRange]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_32_an_incremental_session() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch_of(&["x"])).await;
    let opened = client
        .call(
            12,
            &FetchRequest {
                session_epoch: 0,
                ..fetch_both()
            },
        )
        .await;
    let session_id = opened.session_id;
    assert_eq!(read(opened), [(0, vec!["x".to_string()]), (1, vec![])]);
    let next = |epoch| FetchRequest {
        session_id,
        session_epoch: epoch,
        max_wait_ms: 200,
        min_bytes: 1,
        max_bytes: 1 << 20,
        ..FetchRequest::default()
    };

    let mut advance = next(1);
    let mut moved = fetch_request("t", 0, 1).topics.remove(0);
    advance.topics.push(std::mem::take(&mut moved));
    assert_eq!(read(client.call(12, &advance).await), [], "nothing is new");
    client.produce("t", 1, batch_of(&["y"])).await;
    assert_eq!(read(client.call(12, &next(2)).await), [(1, vec!["y".to_string()])]);
    let mut forget = next(3);
    forget.forgotten_topics_data.push(ForgottenTopic {
        topic: "t".to_string(),
        partitions: vec![1],
        ..ForgottenTopic::default()
    });
    assert_eq!(read(client.call(12, &forget).await), []);
    let closed = client
        .call(
            12,
            &FetchRequest {
                session_epoch: -1,
                session_id,
                ..fetch_both()
            },
        )
        .await;
    assert_eq!(closed.session_id, 0);
    let gone = client.call(12, &next(4)).await;
    assert_eq!(error_of(gone.error_code), ErrorCode::FetchSessionIdNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_33_topic_ids_change_when_a_topic_is_created_again() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch_of(&["old"])).await;
    let by_id = |id| {
        let mut request = fetch_request("", 0, 0);
        request.topics[0] = FetchTopic {
            topic_id: id,
            ..request.topics[0].clone()
        };
        request
    };
    let old = topic_id(&mut client, "t").await;
    assert_eq!(read(client.call(17, &by_id(old)).await), [(0, vec!["old".to_string()])]);

    let topics = vec![DeleteTopicState {
        name: Some("t".to_string()),
        ..DeleteTopicState::default()
    }];
    let deleted = client
        .call(
            6,
            &DeleteTopicsRequest {
                topics,
                timeout_ms: 10_000,
                ..DeleteTopicsRequest::default()
            },
        )
        .await;
    assert_eq!(deleted.responses[0].error_code, 0);
    broker.create_topic("t", 1, &[]).await;
    let new = topic_id(&mut client, "t").await;
    assert_ne!(old, new);
    let answer = only_partition(client.call(17, &by_id(old)).await);
    assert_eq!(error_of(answer.error_code), ErrorCode::UnknownTopicId);
    client.produce("t", 0, batch_of(&["new"])).await;
    assert_eq!(read(client.call(17, &by_id(new)).await), [(0, vec!["new".to_string()])]);

    let mut produce = produce_request(-1, "", 0, Some(batch_of(&["by id"])));
    produce.topic_data[0].topic_id = new;
    assert_eq!(client.produce_with(13, &produce).await.base_offset, 1);
    broker.create_topic("__consumer_offsets", 1, &[]).await;
    let mut internal = produce.clone();
    internal.topic_data[0].topic_id = topic_id(&mut client, "__consumer_offsets").await;
    let refused = client.produce_with(13, &internal).await;
    assert_eq!(
        error_of(refused.error_code),
        ErrorCode::InvalidTopicException,
        "not by its id either"
    );
    produce.topic_data[0].topic_id = old;
    assert_eq!(
        error_of(client.produce_with(13, &produce).await.error_code),
        ErrorCode::UnknownTopicId
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_on_a_topic_that_is_deleted_is_told() {
    let broker = TestBroker::start().await;
    let (mut reader, mut admin) = (broker.connect().await, broker.connect().await);
    let mut request = fetch_request("t", 0, 0);
    request.max_wait_ms = 60_000;
    let id = reader.send(12, &request).await;
    let topics = vec![DeleteTopicState {
        name: Some("t".to_string()),
        ..DeleteTopicState::default()
    }];
    admin
        .call(
            6,
            &DeleteTopicsRequest {
                topics,
                timeout_ms: 10_000,
                ..DeleteTopicsRequest::default()
            },
        )
        .await;
    let answer = only_partition(reader.receive::<FetchRequest>(12, id).await);
    assert_eq!(error_of(answer.error_code), ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_36_read_committed_gets_a_list_of_aborted_transactions_and_read_uncommitted_gets_none() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch_of(&["x"])).await;
    let mut request = fetch_request("t", 0, 0);
    assert_eq!(only_partition(client.call(12, &request).await).aborted_transactions, None);
    request.isolation_level = 1;
    let answer = only_partition(client.call(12, &request).await);
    assert_eq!(answer.aborted_transactions, Some(vec![]));
    assert_eq!(
        (answer.last_stable_offset, values(answer.records.unwrap())),
        (1, vec!["x".to_string()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_37_offsets_by_time_and_at_the_ends() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let stamped = |times: &[i64]| {
        let mut batch = RecordBatchBuilder::new();
        times.iter().for_each(|time| batch.append(*time, None, Some(b"v"), &[]));
        batch.build()
    };
    client.produce("t", 0, stamped(&[100, 300, 200])).await;
    client.produce("t", 0, stamped(&[250])).await;
    let none = |error| (error, -1, -1);
    let asked = [
        (7, -1, (ErrorCode::None, 4, -1)),
        (7, -2, (ErrorCode::None, 0, -1)),
        (7, -3, (ErrorCode::None, 1, 300)),
        (6, -3, none(ErrorCode::UnsupportedVersion)),
        (8, -4, (ErrorCode::None, 0, -1)),
        (7, -4, none(ErrorCode::UnsupportedVersion)),
        (9, -5, none(ErrorCode::None)),
        (8, -5, none(ErrorCode::UnsupportedVersion)),
        (11, -6, none(ErrorCode::None)),
        (11, -7, none(ErrorCode::UnsupportedVersion)),
        (1, 0, (ErrorCode::None, 0, 100)),
        (4, 101, (ErrorCode::None, 1, 300)),
        (4, 300, (ErrorCode::None, 1, 300)),
        (4, 301, none(ErrorCode::None)),
    ];
    for (version, timestamp, expected) in asked {
        assert_eq!(
            client.list_offset(version, "t", 0, timestamp).await,
            expected,
            "version {version}, timestamp {timestamp}"
        );
    }
    assert_eq!(client.list_offset(7, "t", 9, -1).await, none(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_38_the_end_of_an_epoch() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch_of(&["a", "b"])).await;
    for (current, asked, expected) in [
        (-1, 0, (ErrorCode::None, 0, 2)),
        (0, 0, (ErrorCode::None, 0, 2)),
        (0, 7, (ErrorCode::None, -1, -1)),
        (7, 0, (ErrorCode::UnknownLeaderEpoch, -1, -1)),
    ] {
        let partition = OffsetForLeaderPartition {
            partition: 0,
            current_leader_epoch: current,
            leader_epoch: asked,
            ..OffsetForLeaderPartition::default()
        };
        let topic = OffsetForLeaderTopic {
            topic: "t".to_string(),
            partitions: vec![partition],
            ..OffsetForLeaderTopic::default()
        };
        let answer = client
            .call(
                4,
                &OffsetForLeaderEpochRequest {
                    topics: vec![topic],
                    ..OffsetForLeaderEpochRequest::default()
                },
            )
            .await;
        let end = &answer.topics[0].partitions[0];
        assert_eq!(
            (error_of(end.error_code), end.leader_epoch, end.end_offset),
            expected,
            "{current} {asked}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_39_deleted_records_stay_deleted() {
    let broker = TestBroker::start().await;
    broker.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch_of(&["a", "b", "c", "d"])).await;
    for (topic, offset, expected) in [
        ("t", 2, (ErrorCode::None, 2)),
        ("t", 1, (ErrorCode::None, 2)),
        ("t", 5, (ErrorCode::OffsetOutOfRange, -1)),
        ("t", -2, (ErrorCode::OffsetOutOfRange, -1)),
        ("compacted", -1, (ErrorCode::PolicyViolation, -1)),
        ("missing", -1, (ErrorCode::UnknownTopicOrPartition, -1)),
    ] {
        let answer = client.call(2, &delete_records_request(topic, offset)).await;
        let partition = &answer.topics[0].partitions[0];
        assert_eq!(
            (error_of(partition.error_code), partition.low_watermark),
            expected,
            "{topic} {offset}"
        );
    }
    assert_eq!(error_of(client.fetch("t", 0, 1).await.error_code), ErrorCode::OffsetOutOfRange);
    assert_eq!(client.fetch("t", 0, 2).await.log_start_offset, 2);

    let broker = broker.restart().await;
    let mut client = broker.connect().await;
    assert_eq!(client.list_offset(7, "t", 0, -2).await.1, 2);
    let answer = client.call(2, &delete_records_request("t", -1)).await;
    assert_eq!(answer.topics[0].partitions[0].low_watermark, 4, "-1 is the high watermark");
    assert_eq!(client.list_offset(7, "t", 0, -2).await.1, 4);
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_may_delete_records_at_the_same_time() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    for _ in 0..20 {
        assert_eq!(client.produce("t", 0, batch_of(&["a", "b"])).await.error_code, 0);
    }
    let mut deleting = Vec::new();
    for _ in 0..8 {
        let mut client = broker.connect().await;
        deleting.push(tokio::spawn(async move {
            for offset in 1..=40 {
                let answer = client.call(2, &delete_records_request("t", offset)).await;
                assert_eq!(error_of(answer.topics[0].partitions[0].error_code), ErrorCode::None, "{offset}");
            }
        }));
    }
    for deleting in deleting {
        deleting.await.unwrap();
    }
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_and_log_directories_are_described() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let batch = build(RecordBatchBuilder::new().producer(ProducerId(7), ProducerEpoch(3), 0), &["a", "b"]);
    client.produce("t", 0, batch.clone()).await;
    let topic = TopicRequest {
        name: "t".to_string(),
        partition_indexes: vec![0, 5],
        ..TopicRequest::default()
    };
    let answer = client
        .call(
            0,
            &DescribeProducersRequest {
                topics: vec![topic],
                ..DescribeProducersRequest::default()
            },
        )
        .await;
    let [first, missing] = answer.topics[0].partitions.as_slice() else {
        panic!("{answer:?}")
    };
    let producer = &first.active_producers[0];
    assert_eq!(
        (
            producer.producer_id,
            producer.producer_epoch,
            producer.last_sequence,
            producer.last_timestamp
        ),
        (7, 3, 1, 1000)
    );
    assert_eq!(producer.current_txn_start_offset, -1);
    assert_eq!(error_of(missing.error_code), ErrorCode::UnknownTopicOrPartition);

    let answer = client
        .call(
            4,
            &DescribeLogDirsRequest {
                topics: None,
                ..DescribeLogDirsRequest::default()
            },
        )
        .await;
    let dir = &answer.results[0];
    assert!(dir.total_bytes > dir.usable_bytes && dir.usable_bytes > 0);
    let t = dir.topics.iter().find(|topic| topic.name == "t").unwrap();
    let sizes: Vec<_> = t
        .partitions
        .iter()
        .map(|partition| (partition.partition_index, partition.partition_size))
        .collect();
    assert_eq!(sizes, [(0, batch.len() as i64), (1, 0)]);
}
