//! Every bound of this crate, in one place.

/// Appends above the high watermark that a leader remembers one by one; later ones are counted together with the last.
pub const UNREAD_APPENDS_MAX: usize = 1024;

/// A fetch session that was not used for this long may be evicted for any other.
pub const FETCH_SESSION_EVICTABLE_AFTER_MS: i64 = 120_000;

/// Partitions that all fetch sessions remember together. A session that would exceed it is not created, or is given up.
pub const FETCH_SESSION_PARTITIONS_MAX: usize = 200_000;

/// A follower that has not had everything for this long is not in sync, unless configured otherwise (`replica.lag.time.max.ms`).
pub const REPLICA_LAG_TIME_MS_MAX: i64 = 30_000;
