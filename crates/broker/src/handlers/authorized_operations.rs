//! What a client may do, as bit sets of Kafka's operation codes. There are no access controls yet: everybody may do everything.

/// Trap 10: not "nothing", but "you did not ask".
pub(crate) const NOT_REQUESTED: i32 = i32::MIN;

/// Read, write, create, delete, alter, describe, describe and alter configs.
pub(crate) const TOPIC: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

/// Read, delete, describe, describe and alter configs.
pub(crate) const GROUP: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

/// Create, alter, describe, cluster action, describe and alter configs, idempotent write.
const CLUSTER: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

pub(crate) fn cluster(requested: bool) -> i32 {
    if requested { CLUSTER } else { NOT_REQUESTED }
}
