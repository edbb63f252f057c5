//! Every bound of this crate, in one place.

/// Bytes that one read returns at most, unless a single batch is larger and the reader asked for at least one.
pub const READ_BYTES_MAX: usize = 1 << 20;

/// Bytes read in one piece where a segment is scanned (recovery, index rebuild, search by time): at first, and at last.
pub const SCAN_CHUNK_BYTES_MIN: usize = 64 << 10;
pub const SCAN_CHUNK_BYTES_MAX: usize = 1 << 20;

/// Small files (checkpoints, snapshots, `meta.properties`) beyond this are taken as corrupt instead of being read.
pub const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// File descriptors that idle logs may keep open between them.
pub const OPEN_FILES_MAX: usize = 8192;

/// Threads that call `fdatasync` for one log directory.
pub const SYNC_THREADS_MAX: usize = 16;

/// From this many dirty logs on, one `syncfs` replaces one `fdatasync` per file.
pub const SYNCFS_FROM_LOGS: usize = 50;

/// Bytes of decompressed records that a search by time accepts from one batch.
pub const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

/// A batch that a client sends compressed may decompress to this much, or to the topic's `max.message.bytes` if that is more.
pub const PRODUCED_BYTES_DECOMPRESSED_MAX: usize = 64 << 20;

/// Records of one batch whose faults are reported one by one.
pub const RECORD_ERRORS_MAX: usize = 100;

/// Bytes that the cleaner gathers before it writes them.
pub const CLEANER_WRITE_BYTES: usize = 1 << 20;

/// Producers that one log remembers.
pub const PRODUCERS_MAX: usize = 50_000;

/// Readers of one segment whose place is remembered.
pub const READ_ENDS_MAX: usize = 8;

/// Bytes that are read at once on the way from where an index leads to the wanted batch.
pub const APPROACH_BYTES: usize = 16 << 10;

/// Large reads take buffers of this size from a pool: what is read at once for one answer, and the header of the batch behind it.
pub const READ_BUFFER_BYTES: usize = READ_BYTES_MAX + (64 << 10);

/// Buffers that the pool keeps when nobody reads.
pub const FREE_READ_BUFFERS_MAX: usize = 4;
