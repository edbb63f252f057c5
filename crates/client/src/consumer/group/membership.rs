//! What a member says to its coordinator, and what the answers mean for it. Pure: no sockets, no clock.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::consumer_protocol::{CONSUMER_PROTOCOL_VERSION_MAX, ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse, JoinGroupResponseMember};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};

use crate::cluster_metadata::TopicPartition;
use crate::config::GroupConfig;
use crate::consumer::assignor::{Assignments, Assignor, MemberSubscription, Members, PartitionCounts, by_topic, flattened};
use crate::error::ClientError;

const PROTOCOL_TYPE: &str = "consumer";

/// From this version on LeaveGroup names many members.
const LEAVE_MANY_SINCE: i16 = 3;

/// Under which name a member is known, and since which rebalance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::consumer) struct Identity {
    /// Given by the coordinator; empty before that.
    pub(in crate::consumer) member_id: String,
    /// -1: in none.
    pub(in crate::consumer) generation: i32,
    pub(in crate::consumer) instance_id: Option<String>,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity {
            member_id: String::new(),
            generation: NO_GENERATION,
            instance_id: None,
        }
    }
}

const NO_GENERATION: i32 = -1;

/// Why a step did not succeed, and what to do about it.
#[derive(Debug, Clone)]
pub(super) enum Setback {
    /// Do it again at once.
    Again,
    /// Do it again after a while.
    Later(ClientError),
    /// The group rebalances: join, with what the member may keep.
    Rejoin,
    /// The group went on without this member. What it had belongs to others; it may join as a new one.
    Lost,
    Failed(ClientError),
}

/// The member is in a new generation.
#[derive(Debug)]
pub(super) struct Joined {
    /// For the leader alone: all members, whose assignments it is to decide.
    pub(super) led: Option<Vec<JoinGroupResponseMember>>,
    /// The leader is a static member that came back: everybody keeps the assignment.
    pub(super) skip_assignment: bool,
}

pub(super) struct Membership {
    group_id: String,
    session_timeout_ms: i32,
    rebalance_timeout_ms: i32,
    assignors: Vec<Assignor>,
    rack: Option<String>,
    identity: Identity,
    /// What the group has agreed on.
    assignor: Assignor,
    /// What the member had in its last generation.
    last: Option<(i32, Vec<TopicPartition>)>,
}

impl Membership {
    pub(super) fn new(config: &GroupConfig, rack: &str) -> Membership {
        Membership {
            group_id: config.id.clone(),
            session_timeout_ms: config.session_timeout.as_millis() as i32,
            rebalance_timeout_ms: config.poll_interval_max.as_millis() as i32,
            assignors: config.assignors.clone(),
            rack: Some(rack.to_owned()).filter(|rack| !rack.is_empty()),
            identity: Identity {
                instance_id: config.instance_id.clone(),
                ..Identity::default()
            },
            assignor: config.assignors[0],
            last: None,
        }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn join_request(&self, topics: &BTreeSet<Arc<str>>, owned: &[TopicPartition], reason: &str) -> JoinGroupRequest {
        let protocol = |assignor: &Assignor| JoinGroupRequestProtocol {
            name: assignor.name().to_owned(),
            metadata: self.subscription(*assignor, topics, owned),
            ..Default::default()
        };
        JoinGroupRequest {
            group_id: self.group_id.clone(),
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.identity.instance_id.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: self.assignors.iter().map(protocol).collect(),
            reason: Some(reason.to_owned()),
            ..Default::default()
        }
    }

    fn subscription(&self, assignor: Assignor, topics: &BTreeSet<Arc<str>>, owned: &[TopicPartition]) -> Bytes {
        let last = self.last.as_ref();
        let subscription = ConsumerProtocolSubscription {
            topics: topics.iter().map(ToString::to_string).collect(),
            user_data: assignor.user_data(last.map(|(generation, partitions)| (*generation, &partitions[..]))),
            owned_partitions: by_topic(owned),
            generation_id: self.identity.generation,
            rack_id: self.rack.clone(),
        };
        subscription.encode(CONSUMER_PROTOCOL_VERSION_MAX)
    }

    pub(super) fn on_join(&mut self, response: JoinGroupResponse) -> Result<Joined, Setback> {
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired if self.identity.member_id.is_empty() => {
                self.identity.member_id = response.member_id;
                return Err(Setback::Again);
            }
            code => return Err(self.setback(code)),
        }
        let named = response.protocol_name.as_deref().and_then(Assignor::named);
        let agreed = named.filter(|assignor| self.assignors.contains(assignor));
        let fits = response
            .protocol_type
            .as_deref()
            .is_none_or(|protocol_type| protocol_type == PROTOCOL_TYPE);
        let Some(assignor) = agreed.filter(|_| fits) else {
            return Err(Setback::Failed(ClientError::refused(
                ErrorCode::InconsistentGroupProtocol.code(),
                None,
            )));
        };
        self.assignor = assignor;
        self.identity.member_id = response.member_id;
        self.identity.generation = response.generation_id;
        let is_leader = self.identity.member_id == response.leader;
        Ok(Joined {
            led: is_leader.then_some(response.members),
            skip_assignment: response.skip_assignment,
        })
    }

