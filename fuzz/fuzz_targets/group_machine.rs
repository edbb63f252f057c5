//! Any sequence of requests, timers and restarts: each request is answered once or still waits, and the log gives the same state again.

#![no_main]

use std::collections::BTreeSet;

use bytes::Bytes;
use dohle_coordinator::{Caller, Decision, Effect, GroupConfig, GroupRequest, GroupResponse, GroupShard, ReplyToken};
use dohle_protocol::coordinator_records::GroupRecord;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

const TOPICS: [&str; 3] = ["a", "b", ""];
const NEWEST_JOIN: i16 = 9;
/// The log is what it costs to replay it: inputs that write for ever show nothing new.
const RECORDS_MAX: usize = 2_000;

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    let mut input = Input(data);
    while !input.0.is_empty() && world.log.len() < RECORDS_MAX {
        world.step(&mut input);
        world.check();
    }
    world.restart();
});

/// Choices, taken from the front; zeros when there is nothing left.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()].clone()
    }

    fn bytes(&mut self) -> Bytes {
        let count = usize::from(self.byte() % 16).min(self.0.len());
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Bytes::copy_from_slice(taken)
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn group(&mut self) -> String {
        self.one_of(&["g", "h", ""]).to_owned()
    }

    fn instance(&mut self) -> Option<String> {
        self.one_of(&[None, None, None, Some("one"), Some("two"), Some("")]).map(Into::into)
    }

    fn generation(&mut self) -> i32 {
        i32::from(self.byte() as i8).max(-2)
    }
}

struct World {
    shard: GroupShard,
    log: Vec<GroupRecord>,
    now_ms: i64,
    requests: u64,
    open: BTreeSet<ReplyToken>,
    /// Ids that were given to members, and some that were not.
    ids: Vec<String>,
}

fn config() -> GroupConfig {
    GroupConfig {
        session_timeout_ms_min: 10,
        initial_rebalance_delay_ms: 20,
        group_size_max: 4,
        offset_metadata_bytes_max: 5,
        offsets_retention_ms: 500,
        offsets_retention_check_interval_ms: 100,
        record_bytes_max: 2_000,
        ..GroupConfig::default()
    }
}

impl World {
    fn new() -> World {
        let mut world = World {
            shard: GroupShard::new(config()),
            log: Vec::new(),
            now_ms: 1_000_000,
            requests: 0,
            open: BTreeSet::new(),
            ids: vec![String::new(), "nobody".into()],
        };
        let decision = world.shard.on_loaded(world.now_ms);
        world.carry_out(decision);
        world
    }

    fn step(&mut self, input: &mut Input) {
        let operation = input.byte();
        match operation % 16 {
            0 => self.restart(),
            1 => self.now_ms += i64::from(input.byte()),
            2 => self.now_ms = self.now_ms.max(self.shard.next_timer_ms().unwrap_or(self.now_ms)),
            3 => {
                let topic = input.one_of(&TOPICS);
                let decision = self.shard.on_partitions_deleted(&[topic]);
                self.carry_out(decision);
            }
            _ => {
                let request = self.request(operation, input);
                self.ask(input.byte(), request);
            }
        }
        let decision = self.shard.on_timers(self.now_ms);
        self.carry_out(decision);
    }

    fn request(&self, operation: u8, input: &mut Input) -> GroupRequest {
        let group_id = input.group();
        let member_id = input.one_of(&self.ids);
        match operation % 16 {
            4..=6 => GroupRequest::Join(join(group_id, member_id, input)),
            7 | 8 => GroupRequest::Sync(self.sync(group_id, member_id, input)),
            9 => GroupRequest::Heartbeat(HeartbeatRequest {
                group_id,
                member_id,
                generation_id: input.generation(),
                group_instance_id: input.instance(),
                ..Default::default()
            }),
            10 => GroupRequest::Leave(LeaveGroupRequest {
                group_id,
                members: vec![identity(member_id.clone(), input), identity(input.one_of(&self.ids), input)],
                member_id,
                ..Default::default()
            }),
            11 => GroupRequest::CommitOffsets(commit(group_id, member_id, input)),
            12 => GroupRequest::FetchOffsets(OffsetFetchRequestGroup {
                group_id,
                topics: (input.byte() % 2 == 0).then(|| vec![fetched(input)]),
                ..Default::default()
            }),
            13 => GroupRequest::DeleteOffsets(OffsetDeleteRequest {
                group_id,
                topics: vec![OffsetDeleteRequestTopic {
                    name: input.one_of(&TOPICS).into(),
                    partitions: vec![OffsetDeleteRequestPartition {
                        partition_index: i32::from(input.byte() as i8),
                    }],
                }],
            }),
            14 => GroupRequest::DeleteGroup(group_id),
            _ if input.byte() % 2 == 0 => GroupRequest::DescribeGroup(group_id),
            _ => GroupRequest::ListGroups {
                states: vec![input.one_of(&["Stable", "empty", "x"]).into()],
                types: Vec::new(),
            },
        }
    }

