//! Requests that are understood and cannot be granted: each gets the error code that Kafka gives, nothing is appended, and others go on.

mod harness;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::compression::Compression;
use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use dohle_protocol::messages::fetch::FetchRequest;
use dohle_protocol::messages::init_producer_id::InitProducerIdRequest;
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use dohle_protocol::messages::produce::ProduceRequest;
use harness::*;

const LATEST: i64 = -1;

/// Produces to `t` partition 0, where the records must be refused and nothing appended.
async fn assert_refused(broker: &TestBroker, records: Option<Bytes>, error: ErrorCode) {
    assert_request_refused(broker, 9, &produce_request(-1, "t", 0, records), error).await;
}

async fn assert_request_refused(broker: &TestBroker, version: i16, request: &ProduceRequest, error: ErrorCode) {
    let mut client = broker.connect().await;
    let before = client.list_offset(7, "t", 0, LATEST).await;
    let answer = client.produce_with(version, request).await;
    assert_eq!(
        (error_of(answer.error_code), answer.base_offset),
        (error, -1),
        "{:?}",
        answer.error_message
    );
    assert_eq!(client.list_offset(7, "t", 0, LATEST).await, before, "the end of the log has moved");
}

fn compressed(compression: Compression) -> Bytes {
    build(RecordBatchBuilder::new().compression(compression, None), &["some value", "another"])
}

