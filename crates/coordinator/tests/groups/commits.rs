//! OffsetCommit and OffsetFetch.

use dohle_coordinator::{GroupConfig, GroupRequest, GroupResponse};
use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::GroupRecord;
use dohle_protocol::messages::offset_fetch::OffsetFetchRequestGroup;

use crate::world::{GROUP, World, commit, join};

#[test]
fn trap_45_what_is_committed_is_fetched_with_its_epoch_and_metadata() {
    let mut world = World::new();
    let ids = world.stable(1);
    let mut request = commit(&ids[0], 1, 42);
    request.topics[0].partitions[0].committed_leader_epoch = 5;
    request.topics[0].partitions[0].committed_metadata = Some("dähle".to_owned());
    assert_eq!(world.commit_with(9, request), 0);
    for _ in 0..2 {
        let fetched = world.fetch("t");
        assert_eq!(
            (fetched.committed_offset, fetched.committed_leader_epoch, fetched.error_code),
            (42, 5, 0)
        );
        assert_eq!(fetched.metadata.as_deref(), Some("dähle"));
        world.restart();
    }
}

#[test]
fn trap_45_nothing_committed_is_no_error_and_no_group_neither() {
    let mut world = World::new();
    for _ in 0..2 {
        let fetched = world.fetch("t");
        assert_eq!(
            (fetched.committed_offset, fetched.committed_leader_epoch, fetched.error_code),
            (-1, -1, 0)
        );
        assert_eq!(fetched.metadata.as_deref(), Some(""));
        world.stable(1);
    }
}

#[test]
fn trap_45_no_topics_means_all_that_the_group_has() {
    let mut world = World::new();
    let all = |world: &mut World, group: &str| {
        let request = OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            member_id: Some("whoever".to_owned()),
            member_epoch: 99,
            ..Default::default()
        };
        let token = world.ask(9, GroupRequest::FetchOffsets(request));
        match world.answer(token) {
            Some(GroupResponse::FetchOffsets(response)) => response,
            other => panic!("{other:?}"),
        }
    };
    for topic in ["b", "a"] {
        assert_eq!(world.commit_to(topic, "", -1, 3), 0);
    }
    let fetched = all(&mut world, GROUP);
    let names: Vec<&str> = fetched.topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!((fetched.error_code, names), (0, vec!["a", "b"]));
    let missing = all(&mut world, "missing");
    assert_eq!(
        (missing.error_code, missing.topics.len(), missing.group_id.as_str()),
        (0, 0, "missing")
    );
}

#[test]
fn a_commit_without_a_group_makes_a_simple_one() {
    let mut world = World::new();
    assert_eq!(world.commit("", -1), 0);
    let described = world.describe();
    assert_eq!((described.group_state.as_str(), described.protocol_type.as_str()), ("Empty", ""));
    assert!(matches!(world.log[..], [GroupRecord::OffsetCommit { .. }]));
    world.restart();
    assert_eq!(world.fetch("t").committed_offset, 7);
    assert_eq!(world.commit("whoever", -1), 0, "an empty group does not ask who it is");
    world.stable(1);
    assert_eq!(world.fetch("t").committed_offset, 7, "members may come later");
    assert_eq!(world.commit("", -1), ErrorCode::UnknownMemberId.code());
}

#[test]
fn trap_44_w24_commits_of_strangers_and_of_other_generations_are_refused() {
    let mut world = World::new();
    assert_eq!(world.commit("x", 3), ErrorCode::GroupIdNotFound.code());
    assert_eq!(
        world.commit_with(8, commit("x", 3, 1)),
        ErrorCode::IllegalGeneration.code(),
        "before version 9"
    );
    let ids = world.stable(1);
    assert_eq!(world.commit("x", 1), ErrorCode::UnknownMemberId.code());
    assert_eq!(world.commit("", 1), ErrorCode::UnknownMemberId.code());
    assert_eq!(world.commit("", -1), ErrorCode::UnknownMemberId.code());
    assert_eq!(world.commit("x", -1), ErrorCode::UnknownMemberId.code());
    assert_eq!(world.commit(&ids[0], 0), ErrorCode::IllegalGeneration.code());
    assert_eq!(world.commit(&ids[0], 2), ErrorCode::IllegalGeneration.code());
    assert_eq!(world.commit(&ids[0], -1), ErrorCode::IllegalGeneration.code());
    assert_eq!(world.fetch("t").committed_offset, -1);
    assert_eq!(world.commit(&ids[0], 1), 0);
}

