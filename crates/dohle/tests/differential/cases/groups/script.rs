//! A conversation about one group over several connections, collected as text in which member ids have names.

use super::super::admin::{create_topic, topic_id};
use super::super::render::show;
use crate::peer::Peer;
use bytes::Bytes;
use dohle_protocol::consumer_protocol::ConsumerProtocolSubscription;
use dohle_protocol::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use dohle_protocol::messages::find_coordinator::FindCoordinatorRequest;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use dohle_protocol::{ApiKey, ErrorCode, Request};
use std::fmt::Debug;
use uuid::Uuid;

/// With three partitions, in every case.
pub(super) const TOPIC: &str = "group-topic";
const UNKNOWN_TOPIC_ID: Uuid = Uuid::from_u128(77);
const UUID_CHARS: usize = 36;
/// Long enough that nobody's session ends by itself, short enough that a case that went wrong does not stay for long.
const SESSION_TIMEOUT_MS: i32 = 20_000;

/// One case in one version of one API; every other API is spoken in one version.
pub(super) struct Script {
    peer: Peer,
    key: ApiKey,
    version: i16,
    /// Nobody else's.
    pub(super) group: String,
    ids: Vec<String>,
    answers: String,
}

impl Script {
    pub(super) fn new(peer: &Peer, name: &str, key: ApiKey, version: i16) -> Script {
        let mut script = Script {
            peer: peer.another(),
            key,
            version,
            group: format!("{name}-{version}"),
            ids: Vec::new(),
            answers: String::new(),
        };
        create_topic(&mut script.peer, TOPIC, 3, &[]);
        script.wait_for_coordinator();
        script
    }

    /// The first group of all makes the topic of offsets, and each partition of that is loaded once.
    fn wait_for_coordinator(&mut self) {
        let request = FindCoordinatorRequest {
            key: self.group.clone(),
            ..Default::default()
        };
        while self.peer.call(3, &request).expect("an answer").error_code != 0 {}
        let is_loading = |code| {
            let loading = [
                ErrorCode::CoordinatorLoadInProgress,
                ErrorCode::CoordinatorNotAvailable,
                ErrorCode::NotCoordinator,
            ];
            loading.iter().any(|error| error.code() == code)
        };
        while is_loading(self.described().error_code) {}
    }

    pub(super) fn version_of(&self, key: ApiKey) -> i16 {
        match key {
            key if key == self.key => self.version,
            ApiKey::JoinGroup | ApiKey::OffsetCommit | ApiKey::OffsetFetch => 9,
            ApiKey::SyncGroup | ApiKey::LeaveGroup | ApiKey::DescribeGroups | ApiKey::ListGroups => 5,
            ApiKey::Heartbeat | ApiKey::FindCoordinator => 4,
            ApiKey::DeleteGroups => 2,
            key => *key.valid_versions().start(),
        }
    }