fn set_i16(batch: &mut [u8], at: usize, value: i16) {
    batch[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn set_i32(batch: &mut [u8], at: usize, value: i32) {
    batch[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn w9_trap_13_a_batch_that_does_not_fit_its_checksum() {
    let broker = TestBroker::start().await;
    for at in [17, 21, 40, 65] {
        let mut flipped = batch_of(&["value"]).to_vec();
        flipped[at] ^= 1;
        assert_refused(&broker, Some(flipped.into()), ErrorCode::CorruptMessage).await;
    }
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w10_trap_12_exactly_one_batch_of_format_2() {
    let broker = TestBroker::start().await;
    for magic in [0, 1] {
        let old = forge(&batch_of(&["value"]), |batch| batch[16] = magic);
        assert_refused(&broker, Some(old), ErrorCode::InvalidRecord).await;
    }
    let two = [batch_of(&["one"]), batch_of(&["two"])].concat();
    assert_refused(&broker, Some(two.into()), ErrorCode::InvalidRecord).await;
    assert_refused(&broker, Some(Bytes::new()), ErrorCode::InvalidRecord).await;
    assert_refused(&broker, None, ErrorCode::InvalidRecord).await;
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w11_trap_14_counts_that_nothing_stands_behind() {
    let broker = TestBroker::start().await;
    let batch = batch_of(&["value"]);
    let huge = forge(&batch, |batch| {
        set_i32(batch, 23, i32::MAX - 1);
        set_i32(batch, 57, i32::MAX);
    });
    let uneven = forge(&batch, |batch| set_i32(batch, 23, 5));
    let none = forge(&batch, |batch| set_i32(batch, 57, 0));
    // The last byte of the only record is its number of headers: -1.
    let headers = forge(&batch, |batch| *batch.last_mut().unwrap() = 1);
    let before = resident_bytes();
    for forged in [huge, uneven, none, headers] {
        assert_refused(&broker, Some(forged), ErrorCode::InvalidRecord).await;
    }
    assert!(resident_bytes().saturating_sub(before) < 16 << 20);
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_strict_validation_only_the_batch_is_looked_at() {
    let broker = TestBroker::start().await;
    broker.create_topic("lazy", 1, &[("strict.validation", "false")]).await;
    // Three records, of which the header tells two; and a header that contradicts itself.
    let fewer = forge(&batch_of(&["one", "two", "three"]), |batch| {
        set_i32(batch, 23, 1);
        set_i32(batch, 57, 2);
    });
    let uneven = forge(&batch_of(&["value"]), |batch| set_i32(batch, 23, 5));
    assert_refused(&broker, Some(fewer.clone()), ErrorCode::InvalidRecord).await;
    let mut client = broker.connect().await;
    for (records, error) in [(fewer, ErrorCode::None), (uneven, ErrorCode::InvalidRecord)] {
        let answer = client.produce_with(9, &produce_request(-1, "lazy", 0, Some(records))).await;
        assert_eq!(error_of(answer.error_code), error, "{:?}", answer.error_message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w12_trap_14_what_producers_may_not_write() {
    let broker = TestBroker::start().await;
    let control = forge(&batch_of(&["value"]), |batch| set_i16(batch, 21, 0x20));
    assert_refused(&broker, Some(control), ErrorCode::InvalidRecord).await;
    let no_sequence = RecordBatchBuilder::new().producer(ProducerId(7), ProducerEpoch(0), -1);
    assert_refused(&broker, Some(build(no_sequence, &["value"])), ErrorCode::InvalidRecord).await;
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_refused_since_nobody_could_end_them() {
    let broker = TestBroker::start().await;
    let transactional = RecordBatchBuilder::new()
        .producer(ProducerId(7), ProducerEpoch(0), 0)
        .transactional();
    assert_refused(&broker, Some(build(transactional, &["value"])), ErrorCode::InvalidTxnState).await;
    let mut request = produce_request(-1, "t", 0, Some(batch_of(&["value"])));
    request.transactional_id = Some("id".to_string());
    assert_request_refused(&broker, 9, &request, ErrorCode::InvalidTxnState).await;

    let request = InitProducerIdRequest {
        transactional_id: Some("id".to_string()),
        ..InitProducerIdRequest::default()
    };
    let answer = broker.connect().await.call(4, &request).await;
    assert_eq!(error_of(answer.error_code), ErrorCode::UnsupportedVersion);
}

#[tokio::test(flavor = "multi_thread")]
async fn w13_a_megabyte_that_becomes_a_gigabyte() {
    let broker = TestBroker::start_with(&[("message.max.bytes", "10000000")]).await;
    let value = "\0".repeat(200 << 20);
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let bomb = build(RecordBatchBuilder::new().compression(codec, None), &[&value]);
        let before = resident_bytes();
        assert_refused(&broker, Some(bomb), ErrorCode::MessageTooLarge).await;
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < (64 + 16) << 20, "{codec:?}: {grown} bytes more");
    }
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w14_codecs_that_lie_or_are_none() {
    let broker = TestBroker::start().await;
    let xerial = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01";
    let mut lie = compressed(Compression::Snappy).to_vec();
    let chunk = lie.windows(xerial.len()).position(|window| window == xerial).unwrap() + xerial.len();
    lie[chunk..chunk + 4].copy_from_slice(&0x7fff_ffffu32.to_be_bytes());
    let lie = forge(&lie.into(), |_| {});
    let mut client = broker.connect().await;
    let answer = client.produce("t", 0, lie).await;
    assert!(
        matches!(error_of(answer.error_code), ErrorCode::InvalidRecord | ErrorCode::CorruptMessage),
        "{answer:?}"
    );
    for codec in 5..8 {
        let unknown = forge(&batch_of(&["value"]), |batch| set_i16(batch, 21, codec));
        let answer = client.produce("t", 0, unknown).await;
        assert!(
            matches!(
                error_of(answer.error_code),
                ErrorCode::InvalidRecord | ErrorCode::UnsupportedCompressionType
            ),
            "{answer:?}"
        );
    }
    let zstd = produce_request(-1, "t", 0, Some(compressed(Compression::Zstd)));
    assert_request_refused(&broker, 6, &zstd, ErrorCode::UnsupportedCompressionType).await;
    assert_eq!(client.produce_with(7, &zstd).await.error_code, 0);
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w15_trap_16_a_batch_above_max_message_bytes() {
    let broker = TestBroker::start_with(&[("message.max.bytes", "1000")]).await;
    let overhead = batch_of(&["v".repeat(900).as_str()]).len() - 900;
    assert_refused(
        &broker,
        Some(batch_of(&["v".repeat(1001 - overhead).as_str()])),
        ErrorCode::MessageTooLarge,
    )
    .await;
    let answer = broker
        .connect()
        .await
        .produce("t", 0, batch_of(&["v".repeat(1000 - overhead).as_str()]))
        .await;
    assert_eq!(answer.error_code, 0);
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w16_trap_15_records_that_a_topic_does_not_take_are_named() {
    let broker = TestBroker::start().await;
    broker
        .create_topic(
            "recent",
            1,
            &[
                ("message.timestamp.after.max.ms", "1000"),
                ("message.timestamp.before.max.ms", "1000"),
            ],
        )
        .await;
    broker.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).await;
    let mut client = broker.connect().await;
    let answer = client.produce("recent", 0, batch_of(&["of 1970"])).await;
    assert_eq!(error_of(answer.error_code), ErrorCode::InvalidTimestamp);
    assert_eq!(answer.record_errors[0].batch_index, 0);

    let mut mixed = RecordBatchBuilder::new();
    mixed.append(1000, Some(b"key"), Some(b"value"), &[]);
    mixed.append(1000, None, Some(b"value"), &[]);
    let answer = client.produce("compacted", 0, mixed.build()).await;
    assert_eq!(error_of(answer.error_code), ErrorCode::InvalidRecord);
    assert_eq!(
        answer.record_errors.iter().map(|record| record.batch_index).collect::<Vec<_>>(),
        [1]
    );
    assert!(answer.error_message.is_some());
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w17_trap_11_acks() {
    let broker = TestBroker::start().await;
    assert_request_refused(
        &broker,
        9,
        &produce_request(2, "t", 0, Some(batch_of(&["x"]))),
        ErrorCode::InvalidRequiredAcks,
    )
    .await;
    let mut client = broker.connect().await;
    client.send(9, &produce_request(0, "t", 0, Some(batch_of(&["x"])))).await;
    assert_eq!(
        values(client.fetch("t", 0, 0).await.records.unwrap()),
        ["x"],
        "the only answer on this connection"
    );
    client
        .send(9, &produce_request(0, "no such topic", 0, Some(batch_of(&["x"]))))
        .await;
    client.assert_closed().await;
    assert!(warnings_about(client.local_address())[0].contains("acks=0"));
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w18_trap_27_names_that_are_none() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let long = "x".repeat(250);
    for name in ["../../etc/x", ".", "..", "", &long, "a/b", "a\0", "토픽"] {
        let topic = CreatableTopic {
            name: name.to_string(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let created = client
            .call(
                7,
                &CreateTopicsRequest {
                    topics: vec![topic],
                    timeout_ms: 1000,
                    ..CreateTopicsRequest::default()
                },
            )
            .await;
        assert_eq!(error_of(created.topics[0].error_code), ErrorCode::InvalidTopicException, "{name:?}");
        assert!(created.topics[0].error_message.is_some());
        let topic = MetadataRequestTopic {
            name: Some(name.to_string()),
            ..MetadataRequestTopic::default()
        };
        let asked = MetadataRequest {
            topics: Some(vec![topic]),
            allow_auto_topic_creation: true,
            ..MetadataRequest::default()
        };
        let described = client.call(9, &asked).await;
        assert_eq!(
            error_of(described.topics[0].error_code),
            ErrorCode::InvalidTopicException,
            "{name:?}"
        );
    }
    broker.create_topic(&"x".repeat(249), 1, &[]).await;
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w19_trap_27_names_that_metrics_could_not_tell_apart() {
    let broker = TestBroker::start().await;
    broker.create_topic("a.b", 1, &[]).await;
    let topic = CreatableTopic {
        name: "a_b".to_string(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 1000,
        ..CreateTopicsRequest::default()
    };
    let answer = broker.connect().await.call(7, &request).await;
    assert_eq!(error_of(answer.topics[0].error_code), ErrorCode::InvalidTopicException);
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w20_partitions_that_are_none_and_topics_that_are_not_for_clients() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    for partition in [-1, 2, 999_999, i32::MAX] {
        let answer = client.produce("t", partition, batch_of(&["x"])).await;
        assert_eq!(error_of(answer.error_code), ErrorCode::UnknownTopicOrPartition, "{partition}");
        assert_eq!(
            error_of(client.fetch("t", partition, 0).await.error_code),
            ErrorCode::UnknownTopicOrPartition,
            "{partition}"
        );
    }
    for topic in ["__consumer_offsets", "__transaction_state"] {
        let answer = client.produce(topic, 0, batch_of(&["x"])).await;
        assert_eq!(error_of(answer.error_code), ErrorCode::InvalidTopicException, "{topic}");
    }
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w21_traps_19_to_21_sequences_epochs_and_what_is_sent_again() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let given = client.call(4, &InitProducerIdRequest::default()).await;
    assert_eq!((given.error_code, given.producer_epoch), (0, 0));
    let id = ProducerId(given.producer_id);
    let numbered = |epoch: i16, sequence: i32| build(RecordBatchBuilder::new().producer(id, ProducerEpoch(epoch), sequence), &["a", "b"]);
    for sequence in 0..7 {
        assert_eq!(
            client.produce("t", 0, numbered(1, 2 * sequence)).await.base_offset,
            2 * i64::from(sequence)
        );
    }
    for sequence in 2..7 {
        let again = client.produce("t", 0, numbered(1, 2 * sequence)).await;
        assert_eq!(
            (again.error_code, again.base_offset),
            (0, 2 * i64::from(sequence)),
            "a duplicate keeps its offset"
        );
    }
    let refused = [
        (numbered(1, 2), ErrorCode::DuplicateSequenceNumber),
        (numbered(1, 16), ErrorCode::OutOfOrderSequenceNumber),
        (numbered(0, 14), ErrorCode::InvalidProducerEpoch),
        (numbered(2, 14), ErrorCode::OutOfOrderSequenceNumber),
    ];
    for (records, error) in refused {
        assert_refused(&broker, Some(records), error).await;
    }
    assert_eq!(
        client.produce("t", 0, numbered(2, 0)).await.base_offset,
        14,
        "a new epoch begins at zero"
    );

    let broker = broker.restart().await;
    let again = broker.connect().await.produce("t", 0, numbered(2, 0)).await;
    assert_eq!(
        (again.error_code, again.base_offset),
        (0, 14),
        "duplicates are recognised after a restart"
    );
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w22_traps_30_and_34_offsets_and_epochs_out_of_range() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch_of(&["x"])).await;
    for offset in [-5, 2, i64::MAX] {
        let answer = client.fetch("t", 0, offset).await;
        assert_eq!(
            (error_of(answer.error_code), answer.high_watermark),
            (ErrorCode::OffsetOutOfRange, -1),
            "{offset}"
        );
    }
    for (epoch, error) in [
        (-1, ErrorCode::None),
        (0, ErrorCode::None),
        (1, ErrorCode::UnknownLeaderEpoch),
        (i32::MAX, ErrorCode::UnknownLeaderEpoch),
    ] {
        let mut request = fetch_request("t", 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        let answer = only_partition(client.call(12, &request).await);
        assert_eq!(error_of(answer.error_code), error, "{epoch}");
    }
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w23_trap_32_sessions_that_are_none() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch_of(&["x"])).await;
    let session = |id, epoch| FetchRequest {
        session_id: id,
        session_epoch: epoch,
        ..fetch_request("t", 0, 0)
    };
    let answer = client.call(12, &session(4711, 1)).await;
    assert_eq!(
        (error_of(answer.error_code), answer.session_id),
        (ErrorCode::FetchSessionIdNotFound, 0)
    );
    let opened = client.call(12, &session(0, 0)).await;
    assert!(opened.session_id > 0);
    let answer = client.call(12, &session(opened.session_id, 5)).await;
    assert_eq!(error_of(answer.error_code), ErrorCode::InvalidFetchSessionEpoch);
    assert!(answer.responses.is_empty());
    broker.canary().await;
}