#[test]
fn trap_44_the_old_generation_may_commit_until_the_new_one_has_begun() {
    let mut world = World::new();
    let ids = world.stable(1);
    let (_, token) = world.enter();
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.commit(&ids[0], 1), 0);
    let again = world.ask_join(9, join(&ids[0]));
    assert_eq!(world.joined(token).generation_id, 2);
    world.joined(again);
    assert_eq!(world.commit(&ids[0], 1), ErrorCode::IllegalGeneration.code());
    assert_eq!(world.commit(&ids[0], 2), ErrorCode::RebalanceInProgress.code());
}

#[test]
fn w24_metadata_at_the_limit_is_stored_and_above_it_refused_for_that_partition_alone() {
    let mut world = World::new();
    let mut request = commit("", -1, 1);
    let mut second = request.topics[0].partitions[0].clone();
    second.partition_index = 1;
    second.committed_metadata = Some("x".repeat(5_000));
    request.topics[0].partitions[0].committed_metadata = Some("ö".repeat(4_096));
    request.topics[0].partitions.push(second);
    let token = world.ask(9, GroupRequest::CommitOffsets(request));
    let Some(GroupResponse::CommitOffsets(response)) = world.answer(token) else {
        panic!()
    };
    let errors: Vec<i16> = response.topics[0].partitions.iter().map(|partition| partition.error_code).collect();
    assert_eq!(errors, [0, ErrorCode::OffsetMetadataTooLarge.code()]);
    assert_eq!(world.fetch("t").metadata, Some("ö".repeat(4_096)));
    assert_eq!(world.log.len(), 1);
}

#[test]
fn the_old_way_to_commit_keeps_its_own_retention() {
    let mut world = World::with(GroupConfig {
        offsets_retention_check_interval_ms: 1_000,
        ..GroupConfig::default()
    });
    let mut request = commit("", -1, 1);
    request.retention_time_ms = 5_000;
    request.topics[0].partitions[0].committed_leader_epoch = 3;
    assert_eq!(world.commit_with(4, request), 0);
    assert_eq!(world.fetch("t").committed_leader_epoch, -1, "the record has no place for it");
    world.restart();
    world.sleep(4_999);
    assert_eq!(world.fetch("t").committed_offset, 1);
    world.sleep(1_000);
    assert_eq!(world.fetch("t").committed_offset, -1);
}

#[test]
fn offsets_of_deleted_topics_are_forgotten() {
    let mut world = World::new();
    for topic in ["a", "b"] {
        world.commit_to(topic, "", -1, 3);
    }
    let decision = world.shard.on_partitions_deleted(&["a", "missing"]);
    assert_eq!(decision.records.len(), 1);
    world.carry_out(decision);
    assert_eq!(world.fetch("a").committed_offset, -1);
    assert_eq!(world.fetch("b").committed_offset, 3);
    let left: Vec<&str> = world.shard.offsets().map(|offset| offset.topic).collect();
    assert_eq!(left, ["b"]);
}

#[test]
fn a_commit_of_many_partitions_is_one_batch_or_nothing() {
    let mut world = World::with(GroupConfig {
        record_bytes_max: 10_000,
        ..GroupConfig::default()
    });
    let mut request = commit("", -1, 1);
    for index in 1..1_000 {
        let mut partition = request.topics[0].partitions[0].clone();
        partition.partition_index = index;
        request.topics[0].partitions.push(partition);
    }
    assert_eq!(world.commit_with(9, request), ErrorCode::InvalidCommitOffsetSize.code());
    assert!(world.log.is_empty());
    assert_eq!(world.shard.groups().count(), 0);
}
