//! The course of a run: chaos, then a healed world that has to come to rest.

use std::collections::BTreeMap;

use dohle_coordinator::mutant::Mutant;
use dohle_coordinator::{Caller, Decision, Effect, GroupRequest, GroupResponse, ReplyToken};
use dohle_protocol::ErrorCode;

use super::check::{Cause, Checker, Step};
use super::member::{Action, Member, Phase, Wake};
use super::node::{Node, State};
use super::plan::{Plan, REBALANCE_MS_MAX, TOPICS, draw_topics};
use super::refusal::refuse;
use super::stranger::Stranger;
use super::wording::{Answered, Asked, Recorded};
use super::{goal, operator};
use crate::queue::Queue;
use crate::random::Random;
use crate::trace::Trace;
use crate::violation::{Violation, demand};

const START_MS: i64 = 1_000_000;
/// A run that takes more is caught in a loop.
const EVENTS_MAX: u64 = 300_000;
/// A session and a bit: who is dead at the end of the chaos is gone then.
const QUIET_MS: i64 = 11_000;
/// Who comes back does so before the world is inspected.
const RETURN_MS_MAX: i64 = 9_000;
const INSPECTION_MS: i64 = 1_000;

/// Who sent a request, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    /// None: a stranger or an operator, who does not care for the answer.
    member: Option<usize>,
    number: u64,
}

#[derive(Debug)]
enum Event {
    Arrive { call: Call, caller: Caller, request: GroupRequest },
    Answer { call: Call, response: GroupResponse },
    GiveUp(Call),
    Wake { member: usize, epoch: u32, what: Wake },
    Start { member: usize },
    Committed { incarnation: u32, end: usize },
    Timers { incarnation: u32 },
    Crash,
    Load,
    Loaded,
    Mischief,
    Stranger,
    Operator,
    Heal,
    Inspect,
}

/// What the healed world has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Chaos,
    /// Everybody is to become a member.
    Settling,
    /// Everybody was asked to join again; each partition is to have its owner.
    Sharing,
    Done,
}

pub(super) struct World {
    pub(super) trace: Trace,
    pub(super) checker: Checker,
    pub(super) events: u64,
    pub(super) members: Vec<Member>,
    pub(super) node: Node,
    random: Random,
    queue: Queue<Event>,
    plan: Plan,
    stranger: Stranger,
    calls: BTreeMap<ReplyToken, Call>,
    next_token: u64,
    timers_at_ms: Option<i64>,
    stage: Stage,
    deadline_ms: i64,
    quiet_until_ms: i64,
}

impl World {
    pub(super) fn new(seed: u64, print: bool) -> World {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        World::with(plan, random, print)
    }

    pub(super) fn with(plan: Plan, random: Random, print: bool) -> World {
        let mut world = World {
            trace: Trace::new(print),
            checker: Checker::new(plan.config.clone(), plan.timer_lag_ms_max),
            events: 0,
            members: plan.members.iter().cloned().map(Member::new).collect(),
            node: Node::new(plan.config.clone()),
            random,
            queue: Queue::starting_at(START_MS),
            stranger: Stranger::default(),
            calls: BTreeMap::new(),
            next_token: 0,
            timers_at_ms: None,
            stage: Stage::Chaos,
            deadline_ms: i64::MAX,
            quiet_until_ms: 0,
            plan,
        };
        world.queue.after(0, Event::Load);
        for (index, member) in world.plan.members.iter().enumerate() {
            world.queue.after(member.starts_after_ms, Event::Start { member: index });
        }
        world.queue.after(world.plan.chaos_ms, Event::Heal);
        world.again(world.plan.crash_every_ms, Event::Crash);
        world.again(world.plan.mischief_every_ms, Event::Mischief);
        world.again(world.plan.stranger_every_ms, Event::Stranger);
        world.again(world.plan.operator_every_ms, Event::Operator);
        world
    }

