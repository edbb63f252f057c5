//! Every bound of this crate, in one place.

use std::time::Duration;

/// Requests that wait for the controller loop; the next one waits for a place.
pub const REQUESTS_QUEUED_MAX: usize = 1024;

/// Requests that are decided together and written as one entry.
pub const REQUESTS_PER_ENTRY_MAX: usize = 256;

/// No further request is decided into an entry that has this many bytes of records.
pub const ENTRY_BYTES_ENOUGH: usize = 1 << 20;

/// Bytes of records that one request may bring about; a batch has to fit into a segment.
pub const REQUEST_RECORD_BYTES_MAX: usize = 12 << 20;

/// Changes that a subscriber may lag behind; applying waits for it from there on.
pub const CHANGES_QUEUED_MAX: usize = 1024;

/// Entries after the last snapshot that bring about the next one.
pub const SNAPSHOT_AFTER_ENTRIES: u64 = 10_000;

/// Records after the last snapshot that bring about the next one: an entry may have many.
pub const SNAPSHOT_AFTER_RECORDS: u64 = 50_000;

/// Entries that stay in the log below a snapshot, for those who lag a little.
pub const ENTRIES_KEPT_BELOW_SNAPSHOT: u64 = 1_000;

/// Snapshot files that are kept: the current one and the one before.
pub const SNAPSHOTS_KEPT: usize = 2;

/// Records of a snapshot that share a batch.
pub const SNAPSHOT_RECORDS_PER_BATCH: usize = 1_000;

/// A segment of the metadata log; snapshots remove the log segment by segment, and recovery after a crash reads the last one.
pub const SEGMENT_BYTES: u32 = 16 << 20;

/// Bytes of the log between two entries of its index: entries are looked up one by one, right after they were written.
pub const INDEX_INTERVAL_BYTES: u32 = 4 << 10;

/// Bytes of the log that are read at once.
pub const READ_BYTES: usize = 64 << 10;

/// A node that votes alone leads and has applied its log within this time, or does not start.
pub const FIRST_LEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Milliseconds between the heartbeats of a leader that has followers. What three idle nodes cost hangs on this.
pub const HEARTBEAT_INTERVAL_MS: u64 = 400;

/// The upper bound is also a lease: for so many milliseconds after a heartbeat nobody is voted for. When it has passed, and then a random
/// time between the bounds, a follower stands for election. A leader that is silent is followed by another within twice the upper bound; one
/// whose process has ended, at once.
pub const ELECTION_TIMEOUT_MS_MIN: u64 = 600;
pub const ELECTION_TIMEOUT_MS_MAX: u64 = 800;

/// For so long at least a leader was silent before another one was elected, unless it was known to have ended or has handed over.
pub const LEADER_SILENCE: Duration = Duration::from_millis(ELECTION_TIMEOUT_MS_MAX + ELECTION_TIMEOUT_MS_MIN);

/// When a leader's process has ended, each voter leaves those with lower ids this much time to succeed it.
pub const SUCCESSION_PAUSE: Duration = Duration::from_millis(100);

/// A message has not many more bytes of entries, but one entry at least.
pub const MESSAGE_BYTES_ENOUGH: usize = 1 << 20;

/// Bytes of a snapshot in one message.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;

/// A snapshot that claims to be larger is not received.
pub const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;

/// Entries, or a part of a snapshot, are acknowledged within this time, or sent again.
pub const APPEND_TIMEOUT: Duration = Duration::from_secs(2);

/// The last part of a snapshot is acknowledged when the snapshot is on disk.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(30);

/// An observer that has everything is answered after this time at the latest.
pub const PULL_WAIT: Duration = Duration::from_secs(2);

/// How much longer the answer may be on its way.
pub const PULL_TIMEOUT: Duration = Duration::from_secs(1);

/// An observer that was not answered waits this long, then tries the next voter.
pub const PULL_RETRY: Duration = Duration::from_millis(100);

/// Observers of which the progress is remembered, and for how long.
pub const OBSERVERS_MAX: usize = 10_000;
pub const OBSERVER_FORGOTTEN_MS: i64 = 300_000;

/// A leader that could not name the cluster waits this long before it tries again.
pub const NAMING_RETRY: Duration = Duration::from_millis(50);

/// A leader that ends hands over within this time, or ends all the same.
pub const HANDOVER_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A new voter has caught up within this time, or does not become one.
pub const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(30);

/// A change of the voters is agreed upon within this time, or its outcome is unknown.
pub const MEMBERSHIP_TIMEOUT: Duration = Duration::from_secs(10);

/// No batch that we write is larger; one that claims to be is damaged.
pub const BATCH_RECORD_BYTES_MAX: usize = SEGMENT_BYTES as usize;
