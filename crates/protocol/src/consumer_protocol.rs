//! What members of a group of consumers tell each other through the coordinator: what they subscribe to, and what they are assigned.
//!
//! The coordinator passes these bytes on without reading them. A version stands in front of each; newer versions only append fields, so
//! a version that we do not know is read as the newest that we know.

use bytes::Bytes;

use crate::Message;
use crate::wire::{DecodeError, Decoder, Encoder};

/// The newest version of both structs.
pub const CONSUMER_PROTOCOL_VERSION_MAX: i16 = 3;

/// What a member wants, in JoinGroup.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-3")]
pub struct ConsumerProtocolSubscription {
    pub topics: Vec<String>,
    pub user_data: Option<Bytes>,
    /// What the member owns now (KIP-429).
    #[field(versions = "1+", ignorable)]
    pub owned_partitions: Vec<TopicPartition>,
    /// The generation in which it came to own that (KIP-792).
    #[field(versions = "2+", default = -1, ignorable)]
    pub generation_id: i32,
    #[field(versions = "3+", ignorable)]
    pub rack_id: Option<String>,
}

/// What a member gets, in SyncGroup.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-3")]
pub struct ConsumerProtocolAssignment {
    pub assigned_partitions: Vec<TopicPartition>,
    pub user_data: Option<Bytes>,
}

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicPartition {
    pub topic: String,
    pub partitions: Vec<i32>,
}

impl ConsumerProtocolSubscription {
    /// No topic name or rack may be longer than the protocol allows.
    pub fn encode(&self, version: i16) -> Bytes {
        with_version(self, version)
    }

    pub fn decode(bytes: Bytes) -> Result<ConsumerProtocolSubscription, DecodeError> {
        after_version(bytes)
    }
}

impl ConsumerProtocolAssignment {
    /// No topic name may be longer than the protocol allows.
    pub fn encode(&self, version: i16) -> Bytes {
        with_version(self, version)
    }

    pub fn decode(bytes: Bytes) -> Result<ConsumerProtocolAssignment, DecodeError> {
        after_version(bytes)
    }
}

fn with_version(message: &impl Message, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    encoder.i16(version);
    message
        .encode(&mut encoder, version)
        .expect("the version exists, and names of topics and racks are short");
    encoder.finish().to_bytes()
}

fn after_version<M: Message>(bytes: Bytes) -> Result<M, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let version = decoder.i16()?;
    M::decode(&mut decoder, version.min(CONSUMER_PROTOCOL_VERSION_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription() -> ConsumerProtocolSubscription {
        ConsumerProtocolSubscription {
            topics: vec!["t".into()],
            user_data: Some(Bytes::from_static(b"u")),
            owned_partitions: vec![TopicPartition {
                topic: "t".into(),
                partitions: vec![3],
            }],
            generation_id: 5,
            rack_id: Some("r".into()),
        }
    }

    const TOPICS_AND_DATA: [u8; 12] = [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, b'u'];
    const OWNED: [u8; 15] = [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 3];
    const GENERATION: [u8; 4] = [0, 0, 0, 5];
    const RACK: [u8; 3] = [0, 1, b'r'];

    #[test]
    fn each_version_of_a_subscription_adds_a_field() {
        let parts: [&[u8]; 4] = [&TOPICS_AND_DATA, &OWNED, &GENERATION, &RACK];
        for version in 0..=CONSUMER_PROTOCOL_VERSION_MAX {
            let expected = [&version.to_be_bytes(), parts[..=version as usize].concat().as_slice()].concat();
            let bytes = subscription().encode(version);
            assert_eq!(bytes, expected, "version {version}");
            let mut known = subscription();
            if version < 3 {
                known.rack_id = None;
            }
            if version < 2 {
                known.generation_id = -1;
            }
            if version < 1 {
                known.owned_partitions.clear();
            }
            assert_eq!(ConsumerProtocolSubscription::decode(bytes), Ok(known), "version {version}");
        }
    }

    #[test]
    fn an_assignment_looks_the_same_in_every_version() {
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: subscription().owned_partitions,
            user_data: None,
        };
        for version in 0..=CONSUMER_PROTOCOL_VERSION_MAX {
            let bytes = assignment.encode(version);
            assert_eq!(bytes, [&version.to_be_bytes()[..], &OWNED, &[0xff; 4]].concat());
            assert_eq!(ConsumerProtocolAssignment::decode(bytes), Ok(assignment.clone()));
        }
    }

    #[test]
    fn of_a_newer_version_what_is_known_is_read() {
        let newer = [&subscription().encode(3)[2..], b"more"].concat();
        let newer = Bytes::from([&[0, 9], newer.as_slice()].concat());
        assert_eq!(ConsumerProtocolSubscription::decode(newer), Ok(subscription()));
    }

    #[test]
    fn garbage_is_an_error() {
        for garbage in [
            &[][..],
            &[0],
            &[0xff, 0xff, 0, 0],
            &[0, 0, 0x7f, 0xff, 0xff, 0xff],
            &[0, 1, 0, 0, 0, 1, 0, 9, b't'],
        ] {
            assert!(
                ConsumerProtocolSubscription::decode(Bytes::copy_from_slice(garbage)).is_err(),
                "{garbage:?}"
            );
            assert!(
                ConsumerProtocolAssignment::decode(Bytes::copy_from_slice(garbage)).is_err(),
                "{garbage:?}"
            );
        }
    }
}
