//! One group as it is now: its state, its members, and who is waited for. Who changes it is in the files of this folder.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::consumer_protocol::ConsumerProtocolSubscription;
use dohle_protocol::coordinator_records::{GroupMetadataValue, GroupRecord};
use dohle_protocol::messages::join_group::{JoinGroupRequestProtocol, JoinGroupResponseMember};
use dohle_protocol::wire::Decoder;
use dohle_protocol::{Message, coordinator_records};

use crate::hard::HardGroup;
use crate::limits;
use crate::mutant::{Mutant, mutant_is};

mod completion;
mod heartbeat;
mod join;
mod leave;
mod member;
mod static_member;
mod sync;
mod timers;

pub(crate) use member::{Member, Waiter};

/// The protocol type of consumers, the only one whose subscriptions are read here.
const CONSUMER: &str = "consumer";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    Empty,
    /// Members are to send JoinGroup.
    PreparingRebalance,
    /// Members are to send SyncGroup, the leader with the assignments.
    CompletingRebalance,
    Stable,
}

impl GroupState {
    pub const ALL: [GroupState; 4] = [
        GroupState::Empty,
        GroupState::PreparingRebalance,
        GroupState::CompletingRebalance,
        GroupState::Stable,
    ];

    /// As tools print it.
    pub fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
        }
    }
}

/// The members of a group that was empty are given time to arrive together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InitialDelay {
    /// Somebody has come since the delay was last extended.
    pub(crate) extend: bool,
    pub(crate) delay_ms: i64,
    pub(crate) remaining_ms: i64,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) state: GroupState,
    pub(crate) state_since_ms: i64,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    /// Chosen by the members' votes when a generation begins.
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    pub(crate) members: BTreeMap<String, Member>,
    /// The member id that each instance id stands for now.
    pub(crate) instances: BTreeMap<String, String>,
    /// Ids that were handed out, and have not joined yet.
    pub(crate) pending: BTreeSet<String>,
    /// Members that have not sent SyncGroup in this generation.
    pub(crate) unsynced: BTreeSet<String>,
    /// Set in PreparingRebalance, if the group was empty before.
    pub(crate) initial_delay: Option<InitialDelay>,
    /// What its members cost in memory, as it was counted last.
    pub(crate) counted_bytes: usize,
}

impl Group {
    pub(crate) fn new(id: &str, now_ms: i64) -> Group {
        Group {
            id: id.to_owned(),
            state: GroupState::Empty,
            state_since_ms: now_ms,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            initial_delay: None,
            counted_bytes: 0,
        }
    }

    /// The group as the log has it: stable if it has members.
    pub(crate) fn from_log(id: &str, hard: &HardGroup) -> Group {
        let Some(metadata) = &hard.metadata else {
            return Group::new(id, -1);
        };
        let mut group = Group::new(id, metadata.current_state_timestamp);
        group.generation = metadata.generation;
        group.protocol_type = hard.protocol_type().map(str::to_owned);
        group.protocol = metadata.protocol.clone();
        for recorded in &metadata.members {
            let member = Member::from_log(recorded, metadata.protocol.as_deref().unwrap_or_default());
            group.insert(member);
        }
        group.leader = metadata.leader.clone().filter(|leader| group.members.contains_key(leader));
        if !group.members.is_empty() {
            group.state = GroupState::Stable;
        }
        group
    }

