//! The codecs of the record format: gzip, snappy in xerial's framing, lz4 frames, zstd.
//!
//! Decompression never trusts a declared size: what it allocates is bounded by the caller's cap and by what the compressed bytes can
//! expand to, and it stops at the cap.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{Read, Write};

use bytes::Bytes;
use zstd::zstd_safe;

/// Codec of a batch; the number is what the low three bits of its attributes hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    #[default]
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Compression {
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    pub fn from_id(id: u8) -> Option<Compression> {
        Compression::ALL.get(usize::from(id)).copied()
    }

    pub fn id(self) -> u8 {
        self as u8
    }

    /// The name in configuration files and tools.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    pub fn from_name(name: &str) -> Option<Compression> {
        Compression::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Compressed bytes cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    #[error("the records decompress to more than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("invalid {codec} data: {reason}")]
    Corrupt { codec: Compression, reason: String },
}

/// Output is grown by at most this much ahead of what has been decompressed.
const GROWTH_BYTES_MAX: usize = 4 << 20;
/// What a thread keeps for the next time: enough for the usual batch of a megabyte.
const SPARE_BYTES_MAX: usize = 2 << 20;

/// Block of snappy data in xerial's framing; the Java client's size.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
/// Magic, version 1, oldest compatible version 1.
const XERIAL_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const XERIAL_MAGIC_LEN: usize = 8;

/// Appends `input`, compressed, to `out`. `level` is the codec's own scale (gzip, zstd), clamped to what the codec knows; `None` = Kafka's
/// default. Snappy has no levels, and lz4 ignores it.
pub fn compress(codec: Compression, level: Option<i32>, input: &[u8], out: &mut Vec<u8>) {
    match codec {
        Compression::None => out.extend_from_slice(input),
        Compression::Gzip => {
            let level = level.map_or(flate2::Compression::default(), |level| {
                flate2::Compression::new(level.clamp(1, 9) as u32)
            });
            let mut encoder = flate2::write::GzEncoder::new(out, level);
            encoder.write_all(input).expect("a vector takes all that is written");
            encoder.finish().expect("a vector takes all that is written");
        }
        Compression::Snappy => compress_snappy(input, out),
        Compression::Lz4 => compress_lz4(input, out),
        Compression::Zstd => compress_zstd(level, input, out),
    }
}

fn compress_snappy(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&XERIAL_HEADER);
    let mut encoder = snap::raw::Encoder::new();
    for block in input.chunks(XERIAL_BLOCK_BYTES) {
        let length_at = out.len();
        let data_at = length_at + 4;
        out.resize(data_at + snap::raw::max_compress_len(block.len()), 0);
        let written = encoder
            .compress(block, &mut out[data_at..])
            .expect("the output has snappy's own maximal length");
        out[length_at..data_at].copy_from_slice(&(written as u32).to_be_bytes());
        out.truncate(data_at + written);
    }
}

fn compress_lz4(input: &[u8], out: &mut Vec<u8>) {
    // What the Java client writes and reads: it knows neither linked blocks nor checks block checksums by default.
    let encoder = lz4::EncoderBuilder::new()
        .block_mode(lz4::BlockMode::Independent)
        .block_size(lz4::BlockSize::Max64KB)
        .block_checksum(lz4::liblz4::BlockChecksum::NoBlockChecksum)
        .checksum(lz4::ContentChecksum::NoChecksum)
        .build(out);
    let mut encoder = encoder.expect("a vector takes all that is written");
    encoder.write_all(input).expect("a vector takes all that is written");
    encoder.finish().1.expect("a vector takes all that is written");
}

