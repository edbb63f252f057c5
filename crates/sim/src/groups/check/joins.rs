//! JoinGroup: who gets in, and that a generation begins with everybody who should be in it.

use std::collections::BTreeSet;

use dohle_coordinator::{Effect, GroupRequest, GroupResponse};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};

use super::live::{LiveMember, NEW_MEMBER_MS, rebalance_ms};
use super::members::Who;
use super::{Cause, Checker, Open, Step};
use crate::violation::{Violation, demand};

const MEMBER_ID_REQUIRED_SINCE: i16 = 4;

/// A request and its answer without error.
type Joined<'a> = (Open, &'a JoinGroupResponse);

impl Checker {
    /// The request that is being decided, if it is a JoinGroup that was let in: at once, or to wait.
    pub(super) fn on_own_join(&mut self, step: Step<'_>) -> Result<(), Violation> {
        let Cause::Request {
            token,
            caller,
            request: GroupRequest::Join(request),
        } = step.cause
        else {
            return Ok(());
        };
        let own_answer = step.effects.iter().find_map(|effect| match effect {
            Effect::Reply {
                token: to,
                response: GroupResponse::Join(response),
            } if *to == token => Some(response),
            _ => None,
        });
        if own_answer.is_some_and(|response| response.error_code != 0) {
            return Ok(());
        }
        let live = self.groups.entry(request.group_id.clone()).or_default();
        live.rebalance_ms_max = live.rebalance_ms_max.max(rebalance_ms(caller.api_version, request));
        let at_once = own_answer.filter(|response| response.generation_id == live.generation);
        if at_once.is_none() {
            live.is_completing = false;
        }
        if request.member_id.is_empty() {
            self.on_stranger_let_in(step, caller.api_version, request, at_once)
        } else {
            self.on_member_let_in(step, caller.api_version, request, at_once.is_some())
        }
    }

    fn on_member_let_in(&mut self, step: Step<'_>, version: i16, request: &JoinGroupRequest, at_once: bool) -> Result<(), Violation> {
        let timers_ran_ms = self.timers_ran_ms;
        let Some(live) = self.groups.get_mut(&request.group_id) else {
            return Ok(());
        };
        let id = &request.member_id;
        if let Some(expires_ms) = live.pending.remove(id) {
            demand!(expires_ms > timers_ran_ms, "{id} is let in with an id that expired at {expires_ms}");
            live.members.insert(id.clone(), LiveMember::joining(step.now_ms, version, request));
            return Ok(());
        }
        let Some(member) = live.members.get_mut(id) else {
            return Err(Violation(format!("{id} is let in, and nobody knows it")));
        };
        let instance = &request.group_instance_id;
        demand!(instance.is_none() || *instance == member.instance, "{id} is let in as {instance:?}");
        if !at_once {
            member.adopt(step.now_ms, version, request);
        }
        Ok(())
    }

    fn on_stranger_let_in(
        &mut self,
        step: Step<'_>,
        version: i16,
        request: &JoinGroupRequest,
        at_once: Option<&JoinGroupResponse>,
    ) -> Result<(), Violation> {
        let instance = request.group_instance_id.as_deref();
        demand!(
            instance.is_some() || version < MEMBER_ID_REQUIRED_SINCE,
            "a dynamic member is let in without an id"
        );
        let Some(live) = self.groups.get_mut(&request.group_id) else {
            return Ok(());
        };
        let holder = instance.and_then(|instance| live.holder(instance)).map(|(id, _)| id.clone());
        let Some(fenced) = holder else {
            demand!(
                at_once.is_none(),
                "a member that was unknown is in generation {} at once",
                live.generation
            );
            return Ok(());
        };
        if let (Some(mut member), Some(response)) = (live.members.remove(&fenced), at_once) {
            member.adopt(step.now_ms, version, request);
            member.heard_of(step.now_ms);
            live.members.insert(response.member_id.clone(), member);
            if live.leader.as_ref() == Some(&fenced) {
                live.leader = Some(response.member_id.clone());
            }
        }
        for (token, open) in &self.open {
            let is_fenced = match &open.request {
                GroupRequest::Join(join) => join.group_id == request.group_id && join.member_id == fenced,
                GroupRequest::Sync(sync) => sync.group_id == request.group_id && sync.member_id == fenced,
                _ => false,
            };
            demand!(
                !is_fenced || self.answers_to(step, *token) == 1,
                "{fenced} is fenced, and {token:?} is not told"
            );
        }
        Ok(())
    }

