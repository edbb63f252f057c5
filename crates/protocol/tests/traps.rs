//! Details of the wire that implementations get wrong, by the number of the list they come from, and what the encoder refuses.

use bytes::Bytes;
use dohle_protocol::frame::{self, FrameError};
use dohle_protocol::header::{HeaderError, RequestHeader};
use dohle_protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse, SupportedFeatureKey};
use dohle_protocol::messages::describe_cluster::DescribeClusterResponse;
use dohle_protocol::messages::describe_topic_partitions::{Cursor, DescribeTopicPartitionsRequest};
use dohle_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, FetchableTopicResponse, PartitionData};
use dohle_protocol::messages::fetch::{FetchResponse, ReplicaState};
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic};
use dohle_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use dohle_protocol::wire::{Decoder, EncodeError, Encoder, Rope};
use dohle_protocol::{ApiKey, ErrorCode, Message};

fn encode(message: &impl Message, version: i16) -> Result<Rope, EncodeError> {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version)?;
    Ok(encoder.finish())
}

fn bytes_of(message: &impl Message, version: i16) -> Bytes {
    encode(message, version).expect("the message fits the version").to_bytes()
}

fn decode<M: Message>(bytes: &Bytes, version: i16) -> M {
    M::decode(&mut Decoder::new(bytes.clone()), version).expect("well-formed bytes")
}

#[test]
fn trap_01_client_id_stays_classic_in_flexible_headers() {
    let request = ApiVersionsRequest {
        client_software_name: "x".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    let frame = frame::request(3, 7, Some("me"), &request).expect("valid").to_bytes();
    let expected = [
        &[0, 0, 0, 18][..],         // length
        &[0, 18, 0, 3, 0, 0, 0, 7], // key, version, correlation id
        &[0, 2, b'm', b'e', 0],     // classic string, then no tagged fields
        &[2, b'x', 2, b'1', 0],     // compact strings, then no tagged fields
    ];
    assert_eq!(frame, expected.concat());
    let mut decoder = Decoder::new(frame.slice(4..));
    let (key, header) = RequestHeader::read(&mut decoder).expect("well-formed");
    assert_eq!(
        (key, header.request_api_version, header.correlation_id),
        (ApiKey::ApiVersions, 3, 7)
    );
    assert_eq!(header.client_id.as_deref(), Some("me"));
    assert_eq!(decoder.remaining(), 5);
}

#[test]
fn trap_01_client_id_may_be_null() {
    for (version, tags) in [(9, &[0][..]), (8, &[][..])] {
        let bytes = [&[0, 3, 0, version, 0, 0, 0, 7, 0xff, 0xff], tags].concat();
        let (_, header) = RequestHeader::read(&mut Decoder::new(Bytes::from(bytes))).expect("well-formed");
        assert_eq!(header.client_id, None);
    }
}

#[test]
fn trap_02_header_of_the_api_versions_response_never_changes() {
    for version in ApiKey::ApiVersions.valid_versions() {
        let frame = frame::response(ApiKey::ApiVersions, version, 7, &ApiVersionsResponse::default())
            .expect("valid")
            .to_bytes();
        assert_eq!(frame[4..8], [0, 0, 0, 7]);
        assert_eq!(frame[8..10], [0, 0], "the error code follows at once in version {version}");
    }
    let other = frame::response(ApiKey::Metadata, 9, 7, &MetadataResponse::default())
        .expect("valid")
        .to_bytes();
    assert_eq!(
        other[4..9],
        [0, 0, 0, 7, 0],
        "other flexible responses have tagged fields in the header"
    );
}

#[test]
fn trap_03_unknown_version_of_api_versions_is_answered_in_version_0() {
    let unreadable_body = [0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0, 0xde, 0xad];
    let (key, header) = RequestHeader::read(&mut Decoder::new(Bytes::copy_from_slice(&unreadable_body))).expect("the header is readable");
    assert!(!key.valid_versions().contains(&header.request_api_version));
    let range = ApiVersion {
        api_key: 18,
        min_version: 0,
        max_version: 5,
        ..Default::default()
    };
    let answer = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![range],
        ..Default::default()
    };
    let frame = frame::response(key, 0, header.correlation_id, &answer).expect("valid").to_bytes();
    assert_eq!(frame, [0, 0, 0, 16, 0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5][..]);
}

