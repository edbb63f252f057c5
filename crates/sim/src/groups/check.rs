//! The checkers. They know nothing of the machine but what its clients and the log see: the requests it was asked, the records it wrote and the
//! answers it gave, in the order of its decisions. From these they draw their own conclusions, and hold the machine to its promises.
//!
//! `facts.rs` is what the log says, `live.rs` what follows about members; each kind of request has its file. See `docs/simulation.md`.

use std::collections::BTreeMap;

use dohle_coordinator::{Caller, Effect, GroupConfig, GroupRequest, GroupResponse, ReplyToken};
use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::GroupRecord;

use super::assignment::Place;
use crate::violation::{Violation, demand};
use facts::Facts;
use live::LiveGroup;

mod admin;
mod facts;
mod joins;
mod live;
mod members;
mod offsets;
mod records;

/// Why the machine made a decision.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause<'a> {
    Request {
        token: ReplyToken,
        caller: &'a Caller,
        request: &'a GroupRequest,
    },
    Timers,
    Loaded,
    TopicsDeleted(&'a [&'a str]),
}

/// One decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) now_ms: i64,
    pub(super) cause: Cause<'a>,
    pub(super) records: &'a [GroupRecord],
    pub(super) effects: &'a [Effect],
}

/// A request that waits for its answer.
#[derive(Debug, Clone)]
struct Open {
    api_version: i16,
    request: GroupRequest,
    since_ms: i64,
    /// It is answered in the step that it caused: it never waited.
    is_own: bool,
}

/// What an answer gives to a member, once it leaves the node.
#[derive(Debug)]
struct Grant {
    group: String,
    life: u32,
    generation: i32,
    owner: String,
    places: Vec<Place>,
}

#[derive(Debug)]
pub(super) struct Checker {
    config: GroupConfig,
    timer_lag_ms_max: i64,
    facts: Facts,
    groups: BTreeMap<String, LiveGroup>,
    open: BTreeMap<ReplyToken, Open>,
    grants: BTreeMap<ReplyToken, Grant>,
    /// Who was told that it owns what, by group, life and generation. It stays: nobody takes back an answer.
    owners: BTreeMap<(String, u32, i32), BTreeMap<Place, String>>,
    timers_ran_ms: i64,
    /// How often each answer was seen, by API and error: a run that never sees an error does not test it.
    pub(super) seen: BTreeMap<(&'static str, i16), u64>,
}

impl Checker {
    pub(super) fn new(config: GroupConfig, timer_lag_ms_max: i64) -> Checker {
        Checker {
            config,
            timer_lag_ms_max,
            facts: Facts::default(),
            groups: BTreeMap::new(),
            open: BTreeMap::new(),
            grants: BTreeMap::new(),
            owners: BTreeMap::new(),
            timers_ran_ms: 0,
            seen: BTreeMap::new(),
        }
    }

    pub(super) fn set_config(&mut self, config: GroupConfig) {
        self.config = config;
    }

    pub(super) fn on_decision(&mut self, step: Step<'_>) -> Result<(), Violation> {
        if matches!(step.cause, Cause::Timers) {
            self.groups.values_mut().for_each(|group| group.is_completing = false);
        }
        self.on_own_join(step)?;
        self.on_own_leave(step)?;
        for record in step.records {
            self.on_record(step, record)?;
        }
        let mut generations = BTreeMap::new();
        for Effect::Reply { token, response } in step.effects {
            let asked = self.take_asked(step, *token)?;
            self.count(response);
            match (&asked.request, response) {
                (GroupRequest::Join(request), GroupResponse::Join(response)) if response.error_code == 0 => {
                    let group: &mut Vec<_> = generations.entry(request.group_id.clone()).or_default();
                    group.push((asked.clone(), response));
                }
                _ => self.on_answer(step, *token, &asked, response)?,
            }
        }
        for (group, answers) in generations {
            self.on_joined(step, &group, &answers)?;
        }
        self.park(step)?;
        if matches!(step.cause, Cause::Timers) {
            self.timers_ran_ms = step.now_ms;
        }
        self.nobody_waits_for_ever(step.now_ms)
    }

