//! Row W13 of the bad inputs: a small batch that decompresses to far more than the cap costs the cap and a few megabytes.

// An allocator that counts is the only way to see what a decoder really takes.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dohle_protocol::compression::{Compression, DecompressError, compress, decompress_with_cap};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator with the arguments unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Large blocks are moved by remapping their pages, so old and new never exist side by side.
        grow(new_size.saturating_sub(layout.size()));
        LIVE.fetch_sub(layout.size().saturating_sub(new_size), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BOMB_BYTES: u64 = 1 << 28;
const CAP: usize = 32 << 20;
const SLACK: usize = 16 << 20;

fn zeros() -> impl Read {
    io::repeat(0).take(BOMB_BYTES)
}

fn gzip_bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::copy(&mut zeros(), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

fn zstd_bomb(declare_size: bool) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_contentsize(declare_size).unwrap();
    encoder.set_pledged_src_size(Some(BOMB_BYTES)).unwrap();
    io::copy(&mut zeros(), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

fn lz4_bomb() -> Vec<u8> {
    let mut encoder = lz4::EncoderBuilder::new()
        .block_mode(lz4::BlockMode::Independent)
        .block_size(lz4::BlockSize::Max4MB)
        .build(Vec::new())
        .unwrap();
    let block = vec![0; 4 << 20];
    for _ in 0..BOMB_BYTES / block.len() as u64 {
        encoder.write_all(&block).unwrap();
    }
    let (bomb, result) = encoder.finish();
    result.unwrap();
    bomb
}

/// Snappy expands little, so this one is large itself.
fn snappy_bomb() -> Vec<u8> {
    let mut framed = Vec::new();
    compress(Compression::Snappy, None, &vec![0; 1 << 20], &mut framed);
    let (header, blocks) = framed.split_at(16);
    let mut bomb = header.to_vec();
    for _ in 0..BOMB_BYTES >> 20 {
        bomb.extend_from_slice(blocks);
    }
    bomb
}

#[test]
fn w13_a_bomb_costs_the_cap_and_a_little() {
    let bombs = [
        (Compression::Gzip, gzip_bomb()),
        (Compression::Snappy, snappy_bomb()),
        (Compression::Lz4, lz4_bomb()),
        (Compression::Zstd, zstd_bomb(true)),
        (Compression::Zstd, zstd_bomb(false)),
    ];
    for (codec, bomb) in bombs {
        let bomb = Bytes::from(bomb);
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let result = decompress_with_cap(codec, &bomb, CAP);
        let peak = PEAK.load(Ordering::Relaxed) - before;
        assert_eq!(result, Err(DecompressError::TooLarge { bytes_max: CAP }), "{codec}");
        assert!(peak <= CAP + SLACK, "{codec} of {} bytes took {peak}", bomb.len());
    }
}
