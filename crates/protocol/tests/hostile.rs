//! Malformed input: every decode ends with a value or an error, and memory stays in proportion to what was received.

mod generator;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use dohle_protocol::Message;
use dohle_protocol::messages::fetch::FetchResponse;
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use dohle_protocol::wire::{DecodeError, Decoder, Encoder};
use generator::{Random, for_each_api};

/// More than this beyond a multiple of the input is "allocating without bound".
const EXTRA_BYTES_MAX: usize = 1024 * 1024;

struct CountingAllocator;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn count(added: usize, removed: usize) {
    let live = LIVE.get().wrapping_add(added).wrapping_sub(removed);
    LIVE.set(live);
    // A buffer that another thread allocated makes the difference wrap; it is no growth of ours.
    if (live as isize) > (PEAK.get() as isize) {
        PEAK.set(live);
    }
}

#[allow(
    unsafe_code,
    reason = "measuring memory needs an allocator, and an allocator is unsafe by signature"
)]
// SAFETY: every call is passed on to the system allocator unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Decodes, and fails if the largest amount of memory on the way was out of proportion.
fn decode<M: Message>(input: &Bytes, version: i16) -> Result<M, DecodeError> {
    let before = LIVE.get();
    PEAK.set(before);
    let result = M::decode(&mut Decoder::new(input.clone()), version);
    let used = PEAK.get().wrapping_sub(before);
    assert!(
        used <= 64 * input.len() + EXTRA_BYTES_MAX,
        "{} v{version}: {} bytes in, {used} allocated",
        M::SCHEMA.name,
        input.len()
    );
    result
}

fn cut_everywhere<M: Message>() {
    for version in M::SCHEMA.versions.first..=M::SCHEMA.versions.last {
        let input = Bytes::from(generator::message(M::SCHEMA, version, &mut Random(version as u64)));
        for length in 0..input.len() {
            assert!(
                decode::<M>(&input.slice(..length), version).is_err(),
                "{} v{version} cut at {length}",
                M::SCHEMA.name
            );
        }
        assert!(decode::<M>(&input, version).is_ok());
    }
}

macro_rules! cut_all {
    ($($module:ident::$request:ident, $response:ident;)*) => {$(
        cut_everywhere::<dohle_protocol::messages::$module::$request>();
        cut_everywhere::<dohle_protocol::messages::$module::$response>();
    )*};
}

#[test]
fn w8_every_message_cut_at_every_byte_is_an_error() {
    for_each_api!(cut_all);
}

/// Overwrites single bytes and short runs with the values that make lengths negative or huge.
fn corrupt<M: Message>() {
    for version in M::SCHEMA.versions.first..=M::SCHEMA.versions.last {
        let mut random = Random(version as u64);
        let input = generator::message(M::SCHEMA, version, &mut random);
        for _ in 0..300 {
            let mut bytes = input.clone();
            let run = 1 + random.below(5);
            let start = random.below(bytes.len().max(1));
            let value = [0x00, 0x7f, 0x80, 0xfe, 0xff][random.below(5)];
            bytes.iter_mut().skip(start).take(run).for_each(|byte| *byte = value);
            let bytes = Bytes::from(bytes);
            // Whatever is still a message can be written again.
            if let Ok(message) = decode::<M>(&bytes, version) {
                message
                    .encode(&mut Encoder::new(), version)
                    .expect("a decoded message can be encoded in the same version");
            }
        }
        let noise: Vec<u8> = (0..4096).map(|_| random.next() as u8).collect();
        let _ = decode::<M>(&Bytes::from(noise), version);
    }
}

macro_rules! corrupt_all {
    ($($module:ident::$request:ident, $response:ident;)*) => {$(
        corrupt::<dohle_protocol::messages::$module::$request>();
        corrupt::<dohle_protocol::messages::$module::$response>();
    )*};
}

#[test]
fn w8_corrupted_messages_are_read_or_refused_within_memory() {
    for_each_api!(corrupt_all);
}

