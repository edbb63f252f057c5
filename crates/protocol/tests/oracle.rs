//! The published crate `kafka-protocol` as an oracle: whatever both know must become the same bytes.

mod generator;

use bytes::{Bytes, BytesMut};
use dohle_protocol::message::Message;
use dohle_protocol::wire::{Decoder, Encoder};
use dohle_protocol::{ApiKey, ErrorCode, Request, consumer_protocol};
use generator::{Random, for_each_api};
use kafka_protocol::messages as oracle;
use kafka_protocol::protocol::{Decodable, Encodable, Message as OracleMessage};

const MESSAGES_PER_VERSION: u64 = 60;

/// Decodes a generated message and encodes it again; the bytes must be those that the oracle makes of the same input.
fn check<M: Message + PartialEq + std::fmt::Debug, O: Decodable + Encodable + OracleMessage>() {
    let schema = M::SCHEMA;
    let mut compared = 0;
    for version in schema.versions.first..=schema.versions.last {
        for seed in 0..MESSAGES_PER_VERSION {
            let context = || format!("{} version {version} seed {seed}", schema.name);
            let input = Bytes::from(generator::message(schema, version, &mut Random(seed)));
            let mut decoder = Decoder::new(input.clone());
            let message = M::decode(&mut decoder, version).unwrap_or_else(|error| panic!("{}: {error}", context()));
            assert_eq!(decoder.remaining(), 0, "{}", context());
            let output = encode(&message, version);
            let again = M::decode(&mut Decoder::new(output.clone()), version).unwrap_or_else(|error| panic!("{}: {error}", context()));
            assert_eq!(again, message, "{}", context());
            if (O::VERSIONS.min..=O::VERSIONS.max).contains(&version) {
                assert_eq!(output, through_oracle::<O>(input, version), "{}", context());
                compared += 1;
            }
        }
    }
    assert!(compared > 0, "{} was compared with nothing", schema.name);
}

fn encode(message: &impl Message, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    message
        .encode(&mut encoder, version)
        .expect("a decoded message can be encoded in the same version");
    encoder.finish().to_bytes()
}

fn through_oracle<O: Decodable + Encodable>(mut input: Bytes, version: i16) -> Bytes {
    let message = O::decode(&mut input, version).expect("the oracle reads what the generator writes");
    let mut output = BytesMut::new();
    message.encode(&mut output, version).expect("the oracle writes what it has read");
    output.freeze()
}

macro_rules! check_all {
    ($($module:ident::$request:ident, $response:ident;)*) => {$(
        check::<dohle_protocol::messages::$module::$request, oracle::$request>();
        check::<dohle_protocol::messages::$module::$response, oracle::$response>();
    )*};
}

#[test]
fn every_message_of_every_version_becomes_the_same_bytes() {
    for_each_api!(check_all);
}

#[test]
fn headers_become_the_same_bytes() {
    check::<dohle_protocol::header::RequestHeader, oracle::RequestHeader>();
    check::<dohle_protocol::header::ResponseHeader, oracle::ResponseHeader>();
}

#[test]
fn what_members_of_a_group_tell_each_other_becomes_the_same_bytes() {
    check::<consumer_protocol::ConsumerProtocolSubscription, oracle::ConsumerProtocolSubscription>();
    check::<consumer_protocol::ConsumerProtocolAssignment, oracle::ConsumerProtocolAssignment>();
}

/// The table of API keys and the structs must say the same.
fn check_versions<R: Request>() {
    let (versions, response) = (R::SCHEMA.versions, R::Response::SCHEMA);
    assert_eq!(R::KEY.valid_versions(), versions.first..=versions.last, "{}", R::KEY);
    assert_eq!(response.versions, versions, "{}", response.name);
    assert_eq!(response.flexible, R::SCHEMA.flexible, "{}", response.name);
    assert_eq!(format!("{}Request", R::KEY), R::SCHEMA.name);
    for version in versions.first..=versions.last {
        assert_eq!(
            R::KEY.request_header_version(version) == 2,
            R::SCHEMA.flexible.contains(version),
            "{} {version}",
            R::KEY
        );
    }
}

/// Nobody else knows these messages: what is read is written again as it was.
fn check_own<R: Request + PartialEq + std::fmt::Debug>()
where
    R::Response: PartialEq + std::fmt::Debug,
{
    check_versions::<R>();
    round_trip::<R>();
    round_trip::<R::Response>();
}

fn round_trip<M: Message + PartialEq + std::fmt::Debug>() {
    for version in M::SCHEMA.versions.first..=M::SCHEMA.versions.last {
        for seed in 0..MESSAGES_PER_VERSION {
            let input = Bytes::from(generator::message(M::SCHEMA, version, &mut Random(seed)));
            let message = M::decode(&mut Decoder::new(input.clone()), version).unwrap();
            assert_eq!(encode(&message, version), input, "{} version {version} seed {seed}", M::SCHEMA.name);
        }
    }
}

#[test]
fn messages_that_are_not_kafkas_are_written_as_they_are_read() {
    check_own::<dohle_protocol::messages::peer_rpc::PeerRpcRequest>();
    check_own::<dohle_protocol::messages::forward_to_controller::ForwardToControllerRequest>();
}

macro_rules! check_all_versions {
    ($($module:ident::$request:ident, $response:ident;)*) => {$(
        check_versions::<dohle_protocol::messages::$module::$request>();
    )*};
}

#[test]
fn structs_and_the_table_of_keys_agree_on_versions() {
    for_each_api!(check_all_versions);
}

#[test]
fn headers_of_every_api_have_the_same_versions() {
    let mut compared = 0;
    for &key in ApiKey::ALL {
        let Ok(other) = oracle::ApiKey::try_from(key.code()) else {
            continue;
        };
        let (ours, theirs) = (key.valid_versions(), other.valid_versions());
        for version in *ours.start().max(&theirs.min)..=*ours.end().min(&theirs.max) {
            assert_eq!(
                key.request_header_version(version),
                other.request_header_version(version),
                "{key} {version}"
            );
            assert_eq!(
                key.response_header_version(version),
                other.response_header_version(version),
                "{key} {version}"
            );
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn error_codes_have_the_same_names() {
    for code in -1..=133 {
        let ours = ErrorCode::from_code(code);
        assert_eq!(ours.code(), code);
        let Some(theirs) = kafka_protocol::error::ResponseError::try_from_code(code) else {
            assert!(ours.is_none(), "{ours:?}");
            continue;
        };
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        // Kafka has made this one retriable since.
        if ours != ErrorCode::ConcurrentTransactions {
            assert_eq!(ours.is_retriable(), theirs.is_retriable(), "{ours}");
        }
        assert_eq!(ours.name().replace('_', "").to_lowercase(), format!("{ours:?}").to_lowercase());
    }
    assert_eq!(ErrorCode::ALL.len(), 135);
    assert_eq!(ErrorCode::from_code(9999), ErrorCode::UnknownServerError);
}
