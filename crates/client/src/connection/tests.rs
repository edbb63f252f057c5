//! A scripted server: fallback of the handshake, pipelining, and what a broken or slow server does to those who wait.

use std::time::Duration;

use bytes::Buf;
use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::header::RequestHeader;
use dohle_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use dohle_protocol::wire::Decoder;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use crate::properties::Properties;

fn config(address: &str, request_timeout_ms: u64) -> ClientConfig {
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", address);
    properties.set("request.timeout.ms", request_timeout_ms.to_string());
    ClientConfig::from_properties(&properties).unwrap()
}

async fn read_header(stream: &mut TcpStream) -> RequestHeader {
    let frame = framing::read(stream).await.unwrap();
    RequestHeader::read(&mut Decoder::new(frame)).unwrap().1
}

async fn answer<R: Request>(stream: &mut TcpStream, version: i16, correlation_id: i32, body: &R::Response) {
    let rope = frame::response(R::KEY, version, correlation_id, body).unwrap();
    stream.write_all(&rope.to_bytes()).await.unwrap();
}

fn ranges(error: ErrorCode, ranges: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    let range = |&(api, min_version, max_version): &(ApiKey, i16, i16)| ApiVersion {
        api_key: api.code(),
        min_version,
        max_version,
        ..Default::default()
    };
    ApiVersionsResponse {
        error_code: error.code(),
        api_keys: ranges.iter().map(range).collect(),
        ..Default::default()
    }
}

type VersionsRequest = dohle_protocol::messages::api_versions::ApiVersionsRequest;

async fn accept_speaking_metadata_1(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let header = read_header(&mut stream).await;
    let body = ranges(ErrorCode::None, &[(ApiKey::Metadata, 0, 1)]);
    answer::<VersionsRequest>(&mut stream, header.request_api_version, header.correlation_id, &body).await;
    stream
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[tokio::test]
async fn trap_3_a_server_that_refuses_our_version_is_asked_again_in_its_own() {
    for offered in [3, 0] {
        let (listener, address) = listen().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let first = read_header(&mut stream).await;
            let refusal = ranges(ErrorCode::UnsupportedVersion, &[(ApiKey::ApiVersions, 0, offered)]);
            answer::<VersionsRequest>(&mut stream, 0, first.correlation_id, &refusal).await;
            let second = read_header(&mut stream).await;
            let body = ranges(ErrorCode::None, &[(ApiKey::Metadata, 0, 7)]);
            answer::<VersionsRequest>(&mut stream, offered, second.correlation_id, &body).await;
            (first.request_api_version, second.request_api_version)
        });
        let connection = Connection::open(&address, &config(&address, 5000)).await.unwrap();
        assert_eq!(connection.version_of(ApiKey::Metadata).unwrap(), 7);
        assert!(connection.version_of(ApiKey::Fetch).is_err());
        assert_eq!(server.await.unwrap(), (*ApiKey::ApiVersions.valid_versions().end(), offered));
    }
}

#[tokio::test]
async fn requests_are_in_flight_together_and_answers_find_their_requests() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut stream = accept_speaking_metadata_1(&listener).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(read_header(&mut stream).await.correlation_id);
        }
        for id in ids {
            let body = MetadataResponse {
                controller_id: id,
                ..Default::default()
            };
            answer::<MetadataRequest>(&mut stream, 1, id, &body).await;
        }
    });
    let connection = Connection::open(&address, &config(&address, 5000)).await.unwrap();
    let mut replies = Vec::new();
    for _ in 0..3 {
        replies.push(
            connection
                .start(&MetadataRequest::default(), 1, Duration::from_secs(5))
                .await
                .unwrap(),
        );
    }
    let mut controllers = Vec::new();
    for reply in replies {
        controllers.push(reply.wait().await.unwrap().controller_id);
    }
    assert_eq!(controllers, [1, 2, 3]);
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_goes_away_fails_all_that_wait() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut stream = accept_speaking_metadata_1(&listener).await;
        read_header(&mut stream).await;
    });
    let connection = Connection::open(&address, &config(&address, 5000)).await.unwrap();
    let request = MetadataRequest::default();
    let (first, second) = tokio::join!(connection.call(&request), connection.call(&request));
    for outcome in [first, second, connection.call(&request).await] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, ClientError::Disconnected { .. }), "{error}");
        assert!(error.to_string().contains(&address));
    }
    assert!(connection.is_closed());
    server.await.unwrap();
}

#[tokio::test]
async fn a_late_answer_ends_the_connection() {
    let (listener, address) = listen().await;
    let _server = tokio::spawn(async move {
        let mut stream = accept_speaking_metadata_1(&listener).await;
        read_header(&mut stream).await;
        std::future::pending::<()>().await;
    });
    let connection = Connection::open(&address, &config(&address, 100)).await.unwrap();
    let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::TimedOut {
                api: "Metadata",
                timeout_ms: 100,
                ..
            }
        ),
        "{error}"
    );
    assert!(connection.is_closed());
}

#[tokio::test]
async fn an_answer_to_another_request_ends_the_connection() {
    let (listener, address) = listen().await;
    let _server = tokio::spawn(async move {
        let mut stream = accept_speaking_metadata_1(&listener).await;
        let header = read_header(&mut stream).await;
        answer::<MetadataRequest>(&mut stream, 1, header.correlation_id + 1, &MetadataResponse::default()).await;
        std::future::pending::<()>().await;
    });
    let connection = Connection::open(&address, &config(&address, 5000)).await.unwrap();
    let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Disconnected { .. }), "{error}");
}

#[tokio::test]
async fn c4_a_server_that_is_not_there_is_named() {
    let (listener, address) = listen().await;
    drop(listener);
    let error = Connection::open(&address, &config(&address, 5000)).await.err().unwrap();
    assert!(
        matches!(error, ClientError::Unreachable { .. }) && error.to_string().contains(&address),
        "{error}"
    );
}

#[test]
fn a_frame_carries_its_own_length() {
    let rope = encode_request(&MetadataRequest::default(), 1, 7, "me").unwrap();
    let mut bytes = rope.to_bytes();
    assert_eq!(bytes.get_i32() as usize, bytes.len());
}
