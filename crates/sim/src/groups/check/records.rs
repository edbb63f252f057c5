//! Every record has a reason.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dohle_coordinator::GroupRequest;
use dohle_protocol::coordinator_records::{GroupMetadataValue, GroupRecord, OffsetCommitValue};
use dohle_protocol::messages::sync_group::SyncGroupRequest;

use super::{Cause, Checker, Step};
use crate::groups::assignment;
use crate::violation::{Violation, demand};

impl Checker {
    pub(super) fn on_record(&mut self, step: Step<'_>, record: &GroupRecord) -> Result<(), Violation> {
        match record {
            GroupRecord::GroupMetadata { group, value: Some(value) } if value.members.is_empty() => self.on_empty(step, group, value)?,
            GroupRecord::GroupMetadata { group, value: Some(value) } => self.on_completed(step, group, value)?,
            GroupRecord::GroupMetadata { group, value: None } => self.on_forgotten(step, group)?,
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value: Some(value),
            } => was_asked_for(step, group, (topic, *partition), value)?,
            GroupRecord::OffsetCommit {
                group, topic, partition, ..
            } => self.on_offset_forgotten(step, group, topic, *partition)?,
        }
        self.facts.append(record);
        Ok(())
    }

    fn on_empty(&mut self, step: Step<'_>, group: &str, value: &GroupMetadataValue) -> Result<(), Violation> {
        if !self.facts.groups.contains_key(group) {
            let is_join = matches!(step.cause, Cause::Request { request: GroupRequest::Join(join), .. } if join.group_id == group);
            demand!(is_join && value.generation == 0, "{group} comes into being: {:?}", step.cause);
            return Ok(());
        }
        self.nobody_is_left(step, group)?;
        let current = self.groups.get(group).map_or(0, |live| live.generation);
        demand!(
            value.generation == current + 1,
            "{group} is empty in generation {} after {current}",
            value.generation
        );
        if let Some(live) = self.groups.get_mut(group) {
            live.members.clear();
            live.generation = value.generation;
            live.leader = None;
            live.protocol = None;
            live.is_completing = false;
        }
        Ok(())
    }

    fn nobody_is_left(&self, step: Step<'_>, group: &str) -> Result<(), Violation> {
        let mut members = self.groups.get(group).into_iter().flat_map(|live| live.members.keys());
        let left = members.find(|id| !self.may_be_gone(step.now_ms, group, id));
        demand!(left.is_none(), "{group} is taken for empty, and {left:?} is there");
        Ok(())
    }

    fn on_completed(&mut self, step: Step<'_>, group: &str, value: &GroupMetadataValue) -> Result<(), Violation> {
        let instances: Vec<&String> = value
            .members
            .iter()
            .filter_map(|member| member.group_instance_id.as_ref())
            .collect();
        demand!(
            instances.iter().collect::<BTreeSet<_>>().len() == instances.len(),
            "an instance is recorded twice: {value:?}"
        );
        let mut owners = BTreeMap::new();
        for member in &value.members {
            for place in assignment::decode(&member.assignment).unwrap_or_default() {
                let earlier = owners.insert(place, &member.member_id);
                demand!(earlier.is_none(), "{place:?} is given to {} and {earlier:?}", member.member_id);
            }
        }
        match step.cause {
            Cause::Request {
                request: GroupRequest::Sync(request),
                ..
            } if request.group_id == group => self.on_handed_out(request, value),
            Cause::Request {
                request: GroupRequest::Join(request),
                ..
            } if request.group_id == group && request.member_id.is_empty() => {
                self.on_replaced(group, request.group_instance_id.as_deref(), value)
            }
            other => Err(Violation(format!("{group} has members by {other:?}"))),
        }
    }

    /// The leader, and nobody else, completes the generation, once.
    fn on_handed_out(&mut self, request: &SyncGroupRequest, value: &GroupMetadataValue) -> Result<(), Violation> {
        let recorded = self.facts.generation(&request.group_id).map_or(-1, |value| value.generation);
        demand!(
            recorded < value.generation,
            "generation {} follows {recorded} in the log",
            value.generation
        );
        let Some(live) = self.groups.get_mut(&request.group_id) else {
            return Err(Violation(format!("a group without members is assigned: {value:?}")));
        };
        demand!(
            live.leader.as_ref() == Some(&request.member_id),
            "{} hands out, and {:?} leads",
            request.member_id,
            live.leader
        );
        demand!(
            value.leader == live.leader,
            "the record says that {:?} leads, not {:?}",
            value.leader,
            live.leader
        );
        let generations = (value.generation, request.generation_id);
        demand!(
            generations == (live.generation, live.generation),
            "{generations:?} are completed in {}",
            live.generation
        );
        let given: BTreeMap<&str, &Bytes> = request
            .assignments
            .iter()
            .map(|given| (given.member_id.as_str(), &given.assignment))
            .collect();
        let mut ids = BTreeSet::new();
        for member in &value.members {
            let is_right = match given.get(member.member_id.as_str()) {
                Some(assignment) => member.assignment == **assignment,
                None => member.assignment.is_empty(),
            };
            demand!(is_right, "{} is recorded with what the leader did not give it", member.member_id);
            ids.insert(&member.member_id);
        }
        demand!(
            ids.iter().copied().eq(live.members.keys()),
            "{ids:?} are recorded, and {:?} joined",
            live.members.keys()
        );
        live.is_completing = false;
        Ok(())
    }

    /// A static member has come back under another id: nothing else changes.
    fn on_replaced(&self, group: &str, instance: Option<&str>, value: &GroupMetadataValue) -> Result<(), Violation> {
        let Some(before) = self.facts.generation(group) else {
            return Err(Violation(format!("{group} had no members to be replaced")));
        };
        let essence = |value: &GroupMetadataValue| -> Vec<(String, Bytes)> {
            let name = |member: &dohle_protocol::coordinator_records::MemberMetadata| {
                let is_replaced = instance.is_some() && member.group_instance_id.as_deref() == instance;
                if is_replaced { String::new() } else { member.member_id.clone() }
            };
            let mut essence: Vec<_> = value
                .members
                .iter()
                .map(|member| (name(member), member.assignment.clone()))
                .collect();
            essence.sort();
            essence
        };
        demand!(
            before.generation == value.generation && essence(before) == essence(value),
            "{instance:?} comes back, and more changes: {before:?} to {value:?}"
        );
        Ok(())
    }

    fn on_forgotten(&mut self, step: Step<'_>, group: &str) -> Result<(), Violation> {
        self.nobody_is_left(step, group)?;
        let offsets = self.facts.groups.get(group).map_or(0, |known| known.offsets.len());
        demand!(offsets == 0, "{group} is forgotten, and {offsets} of its offsets are not");
        match step.cause {
            Cause::Request {
                request: GroupRequest::DeleteGroup(deleted),
                ..
            } if deleted == group => {}
            Cause::Timers => {
                let mut pending = self.groups.get(group).into_iter().flat_map(|live| &live.pending);
                let awaited = pending.find(|(_, expires_ms)| **expires_ms > step.now_ms);
                demand!(awaited.is_none(), "{group} is forgotten, and {awaited:?} is about to join");
            }
            other => return Err(Violation(format!("{group} is forgotten by {other:?}"))),
        }
        self.groups.remove(group);
        Ok(())
    }

    fn on_offset_forgotten(&self, step: Step<'_>, group: &str, topic: &str, partition: i32) -> Result<(), Violation> {
        let Some(value) = self.facts.offset(group, topic, partition) else {
            return Err(Violation(format!("{group} forgets {topic}-{partition}, and had nothing committed")));
        };
        let is_asked_for = match step.cause {
            Cause::Request {
                request: GroupRequest::DeleteOffsets(request),
                ..
            } => {
                let mut named = request
                    .topics
                    .iter()
                    .filter(|named| named.name == topic)
                    .flat_map(|topic| &topic.partitions);
                request.group_id == group && named.any(|named| named.partition_index == partition)
            }
            Cause::Request {
                request: GroupRequest::DeleteGroup(deleted),
                ..
            } => deleted == group,
            Cause::TopicsDeleted(topics) => topics.contains(&topic),
            Cause::Timers => return self.must_be_expired(step.now_ms, group, topic, value),
            _ => false,
        };
        demand!(is_asked_for, "{group} forgets {topic}-{partition} by {:?}", step.cause);
        Ok(())
    }

    fn must_be_expired(&self, now_ms: i64, group: &str, topic: &str, value: &OffsetCommitValue) -> Result<(), Violation> {
        let recorded = self.facts.generation(group);
        let members = recorded.into_iter().flat_map(|recorded| &recorded.members);
        let subscribed = members.filter_map(|member| assignment::topics_of(&member.subscription)).flatten();
        demand!(
            subscribed.into_iter().all(|wanted| wanted != topic),
            "{group} reads {topic}, and it expired"
        );
        let since_ms = match recorded {
            Some(recorded) if recorded.members.is_empty() && !recorded.protocol_type.is_empty() => recorded.current_state_timestamp,
            _ => value.commit_timestamp,
        };
        let expires_ms = match value.expire_timestamp {
            -1 => since_ms + self.config.offsets_retention_ms,
            own_ms => own_ms,
        };
        demand!(
            now_ms >= expires_ms,
            "{topic} expired for {group}, {} ms too early",
            expires_ms - now_ms
        );
        Ok(())
    }
}

fn was_asked_for(step: Step<'_>, group: &str, (topic, partition): (&str, i32), value: &OffsetCommitValue) -> Result<(), Violation> {
    if let Cause::Request {
        request: GroupRequest::CommitOffsets(request),
        ..
    } = step.cause
    {
        let mut named = request
            .topics
            .iter()
            .filter(|named| named.name == topic)
            .flat_map(|topic| &topic.partitions);
        if request.group_id == group && named.any(|named| named.partition_index == partition && named.committed_offset == value.offset) {
            return Ok(());
        }
    }
    Err(Violation(format!("{group} commits {topic}-{partition} by {:?}", step.cause)))
}