    pub(super) fn on_join_refused(
        &mut self,
        step: Step<'_>,
        asked: &Open,
        request: &JoinGroupRequest,
        response: &JoinGroupResponse,
    ) -> Result<(), Violation> {
        let group_id = &request.group_id;
        let code = ErrorCode::from_code(response.error_code);
        let who = Who::of_join(request);
        match code {
            ErrorCode::MemberIdRequired => self.on_id_handed_out(step, asked, request, &response.member_id),
            ErrorCode::UnknownMemberId if who.member.is_empty() => {
                let was_removed = matches!(
                    step.cause,
                    Cause::Request {
                        request: GroupRequest::Leave(_),
                        ..
                    }
                );
                let has_waited = step.now_ms >= asked.since_ms + NEW_MEMBER_MS;
                demand!(was_removed || has_waited, "a member that has no id is told that it is unknown");
                Ok(())
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => self.on_member_refused(step, who, code, asked.is_own),
            ErrorCode::RebalanceInProgress => {
                let is_replaced = match step.cause {
                    Cause::Request {
                        request: GroupRequest::Join(newer),
                        ..
                    } => newer.member_id == request.member_id,
                    _ => false,
                };
                demand!(
                    !asked.is_own && is_replaced,
                    "{:?} is sent away, and nobody took its place",
                    who.member
                );
                Ok(())
            }
            ErrorCode::GroupMaxSizeReached => {
                demand!(self.config.group_size_max <= 16, "a group without a limit is full");
                if let Some(live) = self.groups.get_mut(group_id) {
                    live.pending.remove(who.member);
                    live.members.remove(who.member);
                }
                Ok(())
            }
            ErrorCode::InconsistentGroupProtocol => {
                demand!(!self.is_compatible(request), "{request:?} is compatible with all members");
                Ok(())
            }
            ErrorCode::InvalidGroupId => {
                demand!(group_id.is_empty(), "{group_id} is a fine group id");
                Ok(())
            }
            ErrorCode::InvalidSessionTimeout => {
                let allowed = self.config.session_timeout_ms_min..=self.config.session_timeout_ms_max;
                demand!(!allowed.contains(&request.session_timeout_ms), "the session timeout is allowed");
                Ok(())
            }
            other => Err(Violation(format!("JoinGroup is answered with {other}: {request:?}"))),
        }
    }

    fn on_id_handed_out(&mut self, step: Step<'_>, asked: &Open, request: &JoinGroupRequest, id: &str) -> Result<(), Violation> {
        let is_nobody = request.member_id.is_empty() && request.group_instance_id.is_none();
        let is_due = asked.is_own && asked.api_version >= MEMBER_ID_REQUIRED_SINCE && is_nobody;
        demand!(is_due, "nobody asked for an id: {request:?}");
        let live = self.groups.entry(request.group_id.clone()).or_default();
        let expires_ms = step.now_ms + i64::from(request.session_timeout_ms);
        let is_new = live.pending.insert(id.to_owned(), expires_ms).is_none() && !live.members.contains_key(id);
        demand!(is_new, "{id} was handed out before");
        Ok(())
    }

    /// Whether it shares a protocol with everybody who may be in the group; false if nobody is.
    fn is_compatible(&self, request: &JoinGroupRequest) -> bool {
        let waiting = self.open.values().filter_map(|open| match &open.request {
            GroupRequest::Join(join) if join.group_id == request.group_id => Some(LiveMember::joining(0, open.api_version, join)),
            _ => None,
        });
        let live = self.groups.get(&request.group_id);
        let known = live.iter().flat_map(|live| live.members.values().cloned());
        let others: Vec<LiveMember> = waiting.chain(known).collect();
        let speak = |name: &str| others.iter().all(|member| member.subscription(name).is_some());
        let same_type = others.iter().all(|member| member.protocol_type == request.protocol_type);
        !others.is_empty() && same_type && request.protocols.iter().any(|protocol| speak(&protocol.name))
    }

    /// All the members of one group that one decision told of a generation.
    pub(super) fn on_joined(&mut self, step: Step<'_>, group_id: &str, answers: &[Joined<'_>]) -> Result<(), Violation> {
        let generation = answers[0].1.generation_id;
        let current = self.groups.get(group_id).map_or(0, |live| live.generation);
        if generation == current + 1 {
            return self.on_generation(step, group_id, answers);
        }
        demand!(generation == current, "{group_id} goes from generation {current} to {generation}");
        let (asked, response) = &answers[0];
        demand!(
            answers.len() == 1 && asked.is_own,
            "a generation that had begun before is announced again"
        );
        let live = self.groups.get(group_id);
        let is_member = live.is_some_and(|live| live.members.contains_key(&response.member_id));
        demand!(
            is_member,
            "{} is told of generation {generation}, and is not in it",
            response.member_id
        );
        let is_leader = live.is_some_and(|live| live.leader.as_ref() == Some(&response.member_id));
        demand!(
            is_leader || response.members.is_empty(),
            "only the leader is told who the members are"
        );
        Ok(())
    }

