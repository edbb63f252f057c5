//! What may be configured for one log; the defaults are Kafka's, except for the density of the index.

use dohle_protocol::batch::TimestampType;
use dohle_protocol::compression::Compression;

/// The codec of the batches in a log: `compression.type` and the level that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionSetting {
    /// As the producer sent them.
    Producer,
    /// Recompressed where the producer chose another codec; `None` = the codec's default level.
    Codec(Compression, Option<i32>),
}

/// Settings of one partition's log. Shared by the partitions of a topic, hence handed around as `Arc<LogConfig>`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// A segment is closed before it would grow beyond this.
    pub segment_bytes: u32,
    /// A segment is closed when its first batch is this old.
    pub segment_ms: i64,
    /// Up to this much is taken off `segment_ms`, differently for each partition, so that not all roll at once.
    pub segment_jitter_ms: i64,
    /// A segment is closed before its offset index file would grow beyond this.
    pub segment_index_bytes: u32,
    /// One index entry per this many bytes of log.
    pub index_interval_bytes: u32,
    /// Segments whose newest record is older are deleted; -1 = never.
    pub retention_ms: i64,
    /// The oldest segments are deleted while the log is larger than this; -1 = never.
    pub retention_bytes: i64,
    /// Largest batch accepted, as written (compressed).
    pub max_message_bytes: u32,
    /// Decode every record that a client sends, instead of checking only the header and the checksum of its batch; see `batch_validator`.
    pub strict_validation: bool,
    /// Records are stamped by their producer, or by the log when it appends them.
    pub timestamp_type: TimestampType,
    /// How far a producer's timestamp may lie in the past.
    pub timestamp_before_max_ms: i64,
    /// How far a producer's timestamp may lie in the future.
    pub timestamp_after_max_ms: i64,
    /// Codec of the batches in the log.
    pub compression: CompressionSetting,
    /// `cleanup.policy` contains `compact`: every record needs a key.
    pub compact: bool,
    /// How long a compacted log keeps a tombstone after it was first cleaned.
    pub delete_retention_ms: i64,
    /// A record is not compacted before it is this old.
    pub min_compaction_lag_ms: i64,
    /// A record is compacted at the latest when it is this old.
    pub max_compaction_lag_ms: i64,
    /// A log is compacted when a larger part of it than this has not been.
    pub min_cleanable_dirty_ratio: f64,
    /// `cleanup.policy` contains `delete`: retention applies.
    pub delete: bool,
    /// Deleted segments stay as `.deleted` files for this long, for readers that are in the middle of them.
    pub file_delete_delay_ms: i64,
    /// A producer that has been silent for this long is forgotten.
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 64 << 10,
            retention_ms: 7 * DAY_MS,
            retention_bytes: -1,
            max_message_bytes: (1 << 20) + 12,
            strict_validation: true,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 60 * 60 * 1000,
            compression: CompressionSetting::Producer,
            compact: false,
            delete_retention_ms: DAY_MS,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            delete: true,
            file_delete_delay_ms: 60_000,
            producer_id_expiration_ms: DAY_MS,
        }
    }
}