#[test]
fn trap_04_w5_unknown_key_is_an_error_of_the_header() {
    let bytes = Bytes::from_static(&[0x27, 0x0f, 0, 0, 0, 0, 0, 7, 0xff, 0xff]);
    assert_eq!(RequestHeader::read(&mut Decoder::new(bytes)), Err(HeaderError::UnknownApiKey(9999)));
    assert_eq!(ApiKey::from_code(4), None, "removed with ZooKeeper");
}

#[test]
fn trap_05_client_names_are_checked_from_version_3_on() {
    let named = |name: &str, version: &str| ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: version.into(),
        ..Default::default()
    };
    for (name, version) in [("librdkafka", "2.15.0"), ("a", "1"), ("A-b.c-9", "1-2.3")] {
        assert!(named(name, version).has_valid_client(3), "{name} {version}");
    }
    for (name, version) in [
        ("", "1"),
        ("a", ""),
        ("-a", "1"),
        ("a.", "1"),
        ("a b", "1"),
        ("a", "1\n"),
        ("é", "1"),
    ] {
        assert!(!named(name, version).has_valid_client(3), "{name} {version}");
        assert!(named(name, version).has_valid_client(2), "version 2 has no names");
    }
}

#[test]
fn trap_05_features_are_tagged_and_those_from_version_0_wait_for_version_4() {
    let feature = |name: &str, min_version| SupportedFeatureKey {
        name: name.into(),
        min_version,
        max_version: 1,
        ..Default::default()
    };
    let mut response = ApiVersionsResponse {
        supported_features: vec![feature("a", 0), feature("b", 1)],
        ..Default::default()
    };
    assert_eq!(bytes_of(&response, 2), [0; 10][..], "ignorable: older versions go without");
    assert_eq!(bytes_of(&response, 4)[7..10], [1, 0, 15], "one tagged field: tag 0 of 15 bytes");
    response.fit_features(4);
    assert_eq!(response.supported_features.len(), 2);
    response.fit_features(3);
    assert_eq!(response.supported_features, [feature("b", 1)]);
}

#[test]
fn trap_07_compact_lengths_are_one_more_and_null_is_zero() {
    let topic = MetadataRequestTopic {
        name: Some("t".into()),
        ..Default::default()
    };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        ..Default::default()
    };
    assert_eq!(bytes_of(&request, 9), [2, 2, b't', 0, 1, 0, 0, 0][..]);
    assert_eq!(
        bytes_of(
            &MetadataRequest {
                topics: None,
                ..Default::default()
            },
            9
        ),
        [0, 1, 0, 0, 0][..]
    );
    assert_eq!(
        bytes_of(
            &MetadataRequest {
                topics: Some(vec![]),
                ..Default::default()
            },
            9
        ),
        [1, 1, 0, 0, 0][..]
    );
    assert_eq!(
        bytes_of(
            &MetadataRequest {
                topics: None,
                ..Default::default()
            },
            8
        ),
        [0xff, 0xff, 0xff, 0xff, 1, 0, 0][..]
    );
}

#[test]
fn trap_07_nullable_structs_start_with_a_marker() {
    let cursor = Cursor {
        topic_name: "t".into(),
        partition_index: 3,
        ..Default::default()
    };
    let with = DescribeTopicPartitionsRequest {
        cursor: Some(cursor),
        ..Default::default()
    };
    let bytes = bytes_of(&with, 0);
    assert_eq!(bytes, [1, 0, 0, 7, 0xd0, 1, 2, b't', 0, 0, 0, 3, 0, 0][..]);
    assert_eq!(decode::<DescribeTopicPartitionsRequest>(&bytes, 0), with);
    assert_eq!(
        bytes_of(&DescribeTopicPartitionsRequest::default(), 0),
        [1, 0, 0, 7, 0xd0, 0xff, 0][..]
    );
}

