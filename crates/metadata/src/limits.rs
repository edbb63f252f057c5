//! The bounds of what one request may ask for, and of what the metadata may hold.

/// Longest name of a topic; the name of its directory adds a partition index to it.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Most partitions that one request may create, all its topics together.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// Most keys that one request may alter, all its resources together.
pub const CONFIG_CHANGES_PER_REQUEST_MAX: usize = 10_000;

/// Longest value of a configuration key: what a string of the protocol can hold.
pub const CONFIG_VALUE_BYTES_MAX: usize = i16::MAX as usize;

/// Producer ids that a broker gets at once.
pub const PRODUCER_IDS_PER_BLOCK: i64 = 1000;

/// A broker that was not heard of for this long is fenced, unless configured otherwise.
pub const BROKER_SESSION_TIMEOUT_MS: i64 = 3_000;

/// Most leaders that are moved at once to make the preferred ones lead again.
pub const ELECTIONS_PER_BALANCE_MAX: usize = 1000;

/// Replicas of an internal topic, if there are brokers enough and nothing else is configured.
pub const INTERNAL_REPLICATION_FACTOR: usize = 3;

/// Longest explanation of a refusal.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 1000;
