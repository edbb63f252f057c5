//! Whatever is asked, in whatever order: the log alone gives the same hard state again, compacted or not, and everybody is answered.

use std::collections::BTreeMap;

use dohle_coordinator::{GroupConfig, GroupRequest, GroupShard};
use dohle_protocol::coordinator_records::GroupRecord;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use dohle_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{GROUP, World, assign, commit, join, join_as, protocol, sync};

/// One thing that happens. Members are taken from those that have ever been named, generations from around the present one.
#[derive(Debug, Clone, Copy)]
enum Step {
    Join {
        member: usize,
        instance: Option<u8>,
        protocol: u8,
        api_version: i16,
    },
    Sync {
        member: usize,
        generation: i32,
        gives: bool,
    },
    Heartbeat {
        member: usize,
        generation: i32,
    },
    Leave {
        member: usize,
        instance: Option<u8>,
    },
    Commit {
        member: usize,
        generation: i32,
        topic: u8,
        retention_ms: i64,
    },
    DeleteOffsets {
        topic: u8,
    },
    DeleteGroup,
    DeleteTopic {
        topic: u8,
    },
    Sleep {
        ms: i64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let member = 0..6_usize;
    let generation = -1..3_i32;
    let instance = proptest::option::weighted(0.3, 0..2_u8);
    prop_oneof![
        8 => (member.clone(), instance.clone(), 0..2_u8, 3..10_i16)
            .prop_map(|(member, instance, protocol, api_version)| Step::Join { member, instance, protocol, api_version }),
        8 => (member.clone(), generation.clone(), any::<bool>()).prop_map(|(member, generation, gives)| Step::Sync { member, generation, gives }),
        2 => (member.clone(), generation.clone()).prop_map(|(member, generation)| Step::Heartbeat { member, generation }),
        2 => (member.clone(), instance).prop_map(|(member, instance)| Step::Leave { member, instance }),
        3 => (member, generation, 0..3_u8, prop_oneof![Just(-1_i64), Just(20_000)])
            .prop_map(|(member, generation, topic, retention_ms)| Step::Commit { member, generation, topic, retention_ms }),
        1 => (0..3_u8).prop_map(|topic| Step::DeleteOffsets { topic }),
        1 => Just(Step::DeleteGroup),
        1 => (0..3_u8).prop_map(|topic| Step::DeleteTopic { topic }),
        4 => prop_oneof![1..100_i64, 1_000..5_000_i64, 10_000..70_000_i64].prop_map(|ms| Step::Sleep { ms }),
        1 => Just(Step::Restart),
    ]
}

struct Play {
    world: World,
    /// The ids of members, the youngest last.
    named: Vec<String>,
}

impl Play {
    fn member(&self, back: usize) -> String {
        let index = self.named.len().checked_sub(back + 1);
        index.map_or_else(String::new, |index| self.named[index].clone())
    }

    fn generation(&self, offset: i32) -> i32 {
        self.world.generation() + offset - 1
    }

    fn learn(&mut self) {
        for member in self.world.describe().members {
            if !self.named.contains(&member.member_id) {
                self.named.push(member.member_id);
            }
        }
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Join {
                member,
                instance,
                protocol: topic,
                api_version,
            } => {
                let id = self.member(member);
                let mut request = instance.map_or_else(|| join(&id), |instance| join_as(&instance.to_string(), &id));
                request.protocols = vec![protocol("range", &[&topic.to_string()])];
                let token = self.world.ask_join(api_version, request);
                if let Some(dohle_coordinator::GroupResponse::Join(answer)) = self.world.answer(token) {
                    self.named.push(answer.member_id);
                }
            }
            Step::Sync { member, generation, gives } => {
                let (id, generation) = (self.member(member), self.generation(generation));
                let given = if gives { self.named.clone() } else { Vec::new() };
                let mut request = assign(&id, generation, &given);
                request.protocol_name = sync(&id, generation).protocol_name;
                self.world.ask_sync(request);
            }
            other => self.play_other(other),
        }
        self.learn();
    }

    fn play_other(&mut self, step: Step) {
        let request = match step {
            Step::Sleep { ms } => return self.world.sleep(ms),
            Step::Restart => return self.world.restart(),
            Step::DeleteTopic { topic } => {
                let decision = self.world.shard.on_partitions_deleted(&[&topic.to_string()]);
                return self.world.carry_out(decision);
            }
            Step::Heartbeat { member, generation } => GroupRequest::Heartbeat(HeartbeatRequest {
                group_id: GROUP.to_owned(),
                generation_id: self.generation(generation),
                member_id: self.member(member),
                ..Default::default()
            }),
            Step::Leave { member, instance } => GroupRequest::Leave(LeaveGroupRequest {
                group_id: GROUP.to_owned(),
                members: vec![MemberIdentity {
                    member_id: self.member(member),
                    group_instance_id: instance.map(|instance| instance.to_string()),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            Step::Commit {
                member,
                generation,
                topic,
                retention_ms,
            } => {
                let mut request = commit(&self.member(member), self.generation(generation), 1);
                request.topics[0].name = topic.to_string();
                request.retention_time_ms = retention_ms;
                GroupRequest::CommitOffsets(request)
            }
            Step::DeleteOffsets { topic } => GroupRequest::DeleteOffsets(OffsetDeleteRequest {
                group_id: GROUP.to_owned(),
                topics: vec![OffsetDeleteRequestTopic {
                    name: topic.to_string(),
                    partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
                }],
            }),
            _ => GroupRequest::DeleteGroup(GROUP.to_owned()),
        };
        self.world.ask(5, request);
    }
}

fn replayed<'a>(records: impl Iterator<Item = &'a GroupRecord>) -> GroupShard {
    let mut shard = GroupShard::new(GroupConfig::default());
    for record in records {
        let (key, value) = record.encode();
        shard.replay(&GroupRecord::decode(key, value).unwrap().unwrap());
    }
    shard
}

/// The last record of each key, where it stands.
fn compacted(log: &[GroupRecord]) -> Vec<&GroupRecord> {
    let last: BTreeMap<_, usize> = log.iter().enumerate().map(|(index, record)| (record.encode().0, index)).collect();
    let is_last = |(index, record): &(usize, &GroupRecord)| last[&record.encode().0] == *index;
    log.iter().enumerate().filter(is_last).map(|(_, record)| record).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_gives_the_same_hard_state_again(steps in vec(step(), 1..80)) {
        let config = GroupConfig {
            offsets_retention_ms: 100_000,
            offsets_retention_check_interval_ms: 30_000,
            ..GroupConfig::default()
        };
        let mut play = Play { world: World::with(config), named: Vec::new() };
        for step in &steps {
            play.play(step);
            let world = &play.world;
            prop_assert!(replayed(world.log.iter()).durable_state() == world.shard.durable_state());
            prop_assert!(replayed(compacted(&world.log).into_iter()).durable_state() == world.shard.durable_state());
        }
        // A new member may wait for five minutes; nobody for longer.
        play.world.sleep(600_000);
        prop_assert_eq!(play.world.shard.parked().count(), 0);
    }
}
