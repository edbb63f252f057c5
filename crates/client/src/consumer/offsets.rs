//! What is committed for a group.

use std::collections::BTreeMap;

use crate::cluster_metadata::TopicPartition;

/// The next record to read, and what the application wants to remember with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    pub offset: i64,
    /// Of the record before; -1 if it is not known.
    pub leader_epoch: i32,
    pub metadata: String,
}

impl OffsetAndMetadata {
    pub fn new(offset: i64) -> OffsetAndMetadata {
        OffsetAndMetadata {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        }
    }
}

pub type Offsets = BTreeMap<TopicPartition, OffsetAndMetadata>;
