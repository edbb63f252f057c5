//! Any bytes as the body of any request or response in any version: an error or a message, and a message survives its own encoding.

#![no_main]

#[path = "../../crates/protocol/tests/generator/mod.rs"]
mod generator;

use bytes::Bytes;
use dohle_protocol::Message;
use dohle_protocol::frame;
use dohle_protocol::header::RequestHeader;
use dohle_protocol::limits::REQUEST_BYTES_MAX_DEFAULT;
use dohle_protocol::wire::{Decoder, Encoder};
use generator::{Random, for_each_api};
use libfuzzer_sys::fuzz_target;

type Check = fn(version: u8, body: &[u8]);

macro_rules! table {
    ($($module:ident::$request:ident, $response:ident;)*) => {
        &[$(
            check::<dohle_protocol::messages::$module::$request>,
            check::<dohle_protocol::messages::$module::$response>,
        )*]
    };
}

const MESSAGES: &[Check] = for_each_api!(table);

// The first byte chooses the message, the second the version, the third how the rest becomes the body.
fuzz_target!(|data: &[u8]| {
    if let Some((&first, body)) = data.split_first() {
        let version = body.first().copied().unwrap_or(0);
        MESSAGES[usize::from(first) % MESSAGES.len()](version, body.get(1..).unwrap_or_default());
    }
    if let Some((prefix, rest)) = data.split_first_chunk() {
        let _ = frame::length(*prefix, REQUEST_BYTES_MAX_DEFAULT);
        let _ = RequestHeader::read(&mut Decoder::new(Bytes::copy_from_slice(rest)));
    }
});

fn check<M: Message>(version: u8, input: &[u8]) {
    let versions = M::SCHEMA.versions;
    let version = versions.first + i16::from(version) % (versions.last - versions.first + 1);
    let body = Bytes::from(match input.split_first() {
        Some((seed, changes)) if *seed != 0 => valid_but_changed(M::SCHEMA, version, *seed, changes),
        _ => input.get(1..).unwrap_or_default().to_vec(),
    });
    let Ok(message) = M::decode(&mut Decoder::new(body), version) else {
        return;
    };
    let encoded = encode(&message, version);
    let again = M::decode(&mut Decoder::new(encoded.clone()), version).expect("what was encoded can be decoded");
    // Not the messages themselves: unknown tagged fields that came out of order are written in order.
    assert_eq!(encode(&again, version), encoded);
}

fn encode(message: &impl Message, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    message
        .encode(&mut encoder, version)
        .expect("what was decoded can be encoded in the same version");
    encoder.finish().to_bytes()
}

/// A valid message, of which each three bytes of `changes` overwrite one: its position (two bytes) and the new value.
fn valid_but_changed(schema: &dohle_protocol::message::Schema, version: i16, seed: u8, changes: &[u8]) -> Vec<u8> {
    let mut body = generator::message(schema, version, &mut Random(u64::from(seed)));
    for change in changes.chunks_exact(3) {
        let position = usize::from(u16::from_be_bytes([change[0], change[1]]));
        if let Some(byte) = body.get_mut(position) {
            *byte = change[2];
        }
    }
    body
}
