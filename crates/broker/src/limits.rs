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

/// Bytes of requests in memory at one time, of one connection to a listener of the controller; a single larger request excepted.
pub(crate) const CONTROLLER_CONNECTION_BYTES: usize = 32 << 20;

/// How long a change of the metadata may take, whatever the client says.
pub(crate) const CONTROLLER_TIMEOUT_MIN: Duration = Duration::from_secs(1);
pub(crate) const CONTROLLER_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// How long a change of the metadata may take for which a client cannot say that. By default clients give up after 30 s.
pub(crate) const CONTROLLER_TIMEOUT_UNSAID: Duration = Duration::from_secs(25);

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

/// A connection to another node is there within this time, or counts as impossible.
pub(crate) const PEER_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Calls to other nodes that may take longer go by a connection of their own.
pub(crate) const QUICK_CALL_MAX: Duration = Duration::from_secs(1);

/// A heartbeat that is not answered within this time is sent again.
pub(crate) const HEARTBEAT_TIMEOUT: Duration = Duration::from_millis(900);

/// While there is no controller, it is looked for this often.
pub(crate) const CONTROLLER_RETRY: Duration = Duration::from_millis(100);

/// While a node waits for a majority or for the controller, it says so this often.
pub(crate) const WAITING_SAID_EVERY: Duration = Duration::from_secs(5);

/// A broker whose id another one seems to have waits this much longer than a session for the other to be fenced.
pub(crate) const REGISTRATION_PATIENCE: Duration = Duration::from_secs(5);

/// When a process dies, all that had a connection to it know within this time.
pub(crate) const SUSPICION_ARISES: Duration = Duration::from_millis(2);

/// Clients that ask for the metadata wait this long to be told what has become of a broker of which a connection broke.
pub(crate) const SUSPICION_MAX: Duration = Duration::from_millis(500);

/// Clients are told where a broker was for this long after it died.
pub(crate) const GONE_LISTED: Duration = Duration::from_secs(3);

/// How often a starting or stopping broker asks whether it may.
pub(crate) const MEMBERSHIP_POLL: Duration = Duration::from_millis(50);

/// A broker that stops gives its leaderships away within this time, or goes all the same.
pub(crate) const CONTROLLED_SHUTDOWN_MAX: Duration = Duration::from_secs(3);

/// A broker that stops does not wait longer for a controller that says nothing.
pub(crate) const CONTROLLER_SILENCE_AT_SHUTDOWN_MAX: Duration = Duration::from_millis(1_500);

/// Other nodes' requests that are in the works at a shutdown have this long to finish.
pub(crate) const PEER_DRAIN_MAX: Duration = Duration::from_millis(500);

/// When the connection of a broker breaks, its listener is dialled after each of these times: whoever is about to end may still accept.
pub(crate) const DIAL_AFTER: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(300),
];

/// A listener that has not answered for this long does not refuse.
pub(crate) const DIAL_TIMEOUT: Duration = Duration::from_millis(500);

/// Preferred replicas are made leaders again after this time at the latest, whatever is configured.
pub(crate) const LEADER_BALANCE_INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Records of one partition in one answer to this broker as a follower; a single larger batch excepted.
pub(crate) const REPLICA_FETCH_PARTITION_BYTES_MAX: i32 = 1 << 20;

/// Records in one answer to this broker as a follower.
pub(crate) const REPLICA_FETCH_BYTES_MAX: i32 = 10 << 20;

/// A leader that has nothing new answers a follower after this time.
pub(crate) const REPLICA_FETCH_WAIT_MAX: Duration = Duration::from_millis(500);

/// After an error a follower asks again after this time.
pub(crate) const REPLICA_FETCH_PAUSE: Duration = Duration::from_millis(50);

/// A follower that could not append what it was sent asks for it again after this time.
pub(crate) const REPLICA_FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// A broker that found no room on a disk takes no part for so long, after which it sees whether there is some.
pub(crate) const DISK_FULL_PAUSE: Duration = Duration::from_secs(5);

/// When a partition is to be followed from now on, others that may come with it are waited for this long.
pub(crate) const REPLICA_GATHER_PAUSE: Duration = Duration::from_millis(5);

/// A follower waits this long for a sync before it asks about other partitions without those that are being synced.
pub(crate) const REPLICA_SYNC_WAIT_MAX: Duration = Duration::from_secs(1);

/// A leader that is not reached, or does not answer, within these times is given up for the moment.
pub(crate) const REPLICA_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
pub(crate) const REPLICA_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often leaders look whether their followers lag.
pub(crate) const REPLICA_TICK: Duration = Duration::from_millis(500);

/// A proposal of replicas in sync is sent again if there is no answer within this time.
pub(crate) const ISR_PROPOSAL_TIMEOUT: Duration = Duration::from_secs(3);

/// How often it is looked whether the followers have deleted what a client had deleted.
pub(crate) const LOW_WATERMARK_LOOK: Duration = Duration::from_millis(50);

/// So long it is remembered that a batch of an idempotent producer was turned away: whatever was sent behind it has come by then.
pub(crate) const TURNED_AWAY_REMEMBERED: Duration = Duration::from_secs(30);

/// Producers and partitions of which that is remembered.
pub(crate) const TURNED_AWAY_MAX: usize = 10_000;