    pub(super) fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }

    /// A request that belongs to no member.
    pub(super) fn call<R: Request>(&mut self, request: &R) -> Option<R::Response> {
        let version = self.version_of(R::KEY);
        self.peer.call(version, request)
    }

    /// The same, with its answer told.
    pub(super) fn ask<R: Request<Response: Debug>>(&mut self, request: &R) {
        let answer = self.call(request);
        self.tell(&answer);
    }

    pub(super) fn tell<T: Debug>(&mut self, answer: &Option<T>) {
        let line = self.name_ids(&show(answer));
        self.answers += &line;
    }

    pub(super) fn end(self) -> String {
        self.answers
    }

    /// Replaces the random part of each member id by the number of ids that were seen before it.
    pub(super) fn name_ids(&mut self, text: &str) -> String {
        let mut named = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(position) = position_of_uuid(rest) {
            let (before, after) = rest.split_at(position);
            let (id, after) = after.split_at(UUID_CHARS);
            let number = self.ids.iter().position(|seen| seen == id).unwrap_or_else(|| {
                self.ids.push(id.to_owned());
                self.ids.len() - 1
            });
            named += before;
            named += &format!("<{number}>");
            rest = after;
        }
        named + rest
    }

    /// A member that has yet to join, with one protocol.
    pub(super) fn member(&self) -> Member {
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: SESSION_TIMEOUT_MS,
            protocol_type: "consumer".into(),
            protocols: protocols(&[("range", "")]),
            ..Default::default()
        };
        Member {
            peer: self.peer.another(),
            request,
            generation: -1,
        }
    }

    /// A member with an instance id.
    pub(super) fn instance(&self, id: &str) -> Member {
        let mut member = self.member();
        member.request.group_instance_id = Some(id.into());
        member
    }

    /// A group of this many members that has its assignment; nothing of how it came about is told. The first one leads.
    pub(super) fn stable_group(&mut self, mut members: Vec<Member>) -> Vec<Member> {
        let answers = std::mem::take(&mut self.answers);
        for joined in 0..members.len() {
            let (before, others) = members.split_at_mut(joined);
            let next = &mut others[0];
            if joined == 0 {
                next.enter(self);
                continue;
            }
            next.begin_to_enter(self);
            self.wait_for_members(joined + 1);
            for member in before.iter_mut().rev() {
                member.begin_to_join(self);
            }
            next.end_join(self);
            for member in before.iter_mut().rev() {
                member.end_join(self);
            }
        }
        let assignments: Vec<_> = members
            .iter()
            .map(|member| (member.id().to_owned(), b"assigned".to_vec()))
            .collect();
        for (number, member) in members.iter_mut().enumerate() {
            let assignments = if number == 0 { assignments.as_slice() } else { &[] };
            let assignments: Vec<_> = assignments.iter().map(|(id, bytes)| (id.as_str(), bytes.as_slice())).collect();
            member.sync(self, &assignments);
        }
        self.answers = answers;
        members
    }

    /// Offsets by topic, partition, offset and metadata; the topics by name or id, as the version has it.
    pub(super) fn commit_request(&mut self, offsets: &[(&str, i32, i64, Option<&str>)]) -> OffsetCommitRequest {
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (name, partition_index, committed_offset, metadata) in offsets {
            if topics.last().is_none_or(|topic| topic.name != *name) {
                topics.push(OffsetCommitRequestTopic {
                    name: (*name).into(),
                    topic_id: self.id_of(name),
                    ..Default::default()
                });
            }
            let topic = topics.last_mut().expect("one at least");
            topic.partitions.push(OffsetCommitRequestPartition {
                partition_index: *partition_index,
                committed_offset: *committed_offset,
                committed_metadata: metadata.map(Into::into),
                ..Default::default()
            });
        }
        OffsetCommitRequest {
            group_id: self.group.clone(),
            topics,
            ..Default::default()
        }
    }

    /// The id of a topic; some unknown id for one that does not exist.
    pub(super) fn id_of(&mut self, topic: &str) -> Uuid {
        topic_id(&mut self.peer, topic).unwrap_or(UNKNOWN_TOPIC_ID)
    }

    fn described(&mut self) -> DescribedGroup {
        let request = DescribeGroupsRequest {
            groups: vec![self.group.clone()],
            ..Default::default()
        };
        self.peer.call(5, &request).expect("an answer").groups.remove(0)
    }

    pub(super) fn wait_for_state(&mut self, state: &str) {
        while self.described().group_state != state {}
    }

    pub(super) fn wait_for_members(&mut self, count: usize) {
        while self.described().members.len() != count {}
    }

    /// The group as DescribeGroups has it, with the members in the order of their names.
    pub(super) fn describe(&mut self) {
        self.describe_groups(&[&self.group.clone()]);
    }

    pub(super) fn describe_groups(&mut self, groups: &[&str]) {
        let request = DescribeGroupsRequest {
            groups: groups.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        self.describe_as(&request);
    }

    pub(super) fn describe_as(&mut self, request: &DescribeGroupsRequest) {
        let mut answer = self.call(request);
        for group in answer.iter_mut().flat_map(|answer| &mut answer.groups) {
            for member in &mut group.members {
                member.member_id = self.name_ids(&member.member_id);
            }
            group.members.sort_by(|one, other| one.member_id.cmp(&other.member_id));
        }
        self.tell(&answer);
    }
}

fn position_of_uuid(text: &str) -> Option<usize> {
    let is_uuid = |bytes: &[u8]| {
        let mut places = bytes.iter().enumerate();
        places.all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    text.as_bytes().windows(UUID_CHARS).position(is_uuid)
}

/// Each with a subscription to `TOPIC` that has this user data.
pub(super) fn protocols(named: &[(&str, &str)]) -> Vec<JoinGroupRequestProtocol> {
    let subscribed = named.iter().map(|(name, user_data)| (*name, subscription(&[TOPIC], user_data)));
    subscribed.map(|(name, metadata)| protocol(name, metadata)).collect()
}

/// What a member of protocol `name` tells its leader.
pub(super) fn protocol(name: &str, metadata: impl Into<Bytes>) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol {
        name: name.into(),
        metadata: metadata.into(),
        ..Default::default()
    }
}

/// A real node cannot complete a join of consumers if it cannot read this of each of them.
pub(super) fn subscription(topics: &[&str], user_data: &str) -> Bytes {
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(ToString::to_string).collect(),
        user_data: Some(Bytes::copy_from_slice(user_data.as_bytes())),
        ..Default::default()
    };
    subscription.encode(0)
}

/// A member with a connection of its own, since a join that waits holds up what is sent behind it.
pub(super) struct Member {
    pub(super) peer: Peer,
    /// What it joins with.
    pub(super) request: JoinGroupRequest,
    pub(super) generation: i32,
}

impl Member {
    pub(super) fn id(&self) -> &str {
        &self.request.member_id
    }

    /// One JoinGroup whose answer comes at once.
    pub(super) fn join(&mut self, script: &mut Script) {
        self.begin_to_join(script);
        self.end_join(script);
    }

    pub(super) fn begin_to_join(&mut self, script: &Script) {
        self.peer
            .send(script.version_of(ApiKey::JoinGroup), &self.request)
            .expect("the connection is open");
    }

