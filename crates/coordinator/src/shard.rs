//! The groups of one partition of `__consumer_offsets`.

use std::collections::BTreeMap;

use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::GroupRecord;
use uuid::Uuid;

use crate::config::GroupConfig;
use crate::decision::{Decision, Effect, ReplyToken};
use crate::group::{GroupState, Waiter};
use crate::hard::{CommittedOffset, Hard, HardGroup};
use crate::request::{Caller, GroupRequest};
use crate::timers::Timer;
use crate::turn::{Soft, Turn};

/// Since the shard was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Generations that have become stable.
    pub rebalances: u64,
    pub sessions_expired: u64,
    /// Partitions, not requests.
    pub offset_commits: u64,
    pub offsets_expired: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSummary<'a> {
    pub id: &'a str,
    pub state: GroupState,
    pub generation: i32,
    pub members: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedPartition<'a> {
    pub group: &'a str,
    pub topic: &'a str,
    pub partition: i32,
    pub committed: &'a CommittedOffset,
}

/// Decides what becomes of each request; see the head of this crate for what its shell has to do.
#[derive(Debug)]
pub struct GroupShard {
    config: GroupConfig,
    hard: Hard,
    soft: Soft,
}

impl GroupShard {
    pub fn new(config: GroupConfig) -> GroupShard {
        GroupShard {
            config,
            hard: Hard::default(),
            soft: Soft::default(),
        }
    }

    /// Counts from the next decision on.
    pub fn set_config(&mut self, config: GroupConfig) {
        self.config = config;
    }

    /// Decides one request. `fresh_id` makes the member id, if a new member asks. The reply to `token` is among the effects of this decision,
    /// or of a later one.
    pub fn decide(&mut self, now_ms: i64, caller: &Caller, token: ReplyToken, fresh_id: Uuid, request: GroupRequest) -> Decision {
        let waiter = Waiter {
            token,
            api_version: caller.api_version,
        };
        self.turn(now_ms, |turn| match request {
            GroupRequest::Join(request) => turn.join(caller, waiter, fresh_id, &request),
            GroupRequest::Sync(request) => turn.sync(waiter, &request),
            GroupRequest::Heartbeat(request) => turn.heartbeat(token, &request),
            GroupRequest::Leave(request) => turn.leave(caller, token, request),
            GroupRequest::CommitOffsets(request) => turn.commit_offsets(caller, token, request),
            GroupRequest::FetchOffsets(request) => turn.fetch_offsets(token, request),
            GroupRequest::DeleteOffsets(request) => turn.delete_offsets(token, &request),
            GroupRequest::DeleteGroup(id) => turn.delete_group(token, &id),
            GroupRequest::DescribeGroup(id) => turn.describe_group(caller, token, id),
            GroupRequest::ListGroups { states, types } => turn.list_groups(token, &states, &types),
        })
    }

    /// A fact from the log, or one that has just been appended to it.
    pub fn replay(&mut self, record: &GroupRecord) {
        self.hard.replay(record);
    }

    /// The whole log has been replayed: members are given a session from now on.
    pub fn on_loaded(&mut self, now_ms: i64) -> Decision {
        let has_members = |hard: &HardGroup| hard.metadata.as_ref().is_some_and(|metadata| !metadata.members.is_empty());
        let with_members = self.hard.groups.iter().filter(|(_, hard)| has_members(hard));
        let ids: Vec<String> = with_members.map(|(id, _)| id.clone()).collect();
        self.turn(now_ms, |turn| {
            for id in ids {
                turn.on_group_loaded(&id);
            }
            turn.arm(Timer::Sweep, turn.config.offsets_retention_check_interval_ms);
        })
    }

    /// When [`GroupShard::on_timers`] wants to be called next.
    pub fn next_timer_ms(&self) -> Option<i64> {
        self.soft.timers.next_ms()
    }

    /// Decides everything that is due. Nothing else makes a member late.
    pub fn on_timers(&mut self, now_ms: i64) -> Decision {
        self.turn(now_ms, |turn| {
            while let Some(timer) = turn.soft.timers.pop_due(now_ms) {
                turn.on_timer(timer);
            }
        })
    }

    /// Topics are gone: so are the offsets that were committed for them.
    pub fn on_partitions_deleted(&mut self, topics: &[&str]) -> Decision {
        self.turn(0, |turn| turn.on_topics_deleted(topics))
    }

    /// This node no longer decides for these groups. To be called once, at the end; the effects need not wait for anything.
    pub fn abandon(&mut self) -> Vec<Effect> {
        let mut groups = std::mem::take(&mut self.soft).groups;
        let decision = self.turn(0, |turn| {
            for member in groups.values_mut().flat_map(|group| group.members.values_mut()) {
                turn.dismiss(member, ErrorCode::NotCoordinator);
            }
        });
        decision.effects
    }

    pub fn groups(&self) -> impl Iterator<Item = GroupSummary<'_>> {
        self.hard.groups.iter().map(|(id, hard)| {
            let live = self.soft.groups.get(id);
            let recorded = hard.metadata.as_ref().map_or(0, |metadata| metadata.generation);
            GroupSummary {
                id,
                state: live.map_or(GroupState::Empty, |group| group.state),
                generation: live.map_or(recorded, |group| group.generation),
                members: live.map_or(0, |group| group.members.len()),
            }
        })
    }

    pub fn offsets(&self) -> impl Iterator<Item = CommittedPartition<'_>> {
        let topics = self.hard.groups.iter().flat_map(|(group, hard)| {
            let of_group = hard.offsets.iter();
            of_group.map(move |(topic, partitions)| (group, topic, partitions))
        });
        topics.flat_map(|(group, topic, partitions)| {
            partitions.iter().map(move |(partition, committed)| CommittedPartition {
                group,
                topic,
                partition: *partition,
                committed,
            })
        })
    }

    /// What the members of all groups take in memory.
    pub fn member_bytes(&self) -> usize {
        self.soft.member_bytes
    }

    /// Another bound for that, because other shards have taken or given back memory. Who is a member stays one.
    pub fn set_member_bytes_max(&mut self, bytes: usize) {
        self.config.member_bytes_max = bytes;
    }

    pub fn counters(&self) -> Counters {
        self.soft.counters
    }

    /// The requests that have not been answered yet.
    pub fn parked(&self) -> impl Iterator<Item = ReplyToken> {
        let members = self.soft.groups.values().flat_map(|group| group.members.values());
        members
            .flat_map(|member| [member.joining, member.syncing])
            .flatten()
            .map(|waiter| waiter.token)
    }

    /// What a replay of the same records gives again.
    pub fn durable_state(&self) -> impl PartialEq + std::fmt::Debug {
        let in_log = self.hard.groups.iter().filter(|(_, group)| group.is_in_log());
        in_log.collect::<BTreeMap<_, _>>()
    }

    fn turn(&mut self, now_ms: i64, work: impl FnOnce(&mut Turn<'_>)) -> Decision {
        let mut turn = Turn {
            config: &self.config,
            hard: &self.hard,
            soft: &mut self.soft,
            now_ms,
            decision: Decision::default(),
        };
        work(&mut turn);
        turn.decision
    }
}