#[test]
fn trap_10_operations_that_were_not_asked_for_are_the_smallest_number() {
    assert_eq!(MetadataResponse::default().cluster_authorized_operations, i32::MIN);
    assert_eq!(MetadataResponseTopic::default().topic_authorized_operations, i32::MIN);
    assert_eq!(DescribeClusterResponse::default().cluster_authorized_operations, i32::MIN);
}

#[test]
fn w1_w2_w4_frames_that_cannot_be_requests_are_refused_by_their_length() {
    let max = 1000;
    assert_eq!(frame::length([0, 0, 3, 0xe8], max), Ok(1000));
    assert_eq!(frame::length([0, 0, 3, 0xe9], max), Err(FrameError::TooLarge { size: 1001, max }));
    assert_eq!(
        frame::length([0x7f, 0xff, 0xff, 0xff], max),
        Err(FrameError::TooLarge { size: i32::MAX, max })
    );
    assert_eq!(frame::length([0xff; 4], max), Err(FrameError::Invalid(-1)));
    assert_eq!(frame::length([0; 4], max), Err(FrameError::Invalid(0)));
    assert_eq!(frame::length(*b"GET ", max), Err(FrameError::OtherProtocol("HTTP")));
    assert_eq!(frame::length([0x16, 0x03, 0x01, 0x02], max), Err(FrameError::OtherProtocol("TLS")));
}

fn produce(records: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData {
        records: Some(records),
        ..Default::default()
    };
    let topic = TopicProduceData {
        name: "t".into(),
        partition_data: vec![partition],
        ..Default::default()
    };
    ProduceRequest {
        acks: -1,
        topic_data: vec![topic],
        ..Default::default()
    }
}

#[test]
fn long_records_are_attached_and_sliced_but_never_copied() {
    let records = Bytes::from(vec![5; 100_000]);
    let rope = frame::request(9, 1, None, &produce(records.clone())).expect("valid");
    assert_eq!(rope.chunks.len(), 3, "what comes before, the records, what comes after");
    assert_eq!(rope.chunks[1].as_ptr(), records.as_ptr());
    let frame = rope.to_bytes();
    assert_eq!(frame.len(), rope.len());
    assert_eq!(frame[..4], u32::to_be_bytes(frame.len() as u32 - 4));
    let mut decoder = Decoder::new(frame.slice(4..));
    RequestHeader::read(&mut decoder).expect("well-formed");
    let decoded = ProduceRequest::decode(&mut decoder, 9).expect("well-formed");
    let sliced = decoded.topic_data[0].partition_data[0].records.as_ref().expect("records");
    assert!(frame.as_ptr_range().contains(&sliced.as_ptr()), "a slice of the frame");
    assert_eq!(
        frame::request(9, 1, None, &produce(records.slice(..1023)))
            .expect("valid")
            .chunks
            .len(),
        1
    );
}

#[test]
fn attached_records_inside_many_partitions_keep_their_order() {
    let partition = |index: i32| {
        let records = Bytes::from(vec![index as u8; if index % 2 == 0 { 2000 } else { 10 }]);
        PartitionData {
            partition_index: index,
            records: Some(records),
            ..Default::default()
        }
    };
    let topic = FetchableTopicResponse {
        partitions: (0..20).map(partition).collect(),
        ..Default::default()
    };
    let response = FetchResponse {
        responses: vec![topic],
        ..Default::default()
    };
    let rope = frame::response(ApiKey::Fetch, 16, 5, &response).expect("valid");
    assert_eq!(rope.chunks.len(), 21);
    let (header, decoded) = frame::read_response::<FetchRequest>(rope.to_bytes().slice(4..), 16).expect("well-formed");
    assert_eq!((header.correlation_id, decoded), (5, response));
}

