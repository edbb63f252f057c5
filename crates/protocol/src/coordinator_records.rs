//! Records of `__consumer_offsets`, in Kafka's format: key and value each start with a version, the key's version also says what it is.

use bytes::Bytes;
use uuid::Uuid;

use crate::Message;
use crate::wire::{DecodeError, Decoder, EncodeError, Encoder, TaggedFields};

/// Keys of version 0 and 1 are offsets, of version 2 groups; others belong to protocols that this node does not speak.
const OFFSET_COMMIT_KEY: i16 = 1;
const GROUP_METADATA_KEY: i16 = 2;
/// Every Kafka since 2.1 reads these.
const OFFSET_COMMIT_VALUE: i16 = 3;
const GROUP_METADATA_VALUE: i16 = 3;
/// The only version that says when an offset expires.
const EXPIRING_OFFSET_COMMIT_VALUE: i16 = 1;

/// One record of `__consumer_offsets`. A value of `None` is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupRecord {
    OffsetCommit {
        group: String,
        topic: String,
        partition: i32,
        value: Option<OffsetCommitValue>,
    },
    GroupMetadata {
        group: String,
        value: Option<GroupMetadataValue>,
    },
}

/// How far a group has read one partition.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "4+")]
pub struct OffsetCommitValue {
    pub offset: i64,
    #[field(versions = "3+", default = -1, ignorable)]
    pub leader_epoch: i32,
    pub metadata: String,
    pub commit_timestamp: i64,
    /// -1: it expires as the broker's configuration says.
    #[field(versions = "1", default = -1, ignorable)]
    pub expire_timestamp: i64,
    #[field(versions = "4+", tag = 0, ignorable)]
    pub topic_id: Uuid,
    pub unknown_tagged_fields: TaggedFields,
}

/// A completed generation of a group.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-4", flexible = "4+")]
pub struct GroupMetadataValue {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    #[field(versions = "2+", default = -1, ignorable)]
    pub current_state_timestamp: i64,
    pub members: Vec<MemberMetadata>,
    pub unknown_tagged_fields: TaggedFields,
}

/// A member of a generation.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "4+")]
pub struct MemberMetadata {
    pub member_id: String,
    #[field(versions = "3+", ignorable)]
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// -1 in version 0: the session timeout counts for both.
    #[field(versions = "1+", default = -1, ignorable)]
    pub rebalance_timeout: i32,
    pub session_timeout: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-1")]
struct OffsetCommitKey {
    group: String,
    topic: String,
    partition: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "2")]
struct GroupMetadataKey {
    group: String,
}

impl GroupRecord {
    /// Key and value. Strings may not be longer than [`STRING_BYTES_MAX`](crate::limits::STRING_BYTES_MAX), which nothing is that came
    /// in a request.
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        self.try_encode().expect("strings and members are within what the protocol allows")
    }

    fn try_encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value,
            } => {
                let key = OffsetCommitKey {
                    group: group.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                };
                let value = value.as_ref().map(|value| {
                    let expires = value.expire_timestamp != -1;
                    with_version(
                        value,
                        if expires {
                            EXPIRING_OFFSET_COMMIT_VALUE
                        } else {
                            OFFSET_COMMIT_VALUE
                        },
                    )
                });
                Ok((with_version(&key, OFFSET_COMMIT_KEY)?, value.transpose()?))
            }
            GroupRecord::GroupMetadata { group, value } => {
                let key = GroupMetadataKey { group: group.clone() };
                let value = value.as_ref().map(|value| with_version(value, GROUP_METADATA_VALUE));
                Ok((with_version(&key, GROUP_METADATA_KEY)?, value.transpose()?))
            }
        }
    }

    /// `Ok(None)` for a key that other kinds of groups write: to be skipped.
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<Option<GroupRecord>, DecodeError> {
        let mut key = Decoder::new(key);
        let version = key.i16()?;
        Ok(Some(match version {
            0 | OFFSET_COMMIT_KEY => {
                let OffsetCommitKey { group, topic, partition } = Message::decode(&mut key, version)?;
                GroupRecord::OffsetCommit {
                    group,
                    topic,
                    partition,
                    value: value.map(offset_commit_value).transpose()?,
                }
            }
            GROUP_METADATA_KEY => {
                let GroupMetadataKey { group } = Message::decode(&mut key, version)?;
                GroupRecord::GroupMetadata {
                    group,
                    value: value.map(group_metadata_value).transpose()?,
                }
            }
            _ if version > GROUP_METADATA_KEY => return Ok(None),
            _ => {
                return Err(DecodeError::UnsupportedVersion {
                    message: "GroupRecord",
                    version,
                });
            }
        }))
    }
}

fn with_version(message: &impl Message, version: i16) -> Result<Bytes, EncodeError> {
    let mut encoder = Encoder::new();
    encoder.i16(version);
    message.encode(&mut encoder, version)?;
    Ok(encoder.finish().to_bytes())
}

fn after_version<M: Message>(bytes: Bytes) -> Result<M, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let version = decoder.i16()?;
    M::decode(&mut decoder, version)
}

/// Without tagged fields that we do not know: the version that we write has no place for them.
fn offset_commit_value(bytes: Bytes) -> Result<OffsetCommitValue, DecodeError> {
    let mut value: OffsetCommitValue = after_version(bytes)?;
    value.unknown_tagged_fields = TaggedFields::default();
    Ok(value)
}

/// The same.
fn group_metadata_value(bytes: Bytes) -> Result<GroupMetadataValue, DecodeError> {
    let mut value: GroupMetadataValue = after_version(bytes)?;
    value.unknown_tagged_fields = TaggedFields::default();
    for member in &mut value.members {
        member.unknown_tagged_fields = TaggedFields::default();
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