#[test]
fn w7_counts_beyond_the_message_are_refused_without_allocation() {
    // A Metadata request of version 0 that announces 54 million topics, and its flexible sister with the largest varint.
    let classic = decode::<MetadataRequest>(&Bytes::from_static(&[0x03, 0x3c, 0x0c, 0x00]), 0);
    assert_eq!(
        classic,
        Err(DecodeError::Truncated {
            needed: 0x033c_0c00,
            remaining: 0
        })
    );
    let compact = decode::<MetadataRequest>(&Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]), 9);
    assert_eq!(
        compact,
        Err(DecodeError::Truncated {
            needed: u32::MAX as usize - 1,
            remaining: 0
        })
    );
}

#[test]
fn w7_overlong_varints_are_refused() {
    let six_bytes = decode::<MetadataRequest>(&Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]), 9);
    assert_eq!(six_bytes, Err(DecodeError::Varint));
    let thirty_six_bits = decode::<MetadataRequest>(&Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x7f]), 9);
    assert_eq!(thirty_six_bits, Err(DecodeError::Varint));
    let cut = decode::<MetadataRequest>(&Bytes::from_static(&[0xff, 0xff]), 9);
    assert_eq!(cut, Err(DecodeError::Truncated { needed: 1, remaining: 0 }));
}

#[test]
fn w7_many_small_structs_do_not_multiply_memory() {
    // Two bytes on the wire become a struct of 64 and more: twenty megabytes of empty names must not become a gigabyte.
    let topics = 10 * 1024 * 1024;
    let mut input = i32::to_be_bytes(topics).to_vec();
    input.resize(4 + 2 * topics as usize, 0);
    assert_eq!(decode::<MetadataRequest>(&Bytes::from(input), 0), Err(DecodeError::Memory));
    // The same through tagged fields, which are kept although nobody knows them.
    let mut tagged = vec![0x00, 0x00, 0x00, 0x80, 0x80, 0x80, 0x04];
    tagged.extend([0x7f, 0x00].repeat(8 * 1024 * 1024));
    assert_eq!(decode::<MetadataRequest>(&Bytes::from(tagged), 11), Err(DecodeError::Memory));
}

#[test]
fn w8_strings_with_bad_lengths_or_bytes_are_refused() {
    let one_topic = |name: &[u8]| decode::<MetadataRequest>(&Bytes::from([&[0, 0, 0, 1], name].concat()), 0);
    assert_eq!(one_topic(&[0xff, 0xfe]), Err(DecodeError::Length(-2)));
    assert_eq!(one_topic(&[0xff, 0xff]), Err(DecodeError::Null));
    assert_eq!(one_topic(&[0x00, 0x02, 0xc3, 0x28]), Err(DecodeError::Utf8));
    assert_eq!(
        one_topic(&[0x00, 0x09, b'a']),
        Err(DecodeError::Truncated { needed: 8, remaining: 1 })
    );
    // In flexible versions the length could be larger than in classic ones, but Kafka does not allow it.
    let mut long = vec![0x02, 0x81, 0x80, 0x02];
    long.resize(4 + 40_000, b'a');
    assert_eq!(decode::<MetadataRequest>(&Bytes::from(long), 9), Err(DecodeError::Length(0x8000)));
}

#[test]
fn tagged_fields_cannot_reach_beyond_their_size() {
    // FetchResponse version 16: no partitions, then tag 0 (node endpoints) whose array claims more than the field holds.
    let head = [0; 10].to_vec();
    let response = |tail: &[u8]| decode::<FetchResponse>(&Bytes::from([&head, &[1u8][..], tail].concat()), 16);
    assert!(response(&[0]).is_ok());
    assert_eq!(
        response(&[1, 0, 1, 3, 9, 9, 9]),
        Err(DecodeError::Truncated { needed: 2, remaining: 0 })
    );
    assert_eq!(
        response(&[1, 0, 3, 1, 9, 9]),
        Err(DecodeError::TaggedFieldLength { tag: 0, unread: 2 })
    );
    assert_eq!(response(&[1, 0, 200, 1]), Err(DecodeError::Truncated { needed: 200, remaining: 0 }));
}

#[test]
fn versions_outside_the_schema_are_refused_in_both_directions() {
    assert!(matches!(
        decode::<MetadataResponse>(&Bytes::new(), 99),
        Err(DecodeError::UnsupportedVersion { version: 99, .. })
    ));
    assert!(MetadataResponse::default().encode(&mut Encoder::new(), -1).is_err());
}