    fn sync(&self, group_id: String, member_id: String, input: &mut Input) -> SyncGroupRequest {
        let assignments = (0..input.byte() % 4).map(|_| SyncGroupRequestAssignment {
            member_id: input.one_of(&self.ids),
            assignment: input.bytes(),
            ..Default::default()
        });
        SyncGroupRequest {
            group_id,
            member_id,
            assignments: assignments.collect(),
            generation_id: input.generation(),
            group_instance_id: input.instance(),
            protocol_type: input.one_of(&[None, Some("consumer"), Some("x")]).map(Into::into),
            protocol_name: input.one_of(&[None, Some("range"), Some("sticky")]).map(Into::into),
            ..Default::default()
        }
    }

    fn ask(&mut self, version: u8, request: GroupRequest) {
        self.requests += 1;
        let token = ReplyToken(self.requests);
        let caller = Caller {
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            api_version: i16::from(version) % (NEWEST_JOIN + 1),
        };
        self.open.insert(token);
        let decision = self
            .shard
            .decide(self.now_ms, &caller, token, Uuid::from_u64_pair(1, self.requests), request);
        self.carry_out(decision);
    }

    fn carry_out(&mut self, decision: Decision) {
        for record in decision.records {
            let (key, value) = record.encode();
            let decoded = GroupRecord::decode(key, value)
                .expect("what was encoded can be decoded")
                .expect("a known kind of record");
            assert_eq!(decoded, record);
            self.shard.replay(&record);
            self.log.push(record);
        }
        self.answer(decision.effects);
    }

    fn answer(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let Effect::Reply { token, response } = effect;
            assert!(self.open.remove(&token), "{token:?} is answered twice");
            if let GroupResponse::Join(response) = response
                && !self.ids.contains(&response.member_id)
                && self.ids.len() < 64
            {
                self.ids.push(response.member_id);
            }
        }
    }

    /// Whoever has no answer waits for one, and something will happen.
    fn check(&self) {
        let parked: BTreeSet<_> = self.shard.parked().collect();
        assert_eq!(parked, self.open);
        assert!(parked.is_empty() || self.shard.next_timer_ms().is_some());
    }

    /// The node dies; another one has nothing but the log.
    fn restart(&mut self) {
        let mut next = GroupShard::new(config());
        self.log.iter().for_each(|record| next.replay(record));
        assert!(next.durable_state() == self.shard.durable_state(), "the log gives another state");
        let effects = self.shard.abandon();
        self.answer(effects);
        assert!(self.open.is_empty(), "{:?} are never answered", self.open);
        self.shard = next;
        let decision = self.shard.on_loaded(self.now_ms);
        self.carry_out(decision);
    }
}

fn join(group_id: String, member_id: String, input: &mut Input) -> JoinGroupRequest {
    let protocols = (0..input.byte() % 4).map(|_| JoinGroupRequestProtocol {
        name: input.one_of(&["range", "sticky", ""]).into(),
        metadata: input.bytes(),
        ..Default::default()
    });
    JoinGroupRequest {
        group_id,
        member_id,
        protocols: protocols.collect(),
        session_timeout_ms: i32::from(input.byte()),
        rebalance_timeout_ms: i32::from(input.byte() as i8),
        group_instance_id: input.instance(),
        protocol_type: input.one_of(&["consumer", "consumer", "x", ""]).into(),
        ..Default::default()
    }
}

fn identity(member_id: String, input: &mut Input) -> MemberIdentity {
    MemberIdentity {
        member_id,
        group_instance_id: input.instance(),
        ..Default::default()
    }
}

fn commit(group_id: String, member_id: String, input: &mut Input) -> OffsetCommitRequest {
    let partitions = (0..input.byte() % 4).map(|_| OffsetCommitRequestPartition {
        partition_index: i32::from(input.byte() as i8),
        committed_offset: i64::from(input.byte() as i8),
        committed_metadata: input.one_of(&[true, false]).then(|| input.text()),
        ..Default::default()
    });
    OffsetCommitRequest {
        group_id,
        member_id,
        topics: vec![OffsetCommitRequestTopic {
            partitions: partitions.collect(),
            name: input.one_of(&TOPICS).into(),
            ..Default::default()
        }],
        generation_id_or_member_epoch: input.generation(),
        group_instance_id: input.instance(),
        ..Default::default()
    }
}

fn fetched(input: &mut Input) -> OffsetFetchRequestTopics {
    OffsetFetchRequestTopics {
        name: input.one_of(&TOPICS).into(),
        partition_indexes: vec![i32::from(input.byte() as i8), 0],
        ..Default::default()
    }
}
