//! Records of the cluster as a whole.

use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;

/// The id of the cluster; the first record of all.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct ClusterRecord {
    pub cluster_id: String,
    pub unknown_tagged_fields: TaggedFields,
}

/// The level of a feature that every node must know.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct FeatureLevelRecord {
    pub name: String,
    /// 0: none.
    pub level: i16,
    pub unknown_tagged_fields: TaggedFields,
}

/// Producer ids below this one are given away.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct ProducerIdsRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
    pub next_producer_id: i64,
    pub unknown_tagged_fields: TaggedFields,
}

/// Nothing happened.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct NoOpRecord {
    pub unknown_tagged_fields: TaggedFields,
}