    /// Takes over what the answer says.
    pub(super) fn end_join(&mut self, script: &mut Script) {
        let answer = self.peer.receive::<JoinGroupRequest>(script.version_of(ApiKey::JoinGroup));
        self.take_over(script, answer);
    }

    fn take_over(&mut self, script: &mut Script, mut answer: Option<JoinGroupResponse>) {
        if let Some(answer) = &mut answer {
            if !answer.member_id.is_empty() {
                self.request.member_id.clone_from(&answer.member_id);
                answer.member_id = script.name_ids(&answer.member_id);
            }
            self.generation = answer.generation_id;
            for member in &mut answer.members {
                member.member_id = script.name_ids(&member.member_id);
            }
            answer.members.sort_by(|one, other| one.member_id.cmp(&other.member_id));
        }
        script.tell(&answer);
    }

    /// Joins when others have joined already and wait for this one.
    pub(super) fn join_last(&mut self, script: &mut Script, others: &mut [&mut Member]) {
        self.begin_to_join(script);
        for other in others {
            other.end_join(script);
        }
        self.end_join(script);
    }

    /// Joins, a second time with the id that it is given where one is required.
    pub(super) fn enter(&mut self, script: &mut Script) {
        self.begin_to_enter(script);
        self.end_join(script);
    }

    pub(super) fn begin_to_enter(&mut self, script: &mut Script) {
        if script.version_of(ApiKey::JoinGroup) >= 4 && self.request.group_instance_id.is_none() {
            self.join(script);
        }
        self.begin_to_join(script);
    }

    pub(super) fn sync_request(&self, script: &Script, assignments: &[(&str, &[u8])]) -> SyncGroupRequest {
        let has_instances = script.version_of(ApiKey::SyncGroup) >= 3;
        let assignments = assignments.iter().map(|(id, bytes)| SyncGroupRequestAssignment {
            member_id: (*id).into(),
            assignment: Bytes::copy_from_slice(bytes),
            ..Default::default()
        });
        SyncGroupRequest {
            group_id: self.request.group_id.clone(),
            generation_id: self.generation,
            member_id: self.id().into(),
            group_instance_id: self.request.group_instance_id.clone().filter(|_| has_instances),
            protocol_type: Some(self.request.protocol_type.clone()),
            protocol_name: Some(self.request.protocols[0].name.clone()),
            assignments: assignments.collect(),
            ..Default::default()
        }
    }

    pub(super) fn sync(&mut self, script: &mut Script, assignments: &[(&str, &[u8])]) {
        self.begin_to_sync(script, assignments);
        self.end_sync(script);
    }

    pub(super) fn begin_to_sync(&mut self, script: &Script, assignments: &[(&str, &[u8])]) {
        let request = self.sync_request(script, assignments);
        self.peer
            .send(script.version_of(ApiKey::SyncGroup), &request)
            .expect("the connection is open");
    }

    pub(super) fn end_sync(&mut self, script: &mut Script) {
        let answer: Option<SyncGroupResponse> = self.peer.receive::<SyncGroupRequest>(script.version_of(ApiKey::SyncGroup));
        script.tell(&answer);
    }

    /// The one member of a group takes everything.
    pub(super) fn sync_alone(&mut self, script: &mut Script) {
        let id = self.id().to_owned();
        self.sync(script, &[(&id, b"assigned")]);
    }

    pub(super) fn heartbeat(&mut self, script: &mut Script) {
        self.heartbeat_of(script, self.generation);
    }

    pub(super) fn heartbeat_of(&mut self, script: &mut Script, generation_id: i32) {
        let version = script.version_of(ApiKey::Heartbeat);
        let request = HeartbeatRequest {
            group_id: self.request.group_id.clone(),
            generation_id,
            member_id: self.id().into(),
            group_instance_id: self.request.group_instance_id.clone().filter(|_| version >= 3),
            ..Default::default()
        };
        let answer = self.peer.call(version, &request);
        script.tell(&answer);
    }

    /// Leaves by its id, and by its instance if it is one.
    pub(super) fn leave(&mut self, script: &mut Script) {
        let version = script.version_of(ApiKey::LeaveGroup);
        let mut request = LeaveGroupRequest {
            group_id: self.request.group_id.clone(),
            ..Default::default()
        };
        if version < 3 {
            request.member_id = self.id().into();
        } else {
            request.members = vec![self.identity()];
        }
        let answer = self.peer.call(version, &request);
        script.tell(&answer);
    }

    pub(super) fn identity(&self) -> MemberIdentity {
        MemberIdentity {
            member_id: self.id().into(),
            group_instance_id: self.request.group_instance_id.clone(),
            ..Default::default()
        }
    }

    /// Commits an offset of partition 0.
    pub(super) fn commit(&mut self, script: &mut Script, offset: i64) {
        let version = script.version_of(ApiKey::OffsetCommit);
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: self.generation,
            member_id: self.id().into(),
            group_instance_id: self.request.group_instance_id.clone().filter(|_| version >= 7),
            ..script.commit_request(&[(TOPIC, 0, offset, Some(""))])
        };
        let answer = self.peer.call(version, &request);
        script.tell(&answer);
    }
}