    /// Nothing is known of it that is not in the log.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == GroupState::Empty && self.pending.is_empty()
    }

    pub(crate) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(crate) fn enter(&mut self, state: GroupState, now_ms: i64) {
        self.state = state;
        self.state_since_ms = now_ms;
    }

    /// The first member decides what kind of group it is, and leads.
    pub(crate) fn insert(&mut self, member: Member) {
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), member.id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.pending.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Forgets a member, or an id that was handed out; somebody else leads if it led.
    pub(crate) fn remove(&mut self, member_id: &str) -> Option<Member> {
        self.pending.remove(member_id);
        self.unsynced.remove(member_id);
        let member = self.members.remove(member_id)?;
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID if the instance is another member by now.
    pub(crate) fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance_id {
            match self.instances.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if current != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    /// What its members, and the ids that were handed out, cost in memory.
    pub(crate) fn bytes(&self) -> usize {
        let ids = self.members.len() + self.pending.len();
        ids * self.overhead_bytes() + self.members.values().map(Member::bytes).sum::<usize>()
    }

    /// Of each member. Its timer names the group, twice.
    pub(crate) fn overhead_bytes(&self) -> usize {
        limits::MEMBER_OVERHEAD_BYTES + 2 * self.id.len()
    }

    pub(crate) fn joining(&self) -> usize {
        self.members.values().filter(|member| member.joining.is_some()).count()
    }

    pub(crate) fn all_joined(&self) -> bool {
        let nobody_pending = self.pending.is_empty() || mutant_is(Mutant::PendingNotCounted);
        nobody_pending && self.members.values().all(|member| member.joining.is_some())
    }

    /// The largest of its members'.
    pub(crate) fn rebalance_timeout_ms(&self) -> i64 {
        let timeouts = self.members.values().map(|member| i64::from(member.rebalance_timeout_ms));
        timeouts.max().unwrap_or(0).max(0)
    }

    /// Whether a member with these protocols could work with all the present ones.
    pub(crate) fn supports(&self, protocol_type: &str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(|protocol| self.all_support(&protocol.name))
    }

    fn all_support(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.metadata(protocol).is_some())
    }

    /// Each member votes for the first of its protocols that all support; most votes win. None without members.
    pub(crate) fn select_protocol(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        let candidates: BTreeSet<&str> = match self.members.values().next() {
            Some(first) => first.protocol_names().filter(|name| self.all_support(name)).collect(),
            None => return None,
        };
        for member in self.members.values() {
            if let Some(choice) = member.protocol_names().find(|name| candidates.contains(name)) {
                *votes.entry(choice).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned())
    }

    /// Sees to it that the leader is somebody who has joined; false if nobody has.
    pub(crate) fn elect_joined_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        if leader.is_some_and(|member| member.joining.is_some()) {
            return true;
        }
        let Some(joined) = self.members.values().find(|member| member.joining.is_some()) else {
            return false;
        };
        self.leader = Some(joined.id.clone());
        true
    }

    pub(crate) fn begin_generation(&mut self, now_ms: i64) {
        if !mutant_is(Mutant::GenerationKept) {
            self.generation = self.generation.wrapping_add(1).max(0);
        }
        self.unsynced.clear();
        self.protocol = self.select_protocol();
        let state = if self.members.is_empty() {
            GroupState::Empty
        } else {
            GroupState::CompletingRebalance
        };
        self.enter(state, now_ms);
    }

    /// What the leader is told.
    pub(crate) fn roster(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let entry = |member: &Member| JoinGroupResponseMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol).cloned().unwrap_or_default(),
            ..Default::default()
        };
        self.members.values().map(entry).collect()
    }

    pub(crate) fn to_record(&self) -> GroupRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let recorded = |member: &Member| coordinator_records::MemberMetadata {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(protocol).cloned().unwrap_or_default(),
            assignment: member.assignment.clone(),
            ..Default::default()
        };
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_since_ms,
            members: self.members.values().map(recorded).collect(),
            ..Default::default()
        };
        GroupRecord::GroupMetadata {
            group: self.id.clone(),
            value: Some(value),
        }
    }

    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Consumers whose subscriptions we cannot read may be subscribed to anything.
    pub(crate) fn may_be_subscribed(&self, topic: &str) -> bool {
        self.subscribed_topics()
            .map_or(self.is_of_consumers(), |topics| topics.contains(topic))
    }

    /// None if that is not known: the members are no consumers, have not chosen a protocol yet, or send what we cannot read.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let subscription = member.metadata(self.protocol.as_deref()?)?;
            topics.extend(topics_of(subscription)?);
        }
        Some(topics)
    }
}

/// Every version begins with the fields of version 0. What follows may be newer than we are, or garbage.
fn topics_of(subscription: &Bytes) -> Option<Vec<String>> {
    let mut decoder = Decoder::new(subscription.clone());
    decoder.i16().ok()?;
    let subscription = <ConsumerProtocolSubscription as Message>::decode(&mut decoder, 0).ok()?;
    Some(subscription.topics)
}