    pub(super) fn run(&mut self) -> Result<(), Violation> {
        while self.stage != Stage::Done {
            let Some(event) = self.queue.pop() else { break };
            self.events += 1;
            demand!(self.events < EVENTS_MAX, "there is no end to it");
            self.on_event(event)?;
        }
        self.finish()
    }

    fn on_event(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Arrive { call, caller, request } => return self.on_request(call, &caller, &request),
            Event::Answer { call, response } => self.on_answer(call, response),
            Event::GiveUp(call) => self.on_give_up(call),
            Event::Wake { member, epoch, what } => self.on_wake(member, epoch, what),
            Event::Start { member } => {
                if self.members[member].phase == Phase::Dead {
                    self.with_member(member, Member::start);
                }
            }
            Event::Committed { incarnation, end } => return self.on_committed(incarnation, end),
            Event::Timers { incarnation } => return self.on_timers(incarnation),
            Event::Crash | Event::Mischief | Event::Stranger | Event::Operator if self.stage != Stage::Chaos => {}
            Event::Crash => self.on_crash(),
            Event::Load => {
                self.node.state = State::Loading;
                let takes_ms = self.random.between(0..=300);
                self.queue.after(takes_ms, Event::Loaded);
            }
            Event::Loaded => return self.on_loaded(),
            Event::Mischief => self.on_mischief(),
            Event::Stranger => {
                let (version, request) = self.stranger.draw(&mut self.random);
                self.ask(version, request);
                self.again(self.plan.stranger_every_ms, Event::Stranger);
            }
            Event::Operator => return self.on_operator(),
            Event::Heal => return self.on_healed(),
            Event::Inspect => return self.on_inspected(),
        }
        Ok(())
    }

    // --- the network

    fn again(&mut self, every_ms: Option<i64>, event: Event) {
        if let Some(every_ms) = every_ms {
            let after_ms = self.random.between(1..=2 * every_ms);
            self.queue.after(after_ms, event);
        }
    }

    /// A request of somebody who is no member.
    fn ask(&mut self, api_version: i16, request: GroupRequest) {
        let call = Call { member: None, number: 0 };
        self.send(call, "other", api_version, request);
    }

    fn send(&mut self, call: Call, client_id: &str, api_version: i16, request: GroupRequest) {
        let caller = Caller {
            client_id: client_id.to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            api_version,
        };
        if self.random.chance(self.plan.duplicate_per_mille) {
            let delay_ms = self.random.between(0..=3_000);
            let (caller, request) = (caller.clone(), request.clone());
            self.queue.after(delay_ms, Event::Arrive { call, caller, request });
        }
        if !self.random.chance(self.plan.drop_per_mille) {
            let delay_ms = self.random.between(0..=self.plan.network_delay_ms_max);
            self.queue.after(delay_ms, Event::Arrive { call, caller, request });
        }
    }

    fn send_answer(&mut self, call: Call, response: GroupResponse) {
        if call.member.is_some() && !self.random.chance(self.plan.drop_per_mille) {
            let delay_ms = self.random.between(0..=self.plan.network_delay_ms_max);
            self.queue.after(delay_ms, Event::Answer { call, response });
        }
    }

    // --- the members

    fn with_member(&mut self, index: usize, act: impl FnOnce(&mut Member, &mut Vec<Action>)) {
        let mut actions = Vec::new();
        act(&mut self.members[index], &mut actions);
        for action in actions {
            match action {
                Action::Send {
                    number,
                    api_version,
                    request,
                    patience_ms,
                } => {
                    let call = Call {
                        member: Some(index),
                        number,
                    };
                    self.queue.after(patience_ms, Event::GiveUp(call));
                    self.send(call, &format!("c{index}"), api_version, request);
                }
                Action::Wake { after_ms, epoch, what } => self.queue.after(
                    after_ms,
                    Event::Wake {
                        member: index,
                        epoch,
                        what,
                    },
                ),
            }
        }
    }

    /// A process that is stopped does nothing until it goes on.
    fn is_paused(&self, index: usize) -> Option<i64> {
        let until_ms = self.members[index].paused_until_ms;
        (until_ms > self.queue.now_ms()).then_some(until_ms)
    }

    fn on_answer(&mut self, call: Call, response: GroupResponse) {
        let Some(index) = call.member else { return };
        if let Some(until_ms) = self.is_paused(index) {
            return self.queue.at(until_ms, Event::Answer { call, response });
        }
        self.trace
            .line(self.queue.now_ms(), format_args!("c{index} <- {}", Answered(&response)));
        self.with_member(index, |member, out| member.on_answer(call.number, response, out));
    }

    fn on_give_up(&mut self, call: Call) {
        let Some(index) = call.member else { return };
        if let Some(until_ms) = self.is_paused(index) {
            return self.queue.at(until_ms, Event::GiveUp(call));
        }
        self.with_member(index, |member, out| member.on_give_up(call.number, out));
    }

    fn on_wake(&mut self, index: usize, epoch: u32, what: Wake) {
        if self.members[index].epoch != epoch {
            return;
        }
        if let Some(until_ms) = self.is_paused(index) {
            return self.queue.at(
                until_ms,
                Event::Wake {
                    member: index,
                    epoch,
                    what,
                },
            );
        }
        let advance = self.random.between(0..=20);
        self.with_member(index, |member, out| member.on_wake(what, advance, out));
    }

    fn on_mischief(&mut self) {
        self.again(self.plan.mischief_every_ms, Event::Mischief);
        let now_ms = self.queue.now_ms();
        let index = self.random.below(self.members.len());
        let returns_after_ms = self.random.between(10..=RETURN_MS_MAX);
        match self.random.below(7) {
            0 => self.members[index].paused_until_ms = now_ms + self.random.between(500..=20_000),
            1 => self.members[index].die(),
            2 => self.members[index].lag_ms = self.random.between(0..=15_000),
            3 => {
                self.members[index].plan.topics = draw_topics(&mut self.random);
                self.with_member(index, Member::rejoin);
            }
            4 => self.with_member(index, Member::rejoin),
            5 => {
                self.members[index].die();
                self.with_member(index, Member::start);
            }
            _ if self.members[index].phase != Phase::Dead => self.with_member(index, Member::leave),
            _ => {}
        }
        self.trace
            .line(now_ms, format_args!("c{index}: mischief, now {:?}", self.members[index].phase));
        if self.members[index].phase == Phase::Dead && self.random.chance(800) {
            self.queue.after(returns_after_ms, Event::Start { member: index });
        }
    }

    fn on_operator(&mut self) -> Result<(), Violation> {
        self.again(self.plan.operator_every_ms, Event::Operator);
        if self.random.chance(970) {
            let (version, request) = operator::draw(&mut self.random);
            self.ask(version, request);
            return Ok(());
        }
        let topics = [*self.random.pick(&TOPICS)];
        let Some(shard) = self.node.shard() else { return Ok(()) };
        let decision = shard.on_partitions_deleted(&topics);
        self.conclude(Cause::TopicsDeleted(&topics), decision)
    }

    // --- the coordinator

    fn on_request(&mut self, call: Call, caller: &Caller, request: &GroupRequest) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        self.stranger.overhear(caller.api_version, request);
        let refusal = match &self.node.state {
            State::Up(_) => None,
            State::Loading => Some(ErrorCode::CoordinatorLoadInProgress),
            State::Down => Some(ErrorCode::NotCoordinator),
        };
        if let Some(error) = refusal {
            self.send_answer(call, refuse(request, error));
            return Ok(());
        }
        self.next_token += 1;
        let token = ReplyToken(self.next_token);
        self.calls.insert(token, call);
        let fresh_id = self.random.uuid();
        let client = &caller.client_id;
        self.trace.line(
            now_ms,
            format_args!("#{} {client} v{}: {}", token.0, caller.api_version, Asked(request)),
        );
        let Some(shard) = self.node.shard() else { return Ok(()) };
        let decision = shard.decide(now_ms, caller, token, fresh_id, request.clone());
        self.conclude(Cause::Request { token, caller, request }, decision)
    }

    fn conclude(&mut self, cause: Cause<'_>, decision: Decision) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        for record in &decision.records {
            self.trace.line(now_ms, format_args!("    writes {}", Recorded(record)));
        }
        for Effect::Reply { token, response } in &decision.effects {
            self.trace
                .line(now_ms, format_args!("    answers #{} {}", token.0, Answered(response)));
        }
        if !decision.records.is_empty() && self.random.chance(self.plan.append_failure_per_mille) {
            return self.on_append_failed(cause, &decision);
        }
        let Decision { records, effects } = decision;
        self.checker.on_decision(Step {
            now_ms,
            cause,
            records: &records,
            effects: &effects,
        })?;
        self.node.carry_out(&records, effects)?;
        if !records.is_empty() {
            self.commit_later();
        }
        self.arm_timers();
        self.release()
    }

    fn commit_later(&mut self) {
        let is_stalled = self.random.chance(self.plan.commit_stall_per_mille);
        let longest_ms = if is_stalled { 2_500 } else { self.plan.commit_delay_ms_max };
        let after_ms = self.random.between(0..=longest_ms);
        let event = Event::Committed {
            incarnation: self.node.incarnation,
            end: self.node.log.end(),
        };
        self.queue.after(after_ms, event);
    }

    fn on_committed(&mut self, incarnation: u32, end: usize) -> Result<(), Violation> {
        if incarnation != self.node.incarnation {
            return Ok(());
        }
        self.node.log.commit(end);
        self.release()
    }

    fn release(&mut self) -> Result<(), Violation> {
        while let Some(Effect::Reply { token, response }) = self.node.release() {
            self.checker.on_released(token)?;
            if let Some(call) = self.calls.remove(&token) {
                self.send_answer(call, response);
            }
        }
        Ok(())
    }

    fn arm_timers(&mut self) {
        let lag_ms = self.random.between(0..=self.plan.timer_lag_ms_max);
        let Some(due_ms) = self.node.shard().and_then(|shard| shard.next_timer_ms()) else {
            return;
        };
        if self.timers_at_ms.is_none_or(|at_ms| due_ms < at_ms) {
            self.timers_at_ms = Some(due_ms + lag_ms);
            let incarnation = self.node.incarnation;
            self.queue.at(due_ms + lag_ms, Event::Timers { incarnation });
        }
    }

    fn on_timers(&mut self, incarnation: u32) -> Result<(), Violation> {
        if incarnation != self.node.incarnation {
            return Ok(());
        }
        self.timers_at_ms = None;
        let now_ms = self.queue.now_ms();
        let Some(shard) = self.node.shard() else { return Ok(()) };
        if shard.next_timer_ms().is_none_or(|due_ms| due_ms > now_ms) {
            self.arm_timers();
            return Ok(());
        }
        let decision = shard.on_timers(now_ms);
        self.trace.line(now_ms, format_args!("timers"));
        self.conclude(Cause::Timers, decision)
    }

    // --- loss of the coordinator

    /// The clients notice sooner or later.
    fn on_crash(&mut self) {
        self.again(self.plan.crash_every_ms, Event::Crash);
        if self.node.shard().is_none() {
            return;
        }
        self.trace.line(self.queue.now_ms(), format_args!("crash"));
        self.lose();
    }

    fn lose(&mut self) {
        for (_, call) in std::mem::take(&mut self.calls) {
            let after_ms = self.random.between(0..=1_000);
            self.queue.after(after_ms, Event::GiveUp(call));
        }
        self.node.lose(&mut self.random);
        self.checker.on_lost(self.node.log.end());
        self.timers_at_ms = None;
        let down_ms = self.random.between(0..=3_000);
        self.queue.after(down_ms, Event::Load);
    }

    /// Nothing of the decision has happened: the shard, which believes in it, is given up.
    fn on_append_failed(&mut self, cause: Cause<'_>, decision: &Decision) -> Result<(), Violation> {
        self.trace.line(self.queue.now_ms(), format_args!("append failed"));
        let own = match cause {
            Cause::Request { token, .. } => Some(token),
            _ => None,
        };
        if let Some(shard) = self.node.shard() {
            let effects = shard.abandon();
            self.checker.on_abandoned(&effects, own, &decision.effects)?;
            for Effect::Reply { token, response } in effects {
                if let Some(call) = self.calls.remove(&token) {
                    self.send_answer(call, response);
                }
            }
        }
        self.lose();
        Ok(())
    }

    fn on_loaded(&mut self) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        let from_compacted = self.random.chance(500);
        let decision = self.node.load(from_compacted)?.on_loaded(now_ms);
        self.trace.line(now_ms, format_args!("loaded {} records", self.node.log.end()));
        self.checker.on_loaded(now_ms, from_compacted);
        self.commit_later();
        self.conclude(Cause::Loaded, decision)
    }

    // --- the end

    fn on_healed(&mut self) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        self.trace.line(now_ms, format_args!("healed"));
        self.plan.heal();
        self.stage = Stage::Settling;
        self.node.config = self.plan.config.clone();
        self.checker.set_config(self.plan.config.clone());
        let config = self.plan.config.clone();
        if let Some(shard) = self.node.shard() {
            shard.set_config(config);
        }
        for member in &mut self.members {
            member.paused_until_ms = member.paused_until_ms.min(now_ms);
            member.lag_ms = 0;
        }
        self.quiet_until_ms = now_ms + QUIET_MS + self.plan.timer_lag_ms_max;
        self.deadline_ms = self.quiet_until_ms + self.patience_ms();
        self.queue.after(INSPECTION_MS, Event::Inspect);
        Ok(())
    }

    /// Within this time everybody who lives is a member, come what may: a rebalance that hangs, one that follows, and one for the dead.
    fn patience_ms(&self) -> i64 {
        let longest = self.members.iter().map(|member| i64::from(member.plan.rebalance_ms)).max();
        4 * longest.unwrap_or(0).max(REBALANCE_MS_MAX) + 4 * self.plan.timer_lag_ms_max + 20_000
    }

    fn on_inspected(&mut self) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        self.queue.after(INSPECTION_MS, Event::Inspect);
        let reached = match self.stage {
            Stage::Settling => goal::all_settled(&self.members),
            _ => goal::all_shared(&self.members, self.node.shard()),
        };
        if let Err(missing) = reached {
            demand!(now_ms < self.deadline_ms, "the world is healed, and yet {missing}");
            return Ok(());
        }
        if now_ms < self.quiet_until_ms {
            return Ok(());
        }
        if self.stage == Stage::Sharing {
            self.stage = Stage::Done;
            return Ok(());
        }
        self.stage = Stage::Sharing;
        self.quiet_until_ms = now_ms + INSPECTION_MS;
        self.deadline_ms = now_ms + self.patience_ms();
        for index in 0..self.members.len() {
            self.with_member(index, Member::rejoin);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Violation> {
        let (whole, _) = self.node.replayed()?;
        let Some(shard) = self.node.shard() else {
            return Err(Violation("the coordinator never came back".to_owned()));
        };
        demand!(
            shard.durable_state() == whole.durable_state(),
            "a replay of the log gives another state"
        );
        let effects = shard.abandon();
        self.checker.on_abandoned(&effects, None, &[])
    }
}

/// So that a mutant is never left switched on.
pub(super) struct Mutation;

impl Mutation {
    pub(super) fn on(mutant: Option<Mutant>) -> Mutation {
        dohle_coordinator::mutant::set_mutant(mutant);
        Mutation
    }
}

impl Drop for Mutation {
    fn drop(&mut self) {
        dohle_coordinator::mutant::set_mutant(None);
    }
}
