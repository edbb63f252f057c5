//! Records from one socket to another, and what happens to them on the way.

mod harness;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::api_versions::ApiVersionsRequest;
use dohle_protocol::messages::fetch::FetchRequest;
use dohle_protocol::messages::produce::ProduceRequest;
use dohle_storage::FaultyDisk;
use harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn records_are_read_as_they_were_written_and_survive_a_restart() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    assert_eq!(client.produce("t", 0, batch_of(&["a", "b"])).await.base_offset, 0);
    assert_eq!(client.produce("t", 0, batch_of(&["c"])).await.base_offset, 2);
    assert_eq!(client.produce("t", 1, batch_of(&["other"])).await.base_offset, 0);

    let broker = broker.restart().await;
    let mut client = broker.connect().await;
    let read = client.fetch("t", 0, 0).await;
    assert_eq!(values(read.records.unwrap()), ["a", "b", "c"]);
    assert_eq!((read.high_watermark, read.last_stable_offset, read.log_start_offset), (3, 3, 0));
    assert_eq!(client.produce("t", 0, batch_of(&["d"])).await.base_offset, 3);
    assert_eq!(values(client.fetch("t", 0, 2).await.records.unwrap()), ["c", "d"]);
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acks_setting_and_every_flush_policy() {
    let broker = TestBroker::start().await;
    broker
        .create_topic("interval", 1, &[("flush.policy", "interval"), ("flush.ms", "20")])
        .await;
    broker.create_topic("os", 1, &[("flush.policy", "os")]).await;
    let mut client = broker.connect().await;
    for topic in ["t", "interval", "os"] {
        for (offset, acks) in [(0, 1), (1, -1)] {
            let written = client
                .produce_with(9, &produce_request(acks, topic, 0, Some(batch_of(&["x"]))))
                .await;
            assert_eq!(
                (error_of(written.error_code), written.base_offset),
                (ErrorCode::None, offset),
                "{topic} acks={acks}"
            );
        }
        client.send(9, &produce_request(0, topic, 0, Some(batch_of(&["silent"])))).await;
        let read = client.fetch(topic, 0, 2).await;
        assert_eq!(values(read.records.unwrap()), ["silent"], "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_is_woken_by_an_append_and_ends_with_its_time() {
    let broker = TestBroker::start().await;
    let (mut reader, mut writer) = (broker.connect().await, broker.connect().await);
    let id = reader.send(12, &fetch_request("t", 0, 0)).await;
    reader.assert_silent(Duration::from_millis(100)).await;
    let began = Instant::now();
    writer.produce("t", 0, batch_of(&["wake up"])).await;
    let read = only_partition(reader.receive::<FetchRequest>(12, id).await);
    assert_eq!(values(read.records.unwrap()), ["wake up"]);
    assert!(began.elapsed() < Duration::from_secs(5), "woken, not timed out");

    let mut request = fetch_request("t", 0, 1);
    request.max_wait_ms = 150;
    let began = Instant::now();
    let read = only_partition(reader.call(12, &request).await);
    assert!(read.records.unwrap().is_empty());
    assert!(began.elapsed() >= Duration::from_millis(150));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_waits_for_as_many_bytes_as_it_asked_for_over_all_its_partitions() {
    let broker = TestBroker::start().await;
    let (mut reader, mut writer) = (broker.connect().await, broker.connect().await);
    let batch = batch_of(&["0123456789"]);
    let mut request = fetch_request("t", 0, 0);
    let mut other = request.topics[0].partitions[0].clone();
    other.partition = 1;
    request.topics[0].partitions.push(other);
    request.min_bytes = 2 * batch.len() as i32;
    let id = reader.send(12, &request).await;
    writer.produce("t", 0, batch.clone()).await;
    reader.assert_silent(Duration::from_millis(200)).await;
    writer.produce("t", 1, batch).await;
    let answer = reader.receive::<FetchRequest>(12, id).await;
    assert!(answer.responses[0].partitions.iter().all(|partition| partition.high_watermark == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_ahead_are_appended_and_answered_in_order() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let mut ids = Vec::new();
    for number in 0..200 {
        ids.push(
            client
                .send(9, &produce_request(-1, "t", 0, Some(batch_of(&[&number.to_string()]))))
                .await,
        );
    }
    let versions = client.send(3, &client_of_this_test()).await;
    for (number, id) in ids.into_iter().enumerate() {
        let answer = client.receive::<ProduceRequest>(9, id).await;
        assert_eq!(answer.responses[0].partition_responses[0].base_offset, number as i64);
    }
    assert_eq!(client.receive::<ApiVersionsRequest>(3, versions).await.error_code, 0);
    let read = values(client.fetch("t", 0, 0).await.records.unwrap());
    assert_eq!(read, (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_and_small_requests_in_any_pieces() {
    let broker = TestBroker::start_with(&[("message.max.bytes", "3000000")]).await;
    let mut client = broker.connect().await;
    let mut written = Vec::new();
    let mut bytes = Vec::new();
    for size in [1, 3_000, 5_000, 40_000, 100, 1_200_000, 10, 2_500_000, 31_000, 33_000] {
        let value = "v".repeat(size) + &size.to_string();
        let request = produce_request(-1, "t", 0, Some(batch_of(&[&value])));
        bytes.extend_from_slice(&dohle_protocol::frame::request(9, size as i32, None, &request).unwrap().to_bytes());
        written.push(value);
    }
    for piece in bytes.chunks(77_777) {
        client.send_bytes(piece).await;
    }
    for _ in &written {
        client.receive_frame().await.unwrap();
    }
    for (offset, value) in written.iter().enumerate() {
        let read = client.fetch("t", 0, offset as i64).await;
        assert_eq!(values(read.records.unwrap()).first(), Some(value));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn localhost_listens_on_both_loopback_addresses() {
    let broker = TestBroker::start().await;
    let addresses = broker.addresses();
    assert_eq!(addresses[0].port(), addresses.last().unwrap().port());
    for address in addresses {
        let answer = Client::connect(address).await.call(3, &client_of_this_test()).await;
        assert_eq!(answer.error_code, 0, "{address}");
    }
}

fn client_of_this_test() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "test".to_string(),
        client_software_version: "1".to_string(),
        ..ApiVersionsRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answers_costs_little_memory_and_gets_them_all_in_the_end() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let value = "v".repeat(1_000_000);
    for _ in 0..8 {
        client.produce("t", 0, batch_of(&[&value])).await;
    }
    // Warm up: buffers and threads are there afterwards.
    client.fetch("t", 0, 0).await;
    let before = resident_bytes();
    let mut ids = Vec::new();
    for number in 0..200 {
        ids.push(client.send(12, &fetch_request("t", 0, number % 8)).await);
    }
    broker.canary().await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more for 200 MB of answers");
    for id in ids {
        let answer = client.receive::<FetchRequest>(12, id).await;
        assert!(only_partition(answer).records.unwrap().len() > 1_000_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_finishes_what_was_begun_and_does_not_wait_for_long_polls() {
    let disk = FaultyDisk::new();
    let broker = TestBroker::open(Arc::new(disk), &[("log.dirs", "/data")]).await;
    broker.create_test_topics().await;
    let (mut reader, mut writer) = (broker.connect().await, broker.connect().await);
    let mut request = fetch_request("t", 0, 0);
    request.max_wait_ms = 600_000;
    reader.send(12, &request).await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(writer.send(9, &produce_request(-1, "t", 1, Some(batch_of(&["x"])))).await);
    }
    // All of them have arrived when the first is answered: they were sent in one go.
    assert_eq!(
        writer.receive::<ProduceRequest>(9, ids[0]).await.responses[0].partition_responses[0].error_code,
        0
    );
    let began = Instant::now();
    let broker = broker.restart().await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let mut acknowledged = 1;
    while let Some(_answer) = writer.receive_frame().await {
        acknowledged += 1;
    }
    reader.assert_closed().await;
    let read = broker.connect().await.fetch("t", 1, 0).await;
    assert!(values(read.records.unwrap()).len() >= acknowledged);
}
