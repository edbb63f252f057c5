//! Entries as values of records in the log: our own versioned bytes, so that no release of openraft can change what is on disk.
//!
//! A value is one byte for the kind, one for the version, then a message of that kind. Offset and leader epoch of the record are the log id.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dohle_metadata::record::MetadataRecord;
use dohle_protocol::Message;
use dohle_protocol::wire::{Decoder, Encoder, TaggedFields};
use openraft::{BasicNode, EntryPayload};

use crate::type_config::{Membership, NodeId, Payload, Proposal};

const BLANK: u8 = 0;
const PROPOSAL: u8 = 1;
const MEMBERSHIP: u8 = 2;
/// The only version so far of each kind.
const VERSION: u8 = 0;

/// Bytes in the log that are not an entry, although their checksum is right: written by a newer release, or not by us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryCodecError {
    #[error("kind {kind} in version {version} is unknown to this release")]
    Unknown { kind: u8, version: u8 },
    #[error("{0}")]
    Damaged(String),
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
struct ProposalValue {
    decided_term: i64,
    decided_by: i64,
    records: Vec<Bytes>,
    unknown_tagged_fields: TaggedFields,
}

/// Who votes. Two sets while a change of voters is under way: each needs a majority of its own.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct MembershipValue {
    voter_sets: Vec<VoterSetValue>,
    nodes: Vec<NodeValue>,
    unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
struct VoterSetValue {
    node_ids: Vec<i64>,
    unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
struct NodeValue {
    node_id: i64,
    address: String,
    unknown_tagged_fields: TaggedFields,
}

pub(crate) fn encode(payload: &Payload) -> Result<Bytes, EntryCodecError> {
    match payload {
        EntryPayload::Blank => Ok(Bytes::from_static(&[BLANK, VERSION])),
        EntryPayload::Normal(proposal) => {
            let records = proposal
                .records
                .iter()
                .map(|record| record.encode().map_err(damaged))
                .collect::<Result<_, _>>()?;
            let value = ProposalValue {
                decided_term: proposal.decided_term as i64,
                decided_by: proposal.decided_by as i64,
                records,
                ..ProposalValue::default()
            };
            framed(PROPOSAL, &value)
        }
        EntryPayload::Membership(membership) => framed(MEMBERSHIP, &MembershipValue::from(membership)),
    }
}

pub(crate) fn decode(value: &Bytes) -> Result<Payload, EntryCodecError> {
    match value.first() {
        Some(&BLANK) if value.as_ref() == [BLANK, VERSION] => Ok(EntryPayload::Blank),
        Some(&MEMBERSHIP) => Membership::try_from(unframed::<MembershipValue>(MEMBERSHIP, value)?).map(EntryPayload::Membership),
        _ => {
            let value: ProposalValue = unframed(PROPOSAL, value)?;
            let records = value
                .records
                .iter()
                .map(|record| MetadataRecord::decode(record).map_err(damaged))
                .collect::<Result<_, _>>()?;
            Ok(EntryPayload::Normal(Proposal {
                decided_term: value.decided_term as u64,
                decided_by: value.decided_by as NodeId,
                records,
            }))
        }
    }
}

/// A message behind its kind and version; also how the parts of a snapshot are written.
pub(crate) fn framed(kind: u8, message: &impl Message) -> Result<Bytes, EntryCodecError> {
    let mut encoder = Encoder::new();
    encoder.slice(&[kind, VERSION]);
    message.encode(&mut encoder, VERSION.into()).map_err(damaged)?;
    Ok(encoder.finish().to_bytes())
}

/// The message behind `kind`; anything else is refused.
pub(crate) fn unframed<M: Message>(kind: u8, value: &Bytes) -> Result<M, EntryCodecError> {
    match *value.as_ref() {
        [found, VERSION, ..] if found == kind => message_from(value.slice(2..)),
        [kind, version, ..] => Err(EntryCodecError::Unknown { kind, version }),
        _ => Err(EntryCodecError::Damaged(format!("a value of {} bytes", value.len()))),
    }
}

fn message_from<M: Message>(body: Bytes) -> Result<M, EntryCodecError> {
    let mut decoder = Decoder::new(body);
    let message = M::decode(&mut decoder, VERSION.into()).map_err(damaged)?;
    match decoder.remaining() {
        0 => Ok(message),
        bytes => Err(EntryCodecError::Damaged(format!("{bytes} bytes too many"))),
    }
}

pub(crate) fn damaged(error: impl std::fmt::Display) -> EntryCodecError {
    EntryCodecError::Damaged(error.to_string())
}

impl From<&Membership> for MembershipValue {
    fn from(membership: &Membership) -> MembershipValue {
        let voter_set = |ids: &BTreeSet<NodeId>| VoterSetValue {
            node_ids: ids.iter().map(|id| *id as i64).collect(),
            ..VoterSetValue::default()
        };
        let node = |(id, node): (&NodeId, &BasicNode)| NodeValue {
            node_id: *id as i64,
            address: node.addr.clone(),
            ..NodeValue::default()
        };
        MembershipValue {
            voter_sets: membership.get_joint_config().iter().map(voter_set).collect(),
            nodes: membership.nodes().map(node).collect(),
            ..MembershipValue::default()
        }
    }
}

impl TryFrom<MembershipValue> for Membership {
    type Error = EntryCodecError;

