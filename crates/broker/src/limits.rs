//! Every bound of this crate, in one place.

use std::time::Duration;

/// Requests of one connection that may be in the works together.
pub(crate) const IN_FLIGHT_PER_CONNECTION_MAX: usize = 64;

/// Requests up to this size are gathered in a buffer that serves the connection's next requests too; larger ones get their own memory.
pub(crate) const SHARED_READ_BUFFER_BYTES: usize = 32 << 10;

/// Requests up to this size are copied out of the shared buffer, so that they do not keep it alive.
pub(crate) const COPIED_REQUEST_BYTES_MAX: usize = 4 << 10;

/// With less room than this left in the shared buffer, a new one is begun instead of reading in small pieces.
pub(crate) const READ_BYTES_MIN: usize = 4 << 10;

/// Memory for a request beyond the shared buffer grows from this size, by doubling, as its bytes arrive.
pub(crate) const LARGE_REQUEST_BYTES_FIRST: usize = 1 << 20;

/// A connection that stays silent for this long in the middle of a request is closed.
pub(crate) const HALF_REQUEST_SILENCE_MAX: Duration = Duration::from_secs(30);

/// No further request of a connection is begun while this much of its answers waits to be written.
pub(crate) const UNWRITTEN_BYTES_MAX: usize = 1 << 20;

/// Pieces of answers that one system call writes.
pub(crate) const WRITE_PIECES_MAX: usize = 64;

/// Connections that the kernel holds for us before they are accepted.
pub(crate) const ACCEPT_BACKLOG: i32 = 1024;

/// Pause after the kernel refused to give us a connection (usually for lack of file descriptors), which would otherwise repeat at once.
pub(crate) const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(100);

/// What requests are still in the works at a shutdown have this long to finish.
pub(crate) const SHUTDOWN_DRAIN_MAX: Duration = Duration::from_secs(5);

/// One line of a properties file, continuations included.
pub(crate) const PROPERTIES_LINE_BYTES_MAX: usize = 1 << 20;

/// Recent batches kept in memory, of all partitions together.
pub(crate) const TAIL_CACHE_BYTES: usize = 64 << 20;

/// Recent batches kept in memory, of one partition.
pub(crate) const TAIL_CACHE_BYTES_PER_PARTITION: usize = 4 << 20;

/// The recent batches of a partition to which nothing is appended for this long are dropped.
pub(crate) const TAIL_CACHE_IDLE_MAX: Duration = Duration::from_secs(10);

/// Records of one partition in one answer to a fetch, whatever the client allows; a single larger batch excepted.
pub(crate) const FETCH_PARTITION_BYTES_MAX: usize = 1 << 20;

/// Records in answers to fetches that are not written yet, of all connections together. Beyond it a fetch gets one batch.
pub(crate) const FETCH_RESPONSE_BYTES: usize = 256 << 20;

/// Threads that open logs, when there are many to be opened.
pub(crate) const OPEN_THREADS_MAX: usize = 4;

/// Logs for which another thread is worth while.
pub(crate) const LOGS_PER_OPEN_THREAD_MIN: usize = 64;

/// With `flush.policy=interval`, records are synced after this long at the latest, whatever is configured.
pub(crate) const FLUSH_INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of requests in memory at one time, unless `queued.max.request.bytes` says otherwise.
pub(crate) const REQUEST_BYTES: usize = 256 << 20;

/// How long a change of the metadata may take, whatever the client says.
pub(crate) const CONTROLLER_TIMEOUT_MIN: Duration = Duration::from_secs(1);
pub(crate) const CONTROLLER_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// The cleaner looks again after this time at a log whose time will come later.
pub(crate) const CLEANER_LOOK_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// While the cleaner is slowed down, it looks this often whether it should stop.
pub(crate) const CLEANER_SLEEP_MAX: Duration = Duration::from_millis(100);

/// When a segment is complete, the recovery points are written down within this time.
pub(crate) const CHECKPOINT_AFTER_ROLL: Duration = Duration::from_secs(1);

/// Groups in one partition of `__consumer_offsets`.
pub(crate) const GROUPS_PER_SHARD_MAX: usize = 10_000;

/// Committed offsets in one partition of `__consumer_offsets`, of all its groups together.
pub(crate) const OFFSETS_PER_SHARD_MAX: usize = 200_000;

/// Replies that may wait at one partition of `__consumer_offsets`.
pub(crate) const GROUP_REPLIES_PER_SHARD_MAX: usize = 100_000;

/// What the members of all groups on this broker take in memory; beyond it nobody joins.
pub(crate) const GROUP_MEMBER_BYTES_MAX: usize = 512 << 20;

/// Partitions of `__consumer_offsets` that are loaded at the same time.
pub(crate) const GROUP_LOADS_MAX: usize = 2;

/// A partition of `__consumer_offsets` that could not be written is loaded again after this time.
pub(crate) const GROUP_RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// A batch of `__consumer_offsets` that would be larger than this uncompressed is skipped when it is loaded.
pub(crate) const GROUP_BATCH_BYTES_DECOMPRESSED_MAX: usize = 64 << 20;

/// Part of a batch of `__consumer_offsets` that is left for what surrounds the records of one decision.
pub(crate) const GROUP_BATCH_OVERHEAD_BYTES: usize = 1024;

/// Lags that one scrape of the metrics may hold; further ones are counted, not shown.
pub(crate) const GROUP_LAGS_PER_SCRAPE_MAX: usize = 10_000;

/// Groups with longer names have no lag in the metrics.
pub(crate) const GROUP_LABEL_BYTES_MAX: usize = 256;

/// Metadata and assignments of members in one answer to DescribeGroups; groups beyond it are refused.
pub(crate) const GROUP_RESPONSE_BYTES_MAX: usize = 64 << 20;

/// Offsets in one answer to OffsetFetch; groups beyond it are refused.
pub(crate) const OFFSETS_PER_RESPONSE_MAX: usize = 1_000_000;
