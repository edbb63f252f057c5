//! Records of topics and partitions.

use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;
use uuid::Uuid;

/// A topic exists from here on; its partitions follow.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct TopicRecord {
    pub name: String,
    pub topic_id: Uuid,
    pub unknown_tagged_fields: TaggedFields,
}

/// A partition exists from here on.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct PartitionRecord {
    pub topic_id: Uuid,
    pub partition_index: i32,
    /// In the order of preference.
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    /// -1: none.
    pub leader: i32,
    pub leader_epoch: i32,
    /// Counts the changes of the partition.
    pub partition_epoch: i32,
    pub unknown_tagged_fields: TaggedFields,
}

/// [`PartitionChangeRecord::leader`] if it stays who it was.
pub const NO_LEADER_CHANGE: i32 = -2;

/// The partition epoch rises by one; the leader epoch too, if there is a word about the leader.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct PartitionChangeRecord {
    pub topic_id: Uuid,
    pub partition_index: i32,
    /// `None`: as before.
    #[field(versions = "0+", tag = 0)]
    pub isr: Option<Vec<i32>>,
    /// -1: none from here on; [`NO_LEADER_CHANGE`]: as before.
    #[field(versions = "0+", tag = 1, default = -2)]
    pub leader: i32,
    /// `None`: as before.
    #[field(versions = "0+", tag = 2)]
    pub replicas: Option<Vec<i32>>,
    pub unknown_tagged_fields: TaggedFields,
}

/// The topic is gone.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct RemoveTopicRecord {
    pub topic_id: Uuid,
    pub unknown_tagged_fields: TaggedFields,
}