thread_local! {
    // A zstd context is a megabyte of tables; one per thread instead of one per batch. It carries nothing from one frame to the next.
    static ZSTD_COMPRESS: RefCell<zstd_safe::CCtx<'static>> = RefCell::new(zstd_safe::CCtx::create());
    static ZSTD_DECOMPRESS: RefCell<zstd_safe::DCtx<'static>> = RefCell::new(zstd_safe::DCtx::create());
    /// What was decompressed into before. Fresh memory costs about as much as filling it.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn compress_zstd(level: Option<i32>, input: &[u8], out: &mut Vec<u8>) {
    let level = level
        .unwrap_or(zstd_safe::CLEVEL_DEFAULT)
        .clamp(zstd_safe::min_c_level(), zstd_safe::max_c_level());
    let at = out.len();
    out.resize(at + zstd_safe::compress_bound(input.len()), 0);
    let written = ZSTD_COMPRESS.with_borrow_mut(|context| context.compress(&mut out[at..], input, level));
    out.truncate(at + written.expect("the output has zstd's own maximal length"));
}

/// The decompressed bytes of `input`, if they are no more than `bytes_max`. Uncompressed input is shared, not copied.
pub fn decompress_with_cap(codec: Compression, input: &Bytes, bytes_max: usize) -> Result<Bytes, DecompressError> {
    decompress_into(Vec::new(), codec, input, bytes_max)
}

/// The same for somebody who needs it only for a moment, and gives it back with [`recycle`].
pub fn decompress_for_now(codec: Compression, input: &Bytes, bytes_max: usize) -> Result<Bytes, DecompressError> {
    if codec == Compression::None {
        return decompress_with_cap(codec, input, bytes_max);
    }
    decompress_into(SPARE.take(), codec, input, bytes_max)
}

/// Takes back what was decompressed, so that the next on this thread need not ask for memory. Nothing happens if somebody else holds a
/// part of it.
pub fn recycle(decompressed: Bytes) {
    if let Ok(unique) = decompressed.try_into_mut() {
        let buffer = Vec::from(unique);
        if buffer.capacity() <= SPARE_BYTES_MAX {
            SPARE.set(buffer);
        }
    }
}

/// What is in `out` is overwritten.
fn decompress_into(out: Vec<u8>, codec: Compression, input: &Bytes, bytes_max: usize) -> Result<Bytes, DecompressError> {
    match codec {
        Compression::None if input.len() > bytes_max => Err(DecompressError::TooLarge { bytes_max }),
        Compression::None => Ok(input.clone()),
        Compression::Gzip => decompress_gzip(input, out, bytes_max),
        Compression::Lz4 => decompress_lz4(input, out, bytes_max),
        Compression::Snappy => decompress_snappy(input, out, bytes_max),
        Compression::Zstd => decompress_zstd(input, out, bytes_max),
    }
}

fn decompress_gzip(input: &Bytes, out: Vec<u8>, bytes_max: usize) -> Result<Bytes, DecompressError> {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(&input[..]);
    read_all(Compression::Gzip, &mut decoder, input.len(), out, bytes_max)
}

fn decompress_lz4(input: &Bytes, out: Vec<u8>, bytes_max: usize) -> Result<Bytes, DecompressError> {
    const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
    const INDEPENDENT_BLOCKS: u8 = 0x20;
    match input.get(..5) {
        // Consumers in Java refuse linked blocks, so a batch that has them must not enter a log.
        Some(start) if start[..4] == MAGIC && start[4] & INDEPENDENT_BLOCKS != 0 => {}
        _ => return Err(corrupt(Compression::Lz4, "not a frame of independent blocks")),
    }
    let mut decoder = lz4::Decoder::new(&input[..]).map_err(|error| corrupt(Compression::Lz4, error))?;
    let decompressed = read_all(Compression::Lz4, &mut decoder, input.len(), out, bytes_max)?;
    // Without its last block a frame ends as well.
    decoder.finish().1.map_err(|_| corrupt(Compression::Lz4, "a cut frame"))?;
    Ok(decompressed)
}

