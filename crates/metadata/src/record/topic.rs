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
#[message(versions = "0-1", flexible = "0+")]
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
    /// Of these replicas, the ones that a reassignment has added.
    #[field(versions = "1+", tag = 0)]
    pub adding_replicas: Vec<i32>,
    /// Of these replicas, the ones that a reassignment is going to remove.
    #[field(versions = "1+", tag = 1)]
    pub removing_replicas: Vec<i32>,
    /// Not in sync, but holding all that is committed.
    #[field(versions = "1+", tag = 2)]
    pub eligible_leader_replicas: Vec<i32>,
    #[field(versions = "1+", tag = 3)]
    pub last_known_elr: Vec<i32>,
    /// 1: committed records may be missing, see [`PartitionChangeRecord::leader_recovery_state`].
    #[field(versions = "1+", tag = 4)]
    pub leader_recovery_state: i8,
    pub unknown_tagged_fields: TaggedFields,
}

/// [`PartitionChangeRecord::leader`] if it stays who it was.
pub const NO_LEADER_CHANGE: i32 = -2;

/// [`PartitionChangeRecord::leader_recovery_state`] if it stays what it was.
pub const NO_RECOVERY_CHANGE: i8 = -1;

/// The partition epoch rises by one; the leader epoch too, if there is a word about the leader.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1", flexible = "0+")]
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
    /// `None`: as before.
    #[field(versions = "1+", tag = 3)]
    pub adding_replicas: Option<Vec<i32>>,
    /// `None`: as before.
    #[field(versions = "1+", tag = 4)]
    pub removing_replicas: Option<Vec<i32>>,
    /// `None`: as before.
    #[field(versions = "1+", tag = 5)]
    pub eligible_leader_replicas: Option<Vec<i32>>,
    /// `None`: as before.
    #[field(versions = "1+", tag = 6)]
    pub last_known_elr: Option<Vec<i32>>,
    /// 1: committed records may be missing, because the leader was elected uncleanly, or because the last replica in sync was restarted
    /// after a crash; 0: the leader has taken note; [`NO_RECOVERY_CHANGE`]: as before.
    #[field(versions = "1+", tag = 7, default = -1)]
    pub leader_recovery_state: i8,
    pub unknown_tagged_fields: TaggedFields,
}

/// The topic is gone.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct RemoveTopicRecord {
    pub topic_id: Uuid,
    pub unknown_tagged_fields: TaggedFields,
}