    fn try_from(value: MembershipValue) -> Result<Membership, EntryCodecError> {
        let sets = value
            .voter_sets
            .iter()
            .map(|set| set.node_ids.iter().map(|id| *id as NodeId).collect())
            .collect();
        let nodes: BTreeMap<NodeId, BasicNode> = value
            .nodes
            .into_iter()
            .map(|node| (node.node_id as NodeId, BasicNode { addr: node.address }))
            .collect();
        Membership::new(sets, nodes).map_err(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memberships() -> Vec<Membership> {
        let nodes = |ids: &[NodeId]| {
            ids.iter()
                .map(|id| (*id, BasicNode::new(format!("host-{id}:9093"))))
                .collect::<BTreeMap<_, _>>()
        };
        vec![
            Membership::new(vec![BTreeSet::from([1])], nodes(&[1])).unwrap(),
            Membership::new(
                vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([3, 4, 5])],
                nodes(&[1, 2, 3, 4, 5, 9]),
            )
            .unwrap(),
        ]
    }

    #[test]
    fn entries_survive_encoding() {
        let proposal = Proposal {
            decided_term: 7,
            decided_by: 3,
            records: vec![],
        };
        let payloads = [EntryPayload::Blank, EntryPayload::Normal(proposal)];
        for payload in payloads.into_iter().chain(memberships().into_iter().map(EntryPayload::Membership)) {
            assert_eq!(decode(&encode(&payload).unwrap()).unwrap(), payload);
        }
    }

    #[test]
    fn the_bytes_of_a_proposal_do_not_change() {
        let payload = EntryPayload::Normal(Proposal {
            decided_term: 7,
            decided_by: 3,
            records: vec![],
        });
        assert_eq!(
            encode(&payload).unwrap().as_ref(),
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0]
        );
    }

    #[test]
    fn what_is_not_an_entry_is_refused() {
        let good = encode(&EntryPayload::Membership(memberships().remove(1))).unwrap();
        for length in 0..good.len() {
            assert!(decode(&good.slice(..length)).is_err(), "cut to {length} bytes");
        }
        assert!(matches!(
            decode(&Bytes::from_static(&[9, 0])),
            Err(EntryCodecError::Unknown { kind: 9, version: 0 })
        ));
        assert!(matches!(
            decode(&Bytes::from_static(&[1, 1])),
            Err(EntryCodecError::Unknown { kind: 1, version: 1 })
        ));
        assert!(decode(&Bytes::from([good.as_ref(), &[0]].concat())).is_err());
    }
}
