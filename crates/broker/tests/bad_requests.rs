//! Bytes that are no request, or not one that is served: the connection that sent them ends, with one warning, and no other notices.

mod harness;

use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::frame;
use dohle_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use dohle_protocol::messages::produce::ProduceRequest;
use dohle_protocol::wire::Decoder;
use dohle_protocol::{ApiKey, Message, Request};
use harness::*;

/// Sends bytes on a connection of their own, which the broker has to close with a warning that contains `warning`.
async fn assert_closes(broker: &TestBroker, bytes: &[u8], warning: &str) {
    let mut client = broker.connect().await;
    client.send_bytes(bytes).await;
    client.assert_closed().await;
    let warnings = warnings_about(client.local_address());
    assert!(
        matches!(warnings.as_slice(), [line] if line.contains(warning)),
        "{warning:?} is not the one line of {warnings:?}"
    );
}

/// A request with the header of version 1 and some body.
fn request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&key.to_be_bytes());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&7i32.to_be_bytes());
    bytes.extend_from_slice(&(-1i16).to_be_bytes());
    bytes.extend_from_slice(body);
    framed(&bytes)
}

/// The same with the tagged fields of the header of version 2.
fn flexible_request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    request(key, version, &[&[0], body].concat())
}

fn framed(request: &[u8]) -> Vec<u8> {
    [&(request.len() as i32).to_be_bytes(), request].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn w1_sizes_that_are_none() {
    let broker = TestBroker::start().await;
    assert_closes(&broker, &(-1i32).to_be_bytes(), "invalid size -1").await;
    assert_closes(&broker, &0i32.to_be_bytes(), "invalid size 0").await;
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w2_a_size_beyond_the_limit_is_refused_at_once() {
    let broker = TestBroker::start().await;
    assert_closes(&broker, &i32::MAX.to_be_bytes(), "size 2147483647 is above the limit of 104857600").await;
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w3_memory_follows_what_arrives_and_silence_ends_the_connection() {
    raise_open_files_limit();
    let broker = TestBroker::start_with(&[("connections.max.idle.ms", "1500")]).await;
    let before = resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..500 {
        let mut client = broker.connect().await;
        client
            .send_bytes(&[&(100i32 << 20).to_be_bytes()[..], b"0123456789"].concat())
            .await;
        clients.push(client);
    }
    broker.canary().await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes more for 500 connections on both sides");
    for client in &mut clients {
        client.assert_closed().await;
    }
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w4_other_protocols_are_recognised() {
    let broker = TestBroker::start().await;
    assert_closes(&broker, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "looks like HTTP").await;
    assert_closes(
        &broker,
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03],
        "looks like TLS",
    )
    .await;
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w5_unknown_keys_and_versions() {
    let broker = TestBroker::start().await;
    let mut bystander = broker.connect().await;
    assert_closes(&broker, &request(9999, 0, &[]), "unknown API key 9999").await;
    assert_closes(&broker, &flexible_request(0, 99, &[]), "version 99 of Produce is not served").await;
    // Known to the protocol, but not served.
    assert_closes(
        &broker,
        &request(ApiKey::SaslHandshake.code(), 1, &[]),
        "version 1 of SaslHandshake is not served",
    )
    .await;
    assert_closes(&broker, &framed(&[0, 0]), "malformed request header").await;
    assert_eq!(
        bystander.produce("t", 0, batch_of(&["x"])).await.error_code,
        0,
        "other connections go on"
    );
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w6_trap_3_an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client
        .send_bytes(&flexible_request(ApiKey::ApiVersions.code(), 99, b"whatever this means"))
        .await;
    let mut decoder = Decoder::new(client.receive_frame().await.unwrap());
    assert_eq!(decoder.i32(), Ok(7), "the correlation id");
    let answer = ApiVersionsResponse::decode(&mut decoder, 0).unwrap();
    assert_eq!(error_of(answer.error_code), ErrorCode::UnsupportedVersion);
    let listed: Vec<_> = answer
        .api_keys
        .iter()
        .map(|api| (api.api_key, api.min_version, api.max_version))
        .collect();
    assert_eq!(listed, [(18, 0, *ApiKey::ApiVersions.valid_versions().end())]);
    let again = client.call(0, &ApiVersionsRequest::default()).await;
    assert_eq!(again.error_code, 0, "the connection stays");
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_5_what_api_versions_says() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let introduced = |name: &str| ApiVersionsRequest {
        client_software_name: name.to_string(),
        client_software_version: "1.0".to_string(),
        ..ApiVersionsRequest::default()
    };
    let answer = client.call(4, &introduced("test")).await;
    let produce = answer.api_keys.iter().find(|api| api.api_key == 0).unwrap();
    assert_eq!(
        (produce.min_version, produce.max_version),
        (0, 13),
        "from 0 on, for the sake of older clients"
    );
    assert!(answer.api_keys.is_sorted_by_key(|api| api.api_key));
    assert!(answer.finalized_features_epoch >= 0);
    assert!(answer.finalized_features.is_empty(), "no feature is claimed");
    assert_eq!(
        error_of(client.call(3, &introduced("no spaces, please")).await.error_code),
        ErrorCode::InvalidRequest
    );

    let mut elsewhere = introduced("test");
    elsewhere.node_id = 4711;
    assert_eq!(error_of(client.call(5, &elsewhere).await.error_code), ErrorCode::InvalidRequest);
    elsewhere.cluster_id = Some("another".to_string());
    assert_eq!(
        error_of(client.call(5, &elsewhere).await.error_code),
        ErrorCode::RebootstrapRequired
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn w7_counts_that_nothing_stands_behind() {
    let broker = TestBroker::start().await;
    let before = resident_bytes();
    assert_closes(
        &broker,
        &request(ApiKey::Metadata.code(), 0, &[0x03, 0x3c, 0x0c, 0x00]),
        "malformed Metadata request",
    )
    .await;
    assert_closes(
        &broker,
        &flexible_request(ApiKey::Metadata.code(), 12, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        "malformed Metadata",
    )
    .await;
    assert_closes(
        &broker,
        &flexible_request(ApiKey::Metadata.code(), 12, &[0x80; 6]),
        "malformed Metadata",
    )
    .await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w8_strings_that_are_none() {
    let broker = TestBroker::start().await;
    let metadata_v1 = |name: &[u8]| request(ApiKey::Metadata.code(), 1, &[&[0, 0, 0, 1], name].concat());
    assert_closes(&broker, &metadata_v1(&[0xff, 0xfe]), "malformed Metadata").await;
    assert_closes(&broker, &metadata_v1(&[0, 2, 0xc3, 0x28]), "malformed Metadata").await;
    assert_closes(&broker, &metadata_v1(&[0x7f, 0xff, b'a']), "malformed Metadata").await;
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_what_came_before_a_malformed_request_still_arrive() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let good = frame::request(9, 1, None, &produce_request(-1, "t", 0, Some(batch_of(&["x"]))))
        .unwrap()
        .to_bytes();
    client.send_bytes(&[&good[..], &request(9999, 0, &[])].concat()).await;
    let answer = client.receive::<ProduceRequest>(9, 1).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    client.assert_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_end_but_a_long_poll_is_not_idle() {
    let broker = TestBroker::start_with(&[("connections.max.idle.ms", "400")]).await;
    let mut idle = broker.connect().await;
    let mut polling = broker.connect().await;
    let mut request = fetch_request("t", 0, 0);
    request.max_wait_ms = 1_500;
    let id = polling.send(12, &request).await;
    idle.assert_closed().await;
    assert_eq!(
        polling
            .receive::<dohle_protocol::messages::fetch::FetchRequest>(12, id)
            .await
            .error_code,
        0
    );
    assert!(warnings_about(idle.local_address()).is_empty(), "nothing worth a warning");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited_by_address() {
    let broker = TestBroker::start_with(&[("max.connections.per.ip", "3")]).await;
    // The broker notices a moment later that the connection that made the topics is closed.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut client = broker.connect().await;
        assert_eq!(client.call(0, &ApiVersionsRequest::default()).await.error_code, 0);
        open.push(client);
    }
    broker.connect().await.assert_closed().await;
    drop(open);
    tokio::time::sleep(Duration::from_millis(500)).await;
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_longer_than_the_shared_buffer_wait_for_the_budget() {
    let broker = TestBroker::start_with(&[("socket.request.max.bytes", "1000000"), ("queued.max.request.bytes", "1")]).await;
    let value = "v".repeat(900_000);
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = broker.connect().await;
        let value = value.clone();
        clients.push(tokio::spawn(
            async move { client.produce("t", 0, batch_of(&[&value])).await.error_code },
        ));
    }
    for client in clients {
        assert_eq!(client.await.unwrap(), 0);
    }
    assert_eq!(ProduceRequest::KEY, ApiKey::Produce);
}
