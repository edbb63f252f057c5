//! Every limit of this crate. What exceeds one is answered with an error, never with an allocation.

/// Longest string on the wire, in bytes, in either direction; Kafka's limit in flexible versions too.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Elements for which an array reserves memory on the word of its count; more grow as they arrive.
pub const ARRAY_RESERVE_MAX: usize = 256;

/// Memory that the arrays of one message may take: this much in any case, ...
pub const DECODED_BYTES_MIN: usize = 64 * 1024;
/// ... this many times the length of the message, ...
pub const DECODED_BYTES_PER_WIRE_BYTE: usize = 16;
/// ... and never more than this.
pub const DECODED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Byte strings from this length on are attached to the output; shorter ones are copied into it.
pub const ATTACH_BYTES_MIN: usize = 1024;

/// `socket.request.max.bytes`, the longest request that a listener accepts by default.
pub const REQUEST_BYTES_MAX_DEFAULT: i32 = 100 * 1024 * 1024;