#[test]
fn fields_that_a_version_lacks_are_refused_unless_they_may_be_dropped() {
    let partition = FetchPartition {
        current_leader_epoch: 4,
        last_fetched_epoch: 3,
        ..Default::default()
    };
    let topic = FetchTopic {
        partitions: vec![partition],
        ..Default::default()
    };
    let request = FetchRequest {
        topics: vec![topic],
        rack_id: "r".into(),
        ..Default::default()
    };
    let refused = EncodeError::NotInVersion {
        message: "FetchPartition",
        field: "last_fetched_epoch",
        version: 11,
    };
    assert_eq!(encode(&request, 11).map(|rope| rope.len()), Err(refused));
    assert!(encode(&request, 12).is_ok());

    let follower = ReplicaState {
        replica_id: 1,
        ..Default::default()
    };
    let follower = FetchRequest {
        replica_state: follower,
        ..Default::default()
    };
    assert!(
        matches!(
            encode(&follower, 14),
            Err(EncodeError::NotInVersion {
                field: "replica_state",
                ..
            })
        ),
        "tagged fields, too"
    );
    assert!(matches!(
        encode(&MetadataRequest::default(), 0),
        Err(EncodeError::Null { field: "topics", .. })
    ));

    let dropped: FetchRequest = decode(
        &bytes_of(
            &FetchRequest {
                rack_id: "r".into(),
                ..Default::default()
            },
            10,
        ),
        10,
    );
    assert_eq!(dropped, FetchRequest::default(), "ignorable");
}

#[test]
fn unknown_tagged_fields_are_kept_and_written_in_order() {
    // ReplicaState (tag 1) amid unknown tags 5 and 0x80; tag 0 (cluster id) is set before encoding.
    let tail = [3, 5, 1, 0xaa, 0x80, 1, 2, 0xbb, 0xcc, 1, 13, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 8, 0];
    let head = bytes_of(&FetchRequest::default(), 17);
    let input = Bytes::from([&head[..head.len() - 1], &tail].concat());
    let mut request: FetchRequest = decode(&input, 17);
    assert_eq!((request.replica_state.replica_id, request.replica_state.replica_epoch), (9, 8));
    let unknown: Vec<_> = request
        .unknown_tagged_fields
        .iter()
        .map(|(tag, content)| (tag, content.to_vec()))
        .collect();
    assert_eq!(unknown, [(5, vec![0xaa]), (0x80, vec![0xbb, 0xcc])]);
    request.cluster_id = Some("c".into());
    let output = bytes_of(&request, 17);
    let expected = [
        4, 0, 2, 2, b'c', 1, 13, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 8, 0, 5, 1, 0xaa, 0x80, 1, 2, 0xbb, 0xcc,
    ];
    assert_eq!(output[head.len() - 1..], expected);
    assert!(encode(&request, 11).is_err(), "there is no place for them in classic versions");
}

#[test]
fn trailing_bytes_are_left_in_the_decoder() {
    let mut decoder = Decoder::new(Bytes::from([&bytes_of(&MetadataRequest::default(), 9)[..], &[1, 2, 3]].concat()));
    MetadataRequest::decode(&mut decoder, 9).expect("well-formed");
    assert_eq!(decoder.remaining(), 3);
}

#[test]
fn strings_that_the_protocol_cannot_carry_are_refused() {
    let topic = |length| MetadataRequestTopic {
        name: Some("x".repeat(length)),
        ..Default::default()
    };
    for version in [1, 9] {
        assert!(encode(&topic(0x7fff), version).is_ok());
        assert!(matches!(encode(&topic(0x8000), version), Err(EncodeError::TooLong(0x8000))));
    }
}
