//! Offsets: who may commit, and that what was committed is what is fetched.

use std::collections::BTreeMap;

use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::GroupRecord;
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use dohle_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};

use super::members::Who;
use super::{Checker, Step};
use crate::groups::assignment;
use crate::violation::{Violation, demand};

impl Checker {
    pub(super) fn on_committed(
        &mut self,
        step: Step<'_>,
        request: &OffsetCommitRequest,
        response: &OffsetCommitResponse,
    ) -> Result<(), Violation> {
        let mut records = step.records.iter();
        let answers = response.topics.iter().flat_map(|topic| &topic.partitions);
        let mut verdict = None;
        for ((topic, partition), answer) in partitions(request).zip(answers) {
            let error = ErrorCode::from_code(answer.error_code);
            match error {
                ErrorCode::OffsetMetadataTooLarge => {
                    let length = partition.committed_metadata.as_ref().map_or(0, String::len);
                    demand!(length > self.config.offset_metadata_bytes_max, "{length} bytes are not too long");
                    continue;
                }
                ErrorCode::None => {
                    let is_written = match records.next() {
                        Some(GroupRecord::OffsetCommit { value: Some(value), .. }) => value.offset == partition.committed_offset,
                        _ => false,
                    };
                    demand!(is_written, "{topic}-{} is acknowledged, and not written", partition.partition_index);
                }
                _ => {}
            }
            demand!(verdict.is_none_or(|earlier| earlier == error), "one commit is accepted and refused");
            verdict = Some(error);
        }
        demand!(records.next().is_none(), "offsets are written that are not acknowledged");
        match verdict {
            Some(ErrorCode::None) => self.on_commit_accepted(step, request),
            Some(error) => self.on_commit_refused(step, request, error),
            None => Ok(()),
        }
    }

    fn on_commit_accepted(&mut self, step: Step<'_>, request: &OffsetCommitRequest) -> Result<(), Violation> {
        let who = Who::of_commit(request);
        if request.generation_id_or_member_epoch < 0 {
            let mut members = self.groups.get(who.group).into_iter().flat_map(|live| live.members.keys());
            let present = members.find(|id| !self.may_be_gone(step.now_ms, who.group, id));
            demand!(present.is_none(), "a tool commits for a group in which {present:?} is");
            return Ok(());
        }
        self.must_be_member(who)?;
        let Some(live) = self.groups.get_mut(who.group) else {
            return Ok(());
        };
        demand!(!live.is_completing, "{who:?} commits before it can know what it owns");
        if let Some(member) = live.members.get_mut(who.member) {
            member.heard_of(step.now_ms);
        }
        Ok(())
    }

    fn on_commit_refused(&mut self, step: Step<'_>, request: &OffsetCommitRequest, error: ErrorCode) -> Result<(), Violation> {
        let who = Who::of_commit(request);
        match error {
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId | ErrorCode::IllegalGeneration => {
                self.on_member_refused(step, who, error, true)
            }
            ErrorCode::RebalanceInProgress => self.must_be_member(who),
            ErrorCode::GroupIdNotFound => {
                demand!(!self.facts.groups.contains_key(who.group), "{} exists", who.group);
                Ok(())
            }
            other => Err(Violation(format!("OffsetCommit is answered with {other}"))),
        }
    }

    pub(super) fn on_fetched(&self, request: &OffsetFetchRequestGroup, response: &OffsetFetchResponseGroup) -> Result<(), Violation> {
        let group = &request.group_id;
        demand!(response.error_code == 0, "OffsetFetch is answered with {}", response.error_code);
        let mut fetched = BTreeMap::new();
        for topic in &response.topics {
            for partition in &topic.partitions {
                let committed = self.facts.offset(group, &topic.name, partition.partition_index);
                let expected = committed.map_or(-1, |value| value.offset);
                demand!(
                    partition.committed_offset == expected,
                    "{group} is told {} for {}-{}, and committed {expected}",
                    partition.committed_offset,
                    topic.name,
                    partition.partition_index
                );
                fetched.insert((topic.name.clone(), partition.partition_index), ());
            }
        }
        let known = self.facts.groups.get(group).map_or(0, |known| known.offsets.len());
        demand!(
            request.topics.is_some() || fetched.len() == known,
            "{} of {known} offsets are fetched",
            fetched.len()
        );
        Ok(())
    }

    pub(super) fn on_offsets_deleted(
        &self,
        step: Step<'_>,
        request: &OffsetDeleteRequest,
        response: &OffsetDeleteResponse,
    ) -> Result<(), Violation> {
        let group = &request.group_id;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            ErrorCode::GroupIdNotFound => {
                demand!(!self.facts.groups.contains_key(group), "{group} exists");
                return Ok(());
            }
            // The last may have left while the group waits for the first: it is not empty until the wait is over.
            ErrorCode::NonEmptyGroup => return Ok(()),
            other => return Err(Violation(format!("OffsetDelete is answered with {other}"))),
        }
        for topic in &response.topics {
            for partition in &topic.partitions {
                match ErrorCode::from_code(partition.error_code) {
                    ErrorCode::None => {
                        let left = self.facts.offset(group, &topic.name, partition.partition_index);
                        demand!(left.is_none(), "{group} still has {left:?} for {}", topic.name);
                        let reader = self.reader(step.now_ms, group, &topic.name);
                        demand!(reader.is_none(), "{reader:?} reads {}, and its offsets are deleted", topic.name);
                    }
                    ErrorCode::GroupSubscribedToTopic => demand!(self.has_somebody(group), "{group} is empty"),
                    other => return Err(Violation(format!("OffsetDelete is answered with {other}"))),
                }
            }
        }
        Ok(())
    }

    /// A member that is subscribed to the topic, for sure.
    fn reader(&self, now_ms: i64, group: &str, topic: &str) -> Option<&str> {
        let live = self.groups.get(group)?;
        let protocol = live.protocol.as_deref()?;
        let mut members = live.members.iter();
        let found = members.find(|(id, member)| {
            let topics = member.subscription(protocol).and_then(assignment::topics_of).unwrap_or_default();
            member.protocol_type == "consumer" && topics.iter().any(|wanted| wanted == topic) && !self.may_be_gone(now_ms, group, id)
        });
        found.map(|(id, _)| id.as_str())
    }
}

fn partitions(
    request: &OffsetCommitRequest,
) -> impl Iterator<Item = (&str, &dohle_protocol::messages::offset_commit::OffsetCommitRequestPartition)> {
    let topics = request.topics.iter();
    topics.flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.as_str(), partition)))
}