    /// The leader decides. A member whose subscription cannot be read gets nothing, rather than that all get nothing.
    pub(super) fn assign(&self, members: &Members, counts: &PartitionCounts) -> Vec<SyncGroupRequestAssignment> {
        let assignments: Assignments = self.assignor.assign(members, counts);
        let encode = |(member_id, partitions): (String, Vec<TopicPartition>)| {
            let assignment = ConsumerProtocolAssignment {
                assigned_partitions: by_topic(&partitions),
                user_data: None,
            };
            SyncGroupRequestAssignment {
                member_id,
                assignment: assignment.encode(CONSUMER_PROTOCOL_VERSION_MAX),
                ..Default::default()
            }
        };
        assignments.into_iter().map(encode).collect()
    }

    pub(super) fn sync_request(&self, assignments: Vec<SyncGroupRequestAssignment>) -> SyncGroupRequest {
        SyncGroupRequest {
            group_id: self.group_id.clone(),
            generation_id: self.identity.generation,
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.identity.instance_id.clone(),
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(self.assignor.name().to_owned()),
            assignments,
            ..Default::default()
        }
    }

    pub(super) fn on_sync(&mut self, response: SyncGroupResponse) -> Result<Vec<TopicPartition>, Setback> {
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            // The next generation is being formed already.
            ErrorCode::RebalanceInProgress => return Err(Setback::Again),
            code => return Err(self.setback(code)),
        }
        // The leader did not think of this member.
        let partitions = if response.assignment.is_empty() {
            Vec::new()
        } else {
            match ConsumerProtocolAssignment::decode(response.assignment) {
                Ok(assignment) => flattened(assignment.assigned_partitions),
                Err(error) => {
                    let reason = format!("the assignment that the leader of the group made cannot be read: {error}");
                    return Err(Setback::Failed(ClientError::Incomplete(reason)));
                }
            }
        };
        self.last = Some((self.identity.generation, partitions.clone()));
        Ok(partitions)
    }

    pub(super) fn heartbeat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: self.group_id.clone(),
            generation_id: self.identity.generation,
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.identity.instance_id.clone(),
            ..Default::default()
        }
    }

    /// What an answer to a heartbeat means, or one that ends up in the same ways.
    pub(super) fn on_heartbeat(&mut self, code: ErrorCode) -> Result<(), Setback> {
        match code {
            ErrorCode::None => Ok(()),
            ErrorCode::RebalanceInProgress => Err(Setback::Rejoin),
            code => Err(self.setback(code)),
        }
    }

    fn setback(&mut self, code: ErrorCode) -> Setback {
        let error = ClientError::refused(code.code(), None);
        match code {
            ErrorCode::UnknownMemberId => {
                self.forget_generation();
                self.identity.member_id.clear();
                Setback::Lost
            }
            ErrorCode::IllegalGeneration => {
                self.forget_generation();
                Setback::Lost
            }
            ErrorCode::RebalanceInProgress | ErrorCode::MemberIdRequired => Setback::Later(error),
            _ if error.is_retriable() => Setback::Later(error),
            _ => Setback::Failed(error),
        }
    }

    /// The member's partitions count as given away.
    pub(super) fn forget_generation(&mut self) {
        self.identity.generation = NO_GENERATION;
    }

    /// A static member does not leave: it is expected back before its session ends. One without an id never came.
    pub(super) fn leave_request(&self, version: i16, reason: &str) -> Option<LeaveGroupRequest> {
        if self.identity.instance_id.is_some() || self.identity.member_id.is_empty() {
            return None;
        }
        let member_id = self.identity.member_id.clone();
        let group_id = self.group_id.clone();
        if version < LEAVE_MANY_SINCE {
            return Some(LeaveGroupRequest {
                group_id,
                member_id,
                ..Default::default()
            });
        }
        let member = MemberIdentity {
            member_id,
            reason: Some(reason.to_owned()),
            ..Default::default()
        };
        Some(LeaveGroupRequest {
            group_id,
            members: vec![member],
            ..Default::default()
        })
    }

    /// After this the member is a new one.
    pub(super) fn on_left(&mut self) {
        self.forget_generation();
        self.identity.member_id.clear();
    }
}

/// What all members want, as they told the coordinator.
pub(super) fn read_members(members: Vec<JoinGroupResponseMember>) -> Members {
    members
        .into_iter()
        .map(|member| {
            let subscription = ConsumerProtocolSubscription::decode(member.metadata).unwrap_or_else(|error| {
                tracing::warn!("the subscription of member {} cannot be read: {error}", member.member_id);
                ConsumerProtocolSubscription::default()
            });
            let wanted = MemberSubscription {
                instance_id: member.group_instance_id,
                topics: subscription.topics.into_iter().map(Arc::from).collect(),
                owned: flattened(subscription.owned_partitions),
                generation: Some(subscription.generation_id).filter(|generation| *generation >= 0),
                user_data: subscription.user_data,
            };
            (member.member_id, wanted)
        })
        .collect()
}

#[cfg(test)]
mod tests;