    /// The coordinator is gone, and the log ends earlier.
    pub(super) fn on_lost(&mut self, log_end: usize) {
        self.open.clear();
        self.grants.clear();
        self.groups.clear();
        self.facts.lose_tail(log_end);
    }

    /// Another one has read the log, or what the cleaner left of it.
    pub(super) fn on_loaded(&mut self, now_ms: i64, from_compacted: bool) {
        self.timers_ran_ms = now_ms;
        if from_compacted {
            self.facts.forget_traces();
        }
        for (id, group) in &self.facts.groups {
            if let Some(recorded) = &group.generation {
                self.groups.insert(id.clone(), LiveGroup::from_log(now_ms, recorded));
            }
        }
    }

    /// Every reply that is owed is paid when a shard is given up, except to those that the last decision (which was not written) had answered.
    pub(super) fn on_abandoned(&mut self, effects: &[Effect], own: Option<ReplyToken>, undone: &[Effect]) -> Result<(), Violation> {
        let answered = undone.iter().map(|Effect::Reply { token, .. }| *token);
        for token in answered {
            self.open.remove(&token);
        }
        for Effect::Reply { token, response } in effects {
            demand!(
                self.open.remove(token).is_some() || own == Some(*token),
                "{token:?} did not wait when the shard was given up"
            );
            let code = match response {
                GroupResponse::Join(response) => response.error_code,
                GroupResponse::Sync(response) => response.error_code,
                other => return Err(Violation(format!("{token:?} was parked for {other:?}"))),
            };
            demand!(
                code == ErrorCode::NotCoordinator.code(),
                "a shard that is given up answers {token:?} with {code}"
            );
        }
        demand!(self.open.is_empty(), "given up without an answer: {:?}", self.open.keys());
        Ok(())
    }

    /// An answer has left the node: what it gives is given.
    pub(super) fn on_released(&mut self, token: ReplyToken) -> Result<(), Violation> {
        let Some(grant) = self.grants.remove(&token) else { return Ok(()) };
        let owners = self.owners.entry((grant.group, grant.life, grant.generation)).or_default();
        for place in grant.places {
            let owner = owners.entry(place).or_insert_with(|| grant.owner.clone());
            demand!(
                *owner == grant.owner,
                "{place:?} has two owners in generation {}: {owner} and {}",
                grant.generation,
                grant.owner
            );
        }
        Ok(())
    }

    fn take_asked(&mut self, step: Step<'_>, token: ReplyToken) -> Result<Open, Violation> {
        if let Some(open) = self.open.remove(&token) {
            return Ok(open);
        }
        match step.cause {
            Cause::Request {
                token: own,
                caller,
                request,
            } if own == token && self.answers_to(step, token) == 1 => Ok(Open {
                api_version: caller.api_version,
                request: request.clone(),
                since_ms: step.now_ms,
                is_own: true,
            }),
            _ => Err(Violation(format!("{token:?} is answered, and does not wait for an answer"))),
        }
    }

    fn answers_to(&self, step: Step<'_>, token: ReplyToken) -> usize {
        let is_to = |effect: &&Effect| matches!(effect, Effect::Reply { token: to, .. } if *to == token);
        step.effects.iter().filter(is_to).count()
    }

    fn on_answer(&mut self, step: Step<'_>, token: ReplyToken, asked: &Open, response: &GroupResponse) -> Result<(), Violation> {
        match (&asked.request, response) {
            (GroupRequest::Join(request), GroupResponse::Join(response)) => self.on_join_refused(step, asked, request, response),
            (GroupRequest::Sync(request), GroupResponse::Sync(response)) => self.on_synced(step, token, asked, request, response),
            (GroupRequest::Heartbeat(request), GroupResponse::Heartbeat(response)) => self.on_heartbeat(step, request, response.error_code),
            // Was looked at before everything else.
            (GroupRequest::Leave(_), GroupResponse::Leave(_)) => Ok(()),
            (GroupRequest::CommitOffsets(request), GroupResponse::CommitOffsets(response)) => self.on_committed(step, request, response),
            (GroupRequest::FetchOffsets(request), GroupResponse::FetchOffsets(response)) => self.on_fetched(request, response),
            (GroupRequest::DeleteOffsets(request), GroupResponse::DeleteOffsets(response)) => {
                self.on_offsets_deleted(step, request, response)
            }
            (GroupRequest::DeleteGroup(group), GroupResponse::DeleteGroup(error)) => self.on_group_deleted(group, *error),
            (GroupRequest::DescribeGroup(group), GroupResponse::DescribeGroup(response)) => self.on_described(step, group, response),
            (GroupRequest::ListGroups { states, .. }, GroupResponse::ListGroups(listed)) => self.on_listed(states, listed),
            (request, response) => Err(Violation(format!("{request:?} is answered with {response:?}"))),
        }
    }

