//! Every bound of the crate, in one place. Bounds that an operator may move are in [`GroupConfig`](crate::GroupConfig).

/// Members of one group, those included that have been given an id and have not joined yet.
pub const MEMBERS_MAX: usize = 10_000;

/// A member is dropped if its first JoinGroup has waited for so long: nobody knows whether it is still there.
pub const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

/// A group's members may offer several protocols; one of them goes into the record. All of them together may be so many records large.
pub const PROTOCOLS_PER_RECORD: usize = 8;

/// What a protocol costs in memory beside its name and its bytes.
pub const PROTOCOL_OVERHEAD_BYTES: usize = 64;

/// What a member, or an id that was handed out, costs in memory beside what it has sent: its fields, its id, its places in the maps.
pub const MEMBER_OVERHEAD_BYTES: usize = 1024;

/// A member id is this much of the client id or the instance id, and a UUID.
pub const MEMBER_ID_PREFIX_BYTES_MAX: usize = 255;

/// The sweep writes at most about so many tombstones at once, and goes on a moment later.
pub const SWEEP_RECORDS_MAX: usize = 10_000;

/// What a record of an offset needs beside its strings, at most.
pub const OFFSET_RECORD_OVERHEAD_BYTES: usize = 64;
