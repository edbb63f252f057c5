//! Round trips, caps, and compressed data that is none.

use super::*;
use proptest::prelude::*;

fn compressed(codec: Compression, input: &[u8]) -> Bytes {
    let mut out = Vec::new();
    compress(codec, None, input, &mut out);
    out.into()
}

#[test]
fn ids_and_names() {
    let names: Vec<_> = Compression::ALL.iter().map(|codec| codec.name()).collect();
    assert_eq!(names, ["none", "gzip", "snappy", "lz4", "zstd"]);
    for codec in Compression::ALL {
        assert_eq!(Compression::from_id(codec.id()), Some(codec));
        assert_eq!(Compression::from_name(codec.name()), Some(codec));
    }
    assert_eq!((Compression::from_id(5), Compression::from_name("brotli")), (None, None));
}

#[test]
fn the_cap_is_exact() {
    let input = vec![7u8; 100_000];
    for codec in Compression::ALL {
        let bytes = compressed(codec, &input);
        assert_eq!(decompress_with_cap(codec, &bytes, input.len()).unwrap(), input);
        let over = decompress_with_cap(codec, &bytes, input.len() - 1);
        assert_eq!(
            over,
            Err(DecompressError::TooLarge {
                bytes_max: input.len() - 1
            }),
            "{codec}"
        );
    }
}

#[test]
fn memory_that_was_used_before_changes_nothing() {
    let (large, small) = (vec![7u8; 1 << 20], b"a few words, ".repeat(10));
    for codec in Compression::ALL {
        let before = || recycle(decompress_for_now(codec, &compressed(codec, &large), large.len()).unwrap());
        let bytes = compressed(codec, &small);
        before();
        assert_eq!(decompress_for_now(codec, &bytes, small.len()).unwrap(), small, "{codec}");
        before();
        let bytes_max = small.len() - 1;
        let over = decompress_for_now(codec, &bytes, bytes_max);
        assert_eq!(over, Err(DecompressError::TooLarge { bytes_max }), "{codec}");
        // What somebody still holds is not taken.
        let held = decompress_for_now(codec, &bytes, small.len()).unwrap();
        recycle(held.clone());
        before();
        assert_eq!(held, small, "{codec}");
    }
}

#[test]
fn levels_are_clamped_and_matter() {
    let input: Vec<u8> = (0..200_000u32).flat_map(|n| (n / 7 % 251).to_le_bytes()).collect();
    for codec in [Compression::Gzip, Compression::Zstd] {
        let [fast, small] = [-1_000_000, 1_000_000].map(|level| {
            let mut out = Vec::new();
            compress(codec, Some(level), &input, &mut out);
            assert_eq!(decompress_with_cap(codec, &out.clone().into(), input.len()).unwrap(), input);
            out.len()
        });
        assert!(small < fast, "{codec}: {small} < {fast}");
    }
}

#[test]
fn trap_18_snappy_is_framed_as_xerial_does_and_raw_snappy_is_read() {
    let input = vec![b'x'; 100_000];
    let framed = compressed(Compression::Snappy, &input);
    assert_eq!(framed[..16], XERIAL_HEADER);
    let raw = Bytes::from(snap::raw::Encoder::new().compress_vec(&input).unwrap());
    assert_eq!(decompress_with_cap(Compression::Snappy, &raw, 1 << 20).unwrap(), input);
}

#[test]
fn trap_18_lz4_frames_have_independent_64_kib_blocks_and_a_header_checksum() {
    let frame = compressed(Compression::Lz4, &vec![1; 200_000]);
    // Magic, version 01 with independent blocks and nothing else, 64 KiB blocks, and the header checksum for just these two bytes.
    assert_eq!(frame[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    let mut broken = frame.to_vec();
    broken[6] ^= 1;
    assert!(matches!(
        decompress_with_cap(Compression::Lz4, &broken.into(), 1 << 20),
        Err(DecompressError::Corrupt { .. })
    ));
    let without_end_mark = frame.slice(..frame.len() - 4);
    assert!(matches!(
        decompress_with_cap(Compression::Lz4, &without_end_mark, 1 << 20),
        Err(DecompressError::Corrupt { .. })
    ));
    let mut linked = frame.to_vec();
    linked[4] &= !0x20;
    assert!(matches!(
        decompress_with_cap(Compression::Lz4, &linked.into(), 1 << 20),
        Err(DecompressError::Corrupt { .. })
    ));
}

#[test]
fn w14_a_snappy_block_that_declares_2_gib_is_refused() {
    let declared_2_gib = [0xff, 0xff, 0xff, 0xff, 0x07, 0x00, 0x61];
    let mut framed = XERIAL_HEADER.to_vec();
    framed.extend_from_slice(&(declared_2_gib.len() as u32).to_be_bytes());
    framed.extend_from_slice(&declared_2_gib);
    for bytes in [
        declared_2_gib.to_vec(),
        framed,
        [&XERIAL_HEADER[..], &0x8000_0000u32.to_be_bytes()].concat(),
    ] {
        assert!(matches!(
            decompress_with_cap(Compression::Snappy, &bytes.into(), usize::MAX >> 1),
            Err(DecompressError::Corrupt { .. })
        ));
    }
}

#[test]
fn zstd_without_a_content_size_and_in_several_frames_is_read() {
    let input: Vec<u8> = (0..3_000_000u32).map(|n| (n / 1000) as u8).collect();
    let stream = zstd::stream::encode_all(&input[..], 3).unwrap();
    assert_eq!(zstd_safe::get_frame_content_size(&stream).unwrap(), None);
    let twice = Bytes::from([&stream[..], &stream[..]].concat());
    assert_eq!(decompress_with_cap(Compression::Zstd, &twice, 6_000_000).unwrap().len(), 6_000_000);
    assert_eq!(
        decompress_with_cap(Compression::Zstd, &twice, 5_999_999),
        Err(DecompressError::TooLarge { bytes_max: 5_999_999 })
    );
}

#[test]
fn cut_data_is_corrupt() {
    let input: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
    for codec in &Compression::ALL[1..] {
        let bytes = compressed(*codec, &input);
        let cut = bytes.slice(..bytes.len() / 2);
        let result = decompress_with_cap(*codec, &cut, 1 << 20);
        assert!(matches!(result, Err(DecompressError::Corrupt { .. })), "{codec}");
    }
}

proptest! {
    #[test]
    fn every_codec_round_trips(input in prop::collection::vec(0u8..4, 0..80_000), codec in 0u8..5) {
        let codec = Compression::from_id(codec).unwrap();
        prop_assert_eq!(decompress_with_cap(codec, &compressed(codec, &input), input.len()).unwrap(), input);
    }

    #[test]
    fn garbage_is_an_error_or_small(garbage in prop::collection::vec(any::<u8>(), 0..300), codec in 0u8..5) {
        let codec = Compression::from_id(codec).unwrap();
        if let Ok(bytes) = decompress_with_cap(codec, &garbage.into(), 1 << 20) {
            prop_assert!(bytes.len() <= 1 << 20);
        }
    }
}
