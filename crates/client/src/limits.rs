//! Every bound of the client that is not a configuration key of Kafka.

use std::time::Duration;

/// Largest answer that is read; the default `fetch.max.bytes` is 50 MiB, and one batch may exceed it.
pub const RESPONSE_BYTES_MAX: i32 = 256 * 1024 * 1024;

/// How long a topic that is not known is asked for again: it may have been created a moment ago, but most likely its name is wrong.
pub const UNKNOWN_TOPIC_PATIENCE: Duration = Duration::from_secs(3);

/// An answer is not given more memory than this before its bytes arrive.
pub const RESPONSE_BYTES_RESERVED: usize = 1024 * 1024;

/// Requests that wait to be written to one connection; a caller beyond waits.
pub const REQUESTS_QUEUED_MAX: usize = 64;

/// A connection for requests that take their time is closed when nobody has used it for so long.
pub const SPARE_CONNECTION_IDLE_MAX: Duration = Duration::from_secs(5);

/// What one compressed batch may unpack to.
pub const BATCH_BYTES_UNPACKED_MAX: usize = 1024 * 1024 * 1024;

/// Fetched, not yet consumed answers kept per partition: one being read, one ahead.
pub const FETCHED_PER_PARTITION_MAX: usize = 2;

/// Commits of offsets that wait for those before them.
pub const COMMITS_QUEUED_MAX: usize = 64;

/// How much longer than `max.poll.interval.ms` a member waits for a rebalance to end.
pub const REBALANCE_GRACE: Duration = Duration::from_secs(5);
