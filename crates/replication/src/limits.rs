//! Every bound of this crate, in one place.

/// Appends that a leader remembers one by one between two syncs; later ones are counted together with the last.
pub const UNSYNCED_APPENDS_MAX: usize = 1024;

/// A fetch session that was not used for this long may be evicted for any other.
pub const FETCH_SESSION_EVICTABLE_AFTER_MS: i64 = 120_000;

/// Partitions that all fetch sessions remember together. A session that would exceed it is not created, or is given up.
pub const FETCH_SESSION_PARTITIONS_MAX: usize = 200_000;