    fn on_generation(&mut self, step: Step<'_>, group_id: &str, answers: &[Joined<'_>]) -> Result<(), Violation> {
        let first = answers[0].1;
        let same = |(_, response): &Joined<'_>| {
            (response.generation_id, &response.leader, &response.protocol_name)
                == (first.generation_id, &first.leader, &first.protocol_name)
        };
        demand!(
            answers.iter().all(same),
            "members are told different things about generation {}",
            first.generation_id
        );
        let leaders: Vec<_> = answers.iter().filter(|(_, response)| !response.members.is_empty()).collect();
        let [(_, of_leader)] = leaders.as_slice() else {
            return Err(Violation(format!(
                "generation {} has {} leaders",
                first.generation_id,
                leaders.len()
            )));
        };
        demand!(
            of_leader.member_id == first.leader,
            "{} is told the members, but {} leads",
            of_leader.member_id,
            first.leader
        );
        self.nobody_is_forgotten(step, group_id, of_leader)?;
        self.enter_generation(step, group_id, answers, of_leader)
    }

    fn nobody_is_forgotten(&self, step: Step<'_>, group_id: &str, of_leader: &JoinGroupResponse) -> Result<(), Violation> {
        let Some(live) = self.groups.get(group_id) else {
            return Err(Violation(format!("{group_id} has a generation, and nobody asked to join it")));
        };
        let roster: BTreeSet<&str> = of_leader.members.iter().map(|member| member.member_id.as_str()).collect();
        for (id, member) in live.members.iter().filter(|(id, _)| !roster.contains(id.as_str())) {
            demand!(
                member.may_be_gone(step.now_ms, self.is_parked(group_id, id)),
                "{id} is not in generation {}, and there is no reason for that",
                of_leader.generation_id
            );
        }
        if matches!(step.cause, Cause::Timers) {
            return Ok(());
        }
        let awaited = live.pending.iter().find(|(_, expires_ms)| **expires_ms > step.now_ms);
        demand!(
            awaited.is_none(),
            "generation {} did not wait for {awaited:?}",
            of_leader.generation_id
        );
        let recorded = self.facts.generation(group_id);
        let was_empty = recorded.is_none_or(|value| value.members.is_empty() && value.generation == live.generation);
        demand!(
            !was_empty || live.generation != recorded.map_or(0, |value| value.generation),
            "the initial delay is cut short"
        );
        Ok(())
    }

    fn enter_generation(
        &mut self,
        step: Step<'_>,
        group_id: &str,
        answers: &[Joined<'_>],
        of_leader: &JoinGroupResponse,
    ) -> Result<(), Violation> {
        let generation = of_leader.generation_id;
        let timers_ran_ms = self.timers_ran_ms;
        let Some(live) = self.groups.get_mut(group_id) else { return Ok(()) };
        let mut before = std::mem::take(&mut live.members);
        let mut instances = BTreeSet::new();
        for entry in &of_leader.members {
            let id = &entry.member_id;
            let known = before.remove(id);
            let answer = answers.iter().find(|(_, response)| response.member_id == *id);
            let mut member = match (answer.map(|(asked, _)| asked), known) {
                (Some(asked), known) => joined(asked, known),
                (None, Some(known)) if known.instance.is_some() => {
                    demand!(
                        !known.must_be_gone(timers_ran_ms, false),
                        "{id} is long dead, and in generation {generation}"
                    );
                    known
                }
                (None, _) => return Err(Violation(format!("{id} is in generation {generation}, and did not join it"))),
            };
            demand!(
                member.instance == entry.group_instance_id,
                "{id} is {:?} in the roster",
                entry.group_instance_id
            );
            let is_first = member.instance.as_ref().is_none_or(|instance| instances.insert(instance.clone()));
            demand!(is_first, "{:?} is there twice in generation {generation}", member.instance);
            let protocol = of_leader.protocol_name.as_deref().unwrap_or_default();
            demand!(
                member.subscription(protocol) == Some(&entry.metadata),
                "the subscription of {id} is another's"
            );
            member.enters_generation(step.now_ms);
            live.members.insert(id.clone(), member);
        }
        let outsider = answers.iter().find(|(_, response)| !live.members.contains_key(&response.member_id));
        demand!(
            outsider.is_none(),
            "{:?} is told of generation {generation}, and is not in it",
            outsider.map(|(_, response)| response)
        );
        let chosen = of_leader.protocol_name.as_deref().unwrap_or_default();
        demand!(
            live.favourites().contains(chosen),
            "{chosen} was chosen, and has not the most votes"
        );
        live.generation = generation;
        live.leader = Some(of_leader.leader.clone());
        live.protocol = of_leader.protocol_name.clone();
        live.is_completing = true;
        Ok(())
    }
}

fn joined(asked: &Open, known: Option<LiveMember>) -> LiveMember {
    let GroupRequest::Join(request) = &asked.request else {
        unreachable!("only JoinGroup is answered with a generation");
    };
    let mut member = LiveMember::joining(asked.since_ms, asked.api_version, request);
    if let Some(known) = known {
        member.rebalance_ms = member.rebalance_ms.min(known.rebalance_ms);
        // A static member may leave its instance id out.
        member.instance = known.instance;
    }
    member
}
