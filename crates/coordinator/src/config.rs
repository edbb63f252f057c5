//! What an operator may set.

/// Each field is named after its key in Kafka's configuration, where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    pub session_timeout_ms_min: i32,
    pub session_timeout_ms_max: i32,
    pub initial_rebalance_delay_ms: i32,
    /// Members of one group.
    pub group_size_max: usize,
    /// Characters, as Kafka counts them (UTF-16 units), of the text that is committed with an offset.
    pub offset_metadata_bytes_max: usize,
    pub offsets_retention_ms: i64,
    pub offsets_retention_check_interval_ms: i64,
    /// A larger record of a group cannot be written; nor can the offsets of one commit together be larger.
    pub record_bytes_max: usize,
    /// Groups of this shard.
    pub groups_max: usize,
    /// Committed offsets of this shard, of all its groups together.
    pub offsets_max: usize,
    /// What the members of this shard, of all its groups together, take in memory. What the log has of them comes on top, and is less.
    pub member_bytes_max: usize,
}

impl Default for GroupConfig {
    fn default() -> GroupConfig {
        GroupConfig {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            group_size_max: i32::MAX as usize,
            offset_metadata_bytes_max: 4_096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_retention_check_interval_ms: 600_000,
            record_bytes_max: 1_048_588,
            groups_max: 10_000,
            offsets_max: 200_000,
            member_bytes_max: 128 << 20,
        }
    }
}