/// Grows the output no faster than data arrives.
fn read_all(
    codec: Compression,
    decoder: &mut impl Read,
    input_len: usize,
    mut out: Vec<u8>,
    bytes_max: usize,
) -> Result<Bytes, DecompressError> {
    // One byte beyond the cap, to tell "exactly the cap" from "more".
    let end = bytes_max.saturating_add(1);
    out.truncate(end);
    let mut filled = 0;
    loop {
        if filled == out.len() {
            let growth = out.len().max(4 * input_len).clamp(4 << 10, GROWTH_BYTES_MAX).min(end - out.len());
            out.reserve_exact(growth);
            out.resize(filled + growth, 0);
        }
        match decoder.read(&mut out[filled..]).map_err(|error| corrupt(codec, error))? {
            0 => break,
            read => filled += read,
        }
        if filled > bytes_max {
            return Err(DecompressError::TooLarge { bytes_max });
        }
    }
    out.truncate(filled);
    Ok(Bytes::from(out))
}

fn decompress_snappy(input: &Bytes, mut out: Vec<u8>, bytes_max: usize) -> Result<Bytes, DecompressError> {
    out.clear();
    if input.len() < XERIAL_HEADER.len() || input[..XERIAL_MAGIC_LEN] != XERIAL_HEADER[..XERIAL_MAGIC_LEN] {
        append_snappy_block(input, &mut out, bytes_max)?;
        return Ok(Bytes::from(out));
    }
    let mut rest = &input[XERIAL_HEADER.len()..];
    while !rest.is_empty() {
        let (length, after) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| corrupt(Compression::Snappy, "a cut block length"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let block = after
            .get(..length)
            .ok_or_else(|| corrupt(Compression::Snappy, "a block longer than the data"))?;
        append_snappy_block(block, &mut out, bytes_max)?;
        rest = &after[length..];
    }
    Ok(Bytes::from(out))
}

fn append_snappy_block(block: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<(), DecompressError> {
    /// The densest element of the format copies 64 bytes and takes three.
    const EXPANSION_MAX: usize = 22;
    let declared = snap::raw::decompress_len(block).map_err(|error| corrupt(Compression::Snappy, error))?;
    if declared > EXPANSION_MAX * block.len() {
        return Err(corrupt(Compression::Snappy, "a block declares more than it can hold"));
    }
    if declared > bytes_max - out.len() {
        return Err(DecompressError::TooLarge { bytes_max });
    }
    let at = out.len();
    if at + declared > out.capacity() {
        out.reserve_exact(declared.max(out.len().min(GROWTH_BYTES_MAX)));
    }
    out.resize(at + declared, 0);
    snap::raw::Decoder::new()
        .decompress(block, &mut out[at..])
        .map_err(|error| corrupt(Compression::Snappy, error))?;
    Ok(())
}

/// In one shot into a buffer that grows and starts over, because the streaming decoder would allocate the window that a frame declares.
fn decompress_zstd(input: &Bytes, mut out: Vec<u8>, bytes_max: usize) -> Result<Bytes, DecompressError> {
    out.clear();
    let plausible = 16 * input.len() + (64 << 10);
    let declared = zstd_safe::get_frame_content_size(input).map_err(|error| corrupt(Compression::Zstd, error))?;
    let mut capacity = declared
        .map_or(plausible, |declared| declared.min(plausible as u64) as usize)
        .min(bytes_max);
    loop {
        out.reserve_exact(capacity);
        // A buffer that was used before may be larger than is wanted.
        let result = ZSTD_DECOMPRESS.with_borrow_mut(|context| context.decompress(&mut out, input));
        match result {
            Ok(length) if length > bytes_max => return Err(DecompressError::TooLarge { bytes_max }),
            Ok(_) => return Ok(Bytes::from(out)),
            Err(code) if !is_output_too_small(code) => return Err(corrupt(Compression::Zstd, zstd_safe::get_error_name(code))),
            Err(_) if out.capacity() >= bytes_max => return Err(DecompressError::TooLarge { bytes_max }),
            Err(_) => {
                out.clear();
                capacity = (4 * out.capacity()).clamp(64 << 10, bytes_max.max(64 << 10)).min(bytes_max);
            }
        }
    }
}

fn is_output_too_small(code: zstd_safe::ErrorCode) -> bool {
    // The library returns its error numbers negated.
    code.wrapping_neg() == zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize
}

fn corrupt(codec: Compression, reason: impl fmt::Display) -> DecompressError {
    DecompressError::Corrupt {
        codec,
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
