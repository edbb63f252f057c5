//! A shard with the shell that it needs: a log, a clock, and a place where answers arrive.

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_coordinator::{Caller, Decision, Effect, GroupConfig, GroupRequest, GroupResponse, GroupShard, ReplyToken};
use dohle_protocol::ErrorCode;
use dohle_protocol::consumer_protocol::ConsumerProtocolSubscription;
use dohle_protocol::coordinator_records::{GroupMetadataValue, GroupRecord};
use dohle_protocol::messages::describe_groups::DescribedGroup;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponsePartitions};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use uuid::Uuid;

pub(crate) const GROUP: &str = "g";
pub(crate) const SESSION_MS: i32 = 10_000;
pub(crate) const REBALANCE_MS: i32 = 60_000;
pub(crate) const DELAY_MS: i64 = 3_000;

pub(crate) struct World {
    pub(crate) shard: GroupShard,
    pub(crate) config: GroupConfig,
    pub(crate) log: Vec<GroupRecord>,
    pub(crate) now_ms: i64,
    answers: BTreeMap<ReplyToken, GroupResponse>,
    requests: u64,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(GroupConfig::default())
    }

    pub(crate) fn with(config: GroupConfig) -> World {
        let mut world = World {
            shard: GroupShard::new(config.clone()),
            config,
            log: Vec::new(),
            now_ms: 1_000_000,
            answers: BTreeMap::new(),
            requests: 0,
        };
        let loaded = world.shard.on_loaded(world.now_ms);
        world.carry_out(loaded);
        world
    }

    pub(crate) fn ask(&mut self, api_version: i16, request: GroupRequest) -> ReplyToken {
        self.requests += 1;
        let token = ReplyToken(self.requests);
        let caller = Caller {
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            api_version,
        };
        let fresh_id = Uuid::from_u128(u128::from(self.requests));
        let decision = self.shard.decide(self.now_ms, &caller, token, fresh_id, request);
        self.carry_out(decision);
        token
    }

    pub(crate) fn carry_out(&mut self, decision: Decision) {
        for record in decision.records {
            let (key, value) = record.encode();
            assert_eq!(
                GroupRecord::decode(key, value).unwrap().as_ref(),
                Some(&record),
                "the log has it otherwise"
            );
            self.shard.replay(&record);
            self.log.push(record);
        }
        for Effect::Reply { token, response } in decision.effects {
            assert!(self.answers.insert(token, response).is_none(), "{token:?} is answered twice");
        }
    }

    /// Lets time pass, and every timer go off at its time.
    pub(crate) fn sleep(&mut self, ms: i64) {
        let until_ms = self.now_ms + ms;
        while let Some(due_ms) = self.shard.next_timer_ms().filter(|due_ms| *due_ms <= until_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            let decision = self.shard.on_timers(self.now_ms);
            self.carry_out(decision);
        }
        self.now_ms = until_ms;
    }

    /// Waits for the end of the rebalance.
    pub(crate) fn gather(&mut self) {
        while self.state() == "PreparingRebalance" {
            let next_ms = self.shard.next_timer_ms().expect("a rebalance ends by a timer, if by nothing else");
            self.sleep((next_ms - self.now_ms).max(0));
        }
    }

    /// The coordinator dies, and another one is loaded from the log.
    pub(crate) fn restart(&mut self) {
        self.shard = GroupShard::new(self.config.clone());
        for record in &self.log {
            let (key, value) = record.encode();
            self.shard.replay(&GroupRecord::decode(key, value).unwrap().unwrap());
        }
        let loaded = self.shard.on_loaded(self.now_ms);
        self.carry_out(loaded);
    }

    pub(crate) fn answer(&mut self, token: ReplyToken) -> Option<GroupResponse> {
        self.answers.remove(&token)
    }

    pub(crate) fn joined(&mut self, token: ReplyToken) -> JoinGroupResponse {
        match self.answer(token) {
            Some(GroupResponse::Join(response)) => response,
            other => panic!("{token:?} waits for JoinGroup: {other:?}"),
        }
    }

    pub(crate) fn synced(&mut self, token: ReplyToken) -> SyncGroupResponse {
        match self.answer(token) {
            Some(GroupResponse::Sync(response)) => response,
            other => panic!("{token:?} waits for SyncGroup: {other:?}"),
        }
    }

    pub(crate) fn is_parked(&self, token: ReplyToken) -> bool {
        let is_parked = self.shard.parked().any(|parked| parked == token);
        assert_ne!(is_parked, self.answers.contains_key(&token), "answered or parked");
        is_parked
    }

    pub(crate) fn ask_join(&mut self, api_version: i16, request: JoinGroupRequest) -> ReplyToken {
        self.ask(api_version, GroupRequest::Join(request))
    }

    /// The answer to a JoinGroup that does not wait.
    pub(crate) fn join_now(&mut self, api_version: i16, request: JoinGroupRequest) -> JoinGroupResponse {
        let token = self.ask_join(api_version, request);
        self.joined(token)
    }

    /// Asks for an id, and joins with it.
    pub(crate) fn enter(&mut self) -> (String, ReplyToken) {
        let required = self.join_now(9, join(""));
        assert_eq!(required.error_code, ErrorCode::MemberIdRequired.code());
        let token = self.ask_join(9, join(&required.member_id));
        (required.member_id, token)
    }

    /// A stable group of so many dynamic members. Each is assigned its own id.
    pub(crate) fn stable(&mut self, members: usize) -> Vec<String> {
        let entered: Vec<(String, ReplyToken)> = (0..members).map(|_| self.enter()).collect();
        self.gather();
        let mut ids = Vec::new();
        for (id, token) in entered {
            assert_eq!(self.joined(token).error_code, 0);
            ids.push(id);
        }
        self.sync_all(&ids);
        ids
    }

    /// Every member sends SyncGroup, the leader last; the group is stable then.
    pub(crate) fn sync_all(&mut self, ids: &[String]) {
        let generation = self.generation();
        let leader = self.leader_of(ids, generation);
        let followers: Vec<ReplyToken> = ids
            .iter()
            .filter(|id| **id != leader)
            .map(|id| self.ask_sync(sync(id, generation)))
            .collect();
        let token = self.ask_sync(assign(&leader, generation, ids));
        for token in followers.into_iter().chain([token]) {
            assert_eq!(self.synced(token).error_code, 0);
        }
        assert_eq!(self.describe().group_state, "Stable");
    }

    /// Members are told who leads when they repeat JoinGroup.
    fn leader_of(&mut self, ids: &[String], generation: i32) -> String {
        let described = self.describe();
        assert_eq!(described.group_state, "CompletingRebalance");
        let id = &described.members[0].member_id;
        assert!(ids.contains(id));
        let mut request = join(id);
        request.group_instance_id = described.members[0].group_instance_id.clone();
        let repeated = self.join_now(9, request);
        assert_eq!((repeated.error_code, repeated.generation_id), (0, generation));
        repeated.leader
    }

    pub(crate) fn ask_sync(&mut self, request: SyncGroupRequest) -> ReplyToken {
        self.ask(5, GroupRequest::Sync(request))
    }

    pub(crate) fn heartbeat(&mut self, member_id: &str, generation: i32) -> i16 {
        self.heartbeat_as(member_id, None, generation)
    }

    pub(crate) fn heartbeat_as(&mut self, member_id: &str, instance: Option<&str>, generation: i32) -> i16 {
        let request = HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: member_id.to_owned(),
            group_instance_id: instance.map(str::to_owned),
            ..Default::default()
        };
        let token = self.ask(4, GroupRequest::Heartbeat(request));
        match self.answer(token) {
            Some(GroupResponse::Heartbeat(response)) => response.error_code,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn leave(&mut self, members: &[(&str, Option<&str>)]) -> LeaveGroupResponse {
        let identity = |(id, instance): &(&str, Option<&str>)| MemberIdentity {
            member_id: (*id).to_owned(),
            group_instance_id: instance.map(str::to_owned),
            ..Default::default()
        };
        let request = LeaveGroupRequest {
            group_id: GROUP.to_owned(),
            members: members.iter().map(identity).collect(),
            ..Default::default()
        };
        let token = self.ask(5, GroupRequest::Leave(request));
        match self.answer(token) {
            Some(GroupResponse::Leave(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    /// Commits one offset of `topic`, partition 0; the error of that partition.
    pub(crate) fn commit_to(&mut self, topic: &str, member_id: &str, generation: i32, offset: i64) -> i16 {
        let mut request = commit(member_id, generation, offset);
        topic.clone_into(&mut request.topics[0].name);
        self.commit_with(9, request)
    }

    pub(crate) fn commit(&mut self, member_id: &str, generation: i32) -> i16 {
        self.commit_to("t", member_id, generation, 7)
    }

    pub(crate) fn commit_with(&mut self, api_version: i16, request: OffsetCommitRequest) -> i16 {
        let token = self.ask(api_version, GroupRequest::CommitOffsets(request));
        match self.answer(token) {
            Some(GroupResponse::CommitOffsets(response)) => response.topics[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    /// What is committed for partition 0 of `topic`.
    pub(crate) fn fetch(&mut self, topic: &str) -> OffsetFetchResponsePartitions {
        let request = OffsetFetchRequestGroup {
            group_id: GROUP.to_owned(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: topic.to_owned(),
                partition_indexes: vec![0],
                ..Default::default()
            }]),
            ..Default::default()
        };
        let token = self.ask(8, GroupRequest::FetchOffsets(request));
        match self.answer(token) {
            Some(GroupResponse::FetchOffsets(response)) => response.topics[0].partitions[0].clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn describe(&mut self) -> DescribedGroup {
        self.describe_at(5, GROUP)
    }

    pub(crate) fn describe_at(&mut self, api_version: i16, group: &str) -> DescribedGroup {
        let token = self.ask(api_version, GroupRequest::DescribeGroup(group.to_owned()));
        match self.answer(token) {
            Some(GroupResponse::DescribeGroup(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn state(&mut self) -> String {
        self.describe().group_state
    }

    pub(crate) fn generation(&self) -> i32 {
        let group = self.shard.groups().find(|group| group.id == GROUP);
        group.map_or(-1, |group| group.generation)
    }

    pub(crate) fn members(&self) -> usize {
        let group = self.shard.groups().find(|group| group.id == GROUP);
        group.map_or(0, |group| group.members)
    }

    /// The last record of the group.
    pub(crate) fn recorded(&self) -> &GroupMetadataValue {
        let of_group = |record: &'_ GroupRecord| matches!(record, GroupRecord::GroupMetadata { .. });
        match self.log.iter().rfind(|record| of_group(record)) {
            Some(GroupRecord::GroupMetadata { value: Some(value), .. }) => value,
            other => panic!("{other:?}"),
        }
    }
}

/// A consumer of topic `t` that speaks `range`.
pub(crate) fn join(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.to_owned(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range", &["t"])],
        ..Default::default()
    }
}

pub(crate) fn join_as(instance: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_instance_id: Some(instance.to_owned()),
        ..join(member_id)
    }
}

pub(crate) fn protocol(name: &str, topics: &[&str]) -> JoinGroupRequestProtocol {
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        ..Default::default()
    };
    JoinGroupRequestProtocol {
        name: name.to_owned(),
        metadata: subscription.encode(3),
        ..Default::default()
    }
}

pub(crate) fn sync(member_id: &str, generation: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: GROUP.to_owned(),
        generation_id: generation,
        member_id: member_id.to_owned(),
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        ..Default::default()
    }
}

/// The leader's SyncGroup: every member is assigned its own id.
pub(crate) fn assign(leader: &str, generation: i32, members: &[String]) -> SyncGroupRequest {
    let own = |id: &String| SyncGroupRequestAssignment {
        member_id: id.clone(),
        assignment: Bytes::copy_from_slice(id.as_bytes()),
        ..Default::default()
    };
    SyncGroupRequest {
        assignments: members.iter().map(own).collect(),
        ..sync(leader, generation)
    }
}

pub(crate) fn commit(member_id: &str, generation: i32, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: GROUP.to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
