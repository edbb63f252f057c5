//! Requests of people and their tools.

use dohle_coordinator::GroupRequest;
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use dohle_protocol::messages::offset_fetch::OffsetFetchRequestGroup;

use super::plan::{GROUPS, TOPICS};
use crate::random::Random;

/// A version and a request.
pub(super) fn draw(random: &mut Random) -> (i16, GroupRequest) {
    let group = (*random.pick(&GROUPS)).to_owned();
    match random.below(10) {
        0..4 => (*random.pick(&[4, 6]), GroupRequest::DescribeGroup(group)),
        4 => (5, list(random)),
        5 => (2, GroupRequest::DeleteGroup(group)),
        6 => (0, delete_offsets(random, group)),
        7 => (8, reset_offsets(random, group)),
        _ => (9, fetch_all(group)),
    }
}

pub(super) fn fetch_all(group: String) -> GroupRequest {
    GroupRequest::FetchOffsets(OffsetFetchRequestGroup {
        group_id: group,
        topics: None,
        ..Default::default()
    })
}

fn list(random: &mut Random) -> GroupRequest {
    let is_filtered = random.chance(300);
    GroupRequest::ListGroups {
        states: if is_filtered { vec!["stable".to_owned()] } else { Vec::new() },
        types: Vec::new(),
    }
}

fn delete_offsets(random: &mut Random, group: String) -> GroupRequest {
    let index = |index| OffsetDeleteRequestPartition { partition_index: index };
    GroupRequest::DeleteOffsets(OffsetDeleteRequest {
        group_id: group,
        topics: vec![OffsetDeleteRequestTopic {
            name: (*random.pick(&TOPICS)).to_owned(),
            partitions: (0..random.between(1..=3) as i32).map(index).collect(),
        }],
    })
}

fn reset_offsets(random: &mut Random, group: String) -> GroupRequest {
    let partition = |index| OffsetCommitRequestPartition {
        partition_index: index,
        committed_offset: 0,
        committed_metadata: None,
        ..Default::default()
    };
    GroupRequest::CommitOffsets(OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: (*random.pick(&TOPICS)).to_owned(),
            partitions: (0..random.between(1..=2) as i32).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    })
}
