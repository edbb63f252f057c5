//! Requests and responses in one line each, for people and for the hash of a run.

use std::fmt;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::coordinator_records::GroupRecord;

pub(super) struct Asked<'a>(pub(super) &'a GroupRequest);
pub(super) struct Answered<'a>(pub(super) &'a GroupResponse);
pub(super) struct Recorded<'a>(pub(super) &'a GroupRecord);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            GroupRequest::Join(join) => {
                write!(
                    f,
                    "Join {} member {:?} instance {:?}",
                    join.group_id, join.member_id, join.group_instance_id
                )
            }
            GroupRequest::Sync(sync) => write!(
                f,
                "Sync {} member {:?} instance {:?} generation {} hands out {}",
                sync.group_id,
                sync.member_id,
                sync.group_instance_id,
                sync.generation_id,
                sync.assignments.len()
            ),
            GroupRequest::Heartbeat(beat) => {
                write!(
                    f,
                    "Heartbeat {} member {:?} generation {}",
                    beat.group_id, beat.member_id, beat.generation_id
                )
            }
            GroupRequest::Leave(leave) => write!(f, "Leave {} member {:?}", leave.group_id, leave.member_id).and_then(|()| {
                leave
                    .members
                    .iter()
                    .try_for_each(|left| write!(f, " {:?} {:?}", left.member_id, left.group_instance_id))
            }),
            GroupRequest::CommitOffsets(commit) => {
                let generation = commit.generation_id_or_member_epoch;
                write!(
                    f,
                    "Commit {} member {:?} generation {generation}",
                    commit.group_id, commit.member_id
                )?;
                for (topic, partition) in commit
                    .topics
                    .iter()
                    .flat_map(|topic| topic.partitions.iter().map(move |p| (topic, p)))
                {
                    write!(f, " {}-{}@{}", topic.name, partition.partition_index, partition.committed_offset)?;
                }
                Ok(())
            }
            GroupRequest::FetchOffsets(fetch) => write!(f, "Fetch {}", fetch.group_id),
            GroupRequest::DeleteOffsets(delete) => write!(f, "DeleteOffsets {}", delete.group_id),
            GroupRequest::DeleteGroup(group) => write!(f, "DeleteGroup {group}"),
            GroupRequest::DescribeGroup(group) => write!(f, "Describe {group}"),
            GroupRequest::ListGroups { .. } => write!(f, "List"),
        }
    }
}

impl fmt::Display for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            GroupResponse::Join(join) => write!(
                f,
                "Join: {} generation {} member {:?} leader {:?} of {}",
                join.error_code,
                join.generation_id,
                join.member_id,
                join.leader,
                join.members.len()
            ),
            GroupResponse::Sync(sync) => write!(f, "Sync: {} {:?}", sync.error_code, sync.assignment),
            GroupResponse::Heartbeat(beat) => write!(f, "Heartbeat: {}", beat.error_code),
            GroupResponse::Leave(leave) => write!(f, "Leave: {}", leave.error_code)
                .and_then(|()| leave.members.iter().try_for_each(|member| write!(f, " {}", member.error_code))),
            GroupResponse::CommitOffsets(commit) => {
                write!(f, "Commit:")?;
                let mut partitions = commit.topics.iter().flat_map(|topic| &topic.partitions);
                partitions.try_for_each(|partition| write!(f, " {}", partition.error_code))
            }
            GroupResponse::FetchOffsets(fetch) => {
                write!(f, "Fetch: {}", fetch.error_code)?;
                let mut partitions = fetch.topics.iter().flat_map(|topic| &topic.partitions);
                partitions.try_for_each(|partition| write!(f, " {}", partition.committed_offset))
            }
            GroupResponse::DeleteOffsets(delete) => write!(f, "DeleteOffsets: {}", delete.error_code),
            GroupResponse::DeleteGroup(error) => write!(f, "DeleteGroup: {error}"),
            GroupResponse::DescribeGroup(described) => {
                write!(
                    f,
                    "Describe: {} {} of {}",
                    described.error_code,
                    described.group_state,
                    described.members.len()
                )
            }
            GroupResponse::ListGroups(listed) => write!(f, "List: {}", listed.len()),
        }
    }
}

impl fmt::Display for Recorded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            GroupRecord::GroupMetadata { group, value: Some(value) } => {
                write!(f, "group {group} generation {}:", value.generation)?;
                let mut members = value.members.iter();
                members.try_for_each(|member| write!(f, " {} {:?}", member.member_id, member.assignment))
            }
            GroupRecord::GroupMetadata { group, value: None } => write!(f, "group {group} tombstone"),
            GroupRecord::OffsetCommit {
                group,
                topic,
                partition,
                value,
            } => match value {
                Some(value) => write!(f, "offset {group} {topic}-{partition}@{}", value.offset),
                None => write!(f, "offset {group} {topic}-{partition} tombstone"),
            },
        }
    }
}