    /// Only JoinGroup and SyncGroup may wait.
    fn park(&mut self, step: Step<'_>) -> Result<(), Violation> {
        let Cause::Request { token, caller, request } = step.cause else {
            return Ok(());
        };
        if self.answers_to(step, token) > 0 {
            return Ok(());
        }
        if let GroupRequest::Sync(sync) = request {
            self.on_sync_parked(sync)?;
        }
        let open = Open {
            api_version: caller.api_version,
            request: request.clone(),
            since_ms: step.now_ms,
            is_own: false,
        };
        self.open.insert(token, open);
        Ok(())
    }

    fn nobody_waits_for_ever(&self, now_ms: i64) -> Result<(), Violation> {
        for (token, open) in &self.open {
            let group_id = match &open.request {
                GroupRequest::Join(join) => &join.group_id,
                GroupRequest::Sync(sync) => &sync.group_id,
                other => return Err(Violation(format!("{token:?} waits, and should not: {other:?}"))),
            };
            let rebalance_ms = self.groups.get(group_id).map_or(0, |group| group.rebalance_ms_max);
            let longest_ms = rebalance_ms.max(i64::from(self.config.initial_rebalance_delay_ms)) + self.timer_lag_ms_max + 1;
            demand!(
                now_ms <= open.since_ms + longest_ms,
                "{token:?} has waited for {} ms, and may for {longest_ms}: {:?}",
                now_ms - open.since_ms,
                open.request
            );
        }
        Ok(())
    }

    /// Whether a request of the member waits.
    fn is_parked(&self, group_id: &str, member_id: &str) -> bool {
        self.open.values().any(|open| match &open.request {
            GroupRequest::Join(join) => join.group_id == group_id && join.member_id == member_id,
            GroupRequest::Sync(sync) => sync.group_id == group_id && sync.member_id == member_id,
            _ => false,
        })
    }

    fn may_be_gone(&self, now_ms: i64, group_id: &str, member_id: &str) -> bool {
        let member = self.groups.get(group_id).and_then(|group| group.members.get(member_id));
        member.is_none_or(|member| member.may_be_gone(now_ms, self.is_parked(group_id, member_id)))
    }

    fn count(&mut self, response: &GroupResponse) {
        let commit_error = |code: Option<i16>| code.unwrap_or(0);
        let seen = match response {
            GroupResponse::Join(response) => ("Join", response.error_code),
            GroupResponse::Sync(response) => ("Sync", response.error_code),
            GroupResponse::Heartbeat(response) => ("Heartbeat", response.error_code),
            GroupResponse::Leave(response) => (
                "Leave",
                response.members.first().map_or(response.error_code, |member| member.error_code),
            ),
            GroupResponse::CommitOffsets(response) => {
                let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
                ("Commit", commit_error(partitions.next().map(|partition| partition.error_code)))
            }
            GroupResponse::FetchOffsets(response) => ("Fetch", response.error_code),
            GroupResponse::DeleteOffsets(response) => {
                let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
                let code = partitions.next().map_or(response.error_code, |partition| partition.error_code);
                ("DeleteOffsets", code)
            }
            GroupResponse::DeleteGroup(error) => ("DeleteGroup", error.code()),
            GroupResponse::DescribeGroup(response) => ("Describe", response.error_code),
            GroupResponse::ListGroups(_) => ("List", 0),
        };
        *self.seen.entry(seen).or_default() += 1;
    }
}
