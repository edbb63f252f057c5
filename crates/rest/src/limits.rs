//! Every bound of the proxy that is not a configuration key.

use std::time::Duration;

/// Largest body of one request; beyond it the answer is 413.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bodies that are held at one time, all requests together; beyond it the answer is 429.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Keys, values and headers of answers that are not sent yet, all together; beyond it the answer is 429.
pub const ANSWERS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How long a client may take nothing of an answer before its connection is closed.
pub const ANSWER_STALL_MAX: Duration = Duration::from_secs(30);

/// Of a body that is too large so much is read and dropped, so that its sender lives to see the answer.
pub const BODY_BYTES_DROPPED_MAX: usize = 256 * 1024 * 1024;

/// A body has this long, and longer the more of it has arrived.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Slower bodies run out of time.
pub const BODY_BYTES_PER_SECOND_MIN: usize = 16 * 1024;

/// From the start of a request, or the end of the one before it on the connection, until its headers have arrived.
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);

/// Request line and headers; beyond it the answer is 431 or 414.
pub const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// Number of headers; beyond it the answer is 431.
pub const HEADERS_MAX: usize = 100;

/// Open connections of all listeners; one more waits to be accepted.
pub const CONNECTIONS_MAX: usize = 4096;

/// Depth of arrays and objects in a body; Jackson's limit.
pub const JSON_DEPTH_MAX: usize = 1000;

/// Consumer instances; beyond it the answer is 429.
pub const INSTANCES_MAX: usize = 4000;

/// Reads that wait or gather records, or whose answers are not sent yet; beyond it the answer is 429.
pub const READS_IN_FLIGHT_MAX: usize = 2048;

/// Bytes of keys, values and headers in one answer, and the largest `max_bytes`.
pub const READ_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Records in one answer.
pub const READ_RECORDS_MAX: usize = 100_000;

/// Longest `timeout` of a read; a longer one is cut.
pub const READ_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// How long a read without a `timeout` of its own waits for the instance's first partitions, before its time begins.
pub const FIRST_ASSIGNMENT_WAIT_MAX: Duration = Duration::from_secs(30);

/// Records that an instance takes from the client library at once.
pub const POLL_RECORDS_MAX: usize = 100;

/// How long an instance that nobody reads from holds what it has fetched.
pub const HELD_IDLE_MAX: Duration = Duration::from_secs(5);

/// Bytes of one fetch of an instance.
pub const FETCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a group's or an instance's name, of a topic pattern, and topics in one subscription.
pub const NAME_BYTES_MAX: usize = 255;
pub const PATTERN_BYTES_MAX: usize = 1000;
/// What a topic pattern is compiled to.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 64 * 1024;
pub const SUBSCRIPTION_TOPICS_MAX: usize = 1000;

/// Kafka's limit for names of topics.
pub const TOPIC_BYTES_MAX: usize = 249;

/// How often delivered records are committed where `auto.commit.enable` says so.
pub const AUTO_COMMIT_INTERVAL: Duration = Duration::from_secs(5);

/// How long an instance that is closed may take to commit and to leave its group.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often idle instances are looked for.
pub const REAPER_INTERVAL: Duration = Duration::from_secs(1);

/// How long a record's topic may take to come into being.
pub const TOPIC_WAIT_MAX: Duration = Duration::from_secs(10);

/// When stopping: how long requests may take to end.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Open streams of records; beyond it the answer is 429.
pub const STREAMS_MAX: usize = 512;

/// Answers that a stream of records holds for a client that does not read them; beyond it no more records are read.
pub const STREAM_ANSWERS_MAX: usize = 16_384;

/// How long a stream may stay between two records. A record that has begun to arrive has the time of a body.
pub const STREAM_IDLE_MAX: Duration = Duration::from_secs(60);

/// How long a stream may live.
pub const STREAM_DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Entries of one batch of records, and bytes of each one's id; beyond it the answer is 42208.
pub const BATCH_ENTRIES_MAX: usize = 1000;
pub const BATCH_ID_BYTES_MAX: usize = 80;

/// Topics whose configurations are asked for at a time.
pub const TOPICS_PER_PAGE: usize = 100;

/// Partitions in one page of a description.
pub const PARTITIONS_PER_PAGE: i32 = 2000;
