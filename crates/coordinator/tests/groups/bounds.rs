//! Limits: what happens at each of them, and that nothing grows beyond.

use dohle_coordinator::{GroupConfig, limits};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};

use crate::world::{World, commit, join};

#[test]
fn a_full_group_takes_nobody_else() {
    let mut world = World::with(GroupConfig {
        group_size_max: 2,
        ..GroupConfig::default()
    });
    let first = world.ask_join(3, join(""));
    let second = world.ask_join(3, join(""));
    let third = world.join_now(3, join(""));
    assert_eq!(third.error_code, ErrorCode::GroupMaxSizeReached.code());
    assert_eq!(third.member_id, "");
    world.gather();
    let ids = [world.joined(first).member_id, world.joined(second).member_id];
    world.sync_all(&ids);
    assert_eq!(world.join_now(9, join("")).error_code, ErrorCode::GroupMaxSizeReached.code());
    assert_eq!(world.state(), "Stable");
}

#[test]
fn an_id_that_was_handed_out_is_refused_when_the_group_has_filled_up() {
    let mut world = World::with(GroupConfig {
        group_size_max: 1,
        ..GroupConfig::default()
    });
    let pending = world.join_now(9, join("")).member_id;
    let (_, token) = world.enter();
    let refused = world.join_now(9, join(&pending));
    assert_eq!(refused.error_code, ErrorCode::GroupMaxSizeReached.code());
    world.gather();
    assert_eq!(world.joined(token).generation_id, 1);
}

#[test]
fn a_limit_that_was_lowered_sends_the_last_to_come_back_away() {
    let mut world = World::new();
    let ids = world.stable(3);
    world.config.group_size_max = 2;
    world.restart();
    assert_eq!(world.state(), "PreparingRebalance");
    let first = world.ask_join(9, join(&ids[0]));
    let second = world.ask_join(9, join(&ids[1]));
    assert!(world.is_parked(first) && world.is_parked(second));
    let third = world.join_now(9, join(&ids[2]));
    assert_eq!(third.error_code, ErrorCode::GroupMaxSizeReached.code());
    assert_eq!(world.joined(first).generation_id, 2, "nobody else is expected");
    assert_eq!(world.joined(second).generation_id, 2);
}

#[test]
fn ids_are_not_handed_out_without_end() {
    let mut world = World::new();
    for _ in 0..limits::MEMBERS_MAX {
        assert_eq!(world.join_now(9, join("")).error_code, ErrorCode::MemberIdRequired.code());
    }
    assert_eq!(world.join_now(9, join("")).error_code, ErrorCode::GroupMaxSizeReached.code());
    world.sleep(10_000);
    assert_eq!(
        world.join_now(9, join("")).error_code,
        ErrorCode::MemberIdRequired.code(),
        "they expire"
    );
}

#[test]
fn ten_thousand_group_ids_are_too_many_where_a_thousand_are_allowed() {
    let mut world = World::with(GroupConfig {
        groups_max: 1_000,
        ..GroupConfig::default()
    });
    let mut errors = std::collections::BTreeMap::new();
    for index in 0..5_000 {
        let request = JoinGroupRequest {
            group_id: format!("join-{index}"),
            ..join("")
        };
        *errors.entry(world.join_now(9, request).error_code).or_insert(0) += 1;
        let mut request = commit("", -1, 1);
        request.group_id = format!("commit-{index}");
        *errors.entry(world.commit_with(9, request)).or_insert(0) += 1;
    }
    assert_eq!(errors[&ErrorCode::PolicyViolation.code()], 9_000);
    assert_eq!(world.shard.groups().count(), 1_000);
    assert_eq!(world.log.len(), 1_000);
}

#[test]
fn offsets_are_bounded_and_those_that_exist_can_still_be_changed() {
    let mut world = World::with(GroupConfig {
        offsets_max: 2,
        ..GroupConfig::default()
    });
    assert_eq!(world.commit_to("a", "", -1, 1), 0);
    assert_eq!(world.commit_to("b", "", -1, 1), 0);
    assert_eq!(world.commit_to("c", "", -1, 1), ErrorCode::InvalidCommitOffsetSize.code());
    assert_eq!(world.commit_to("a", "", -1, 2), 0);
    assert_eq!(world.fetch("a").committed_offset, 2);
    world.restart();
    assert_eq!(world.commit_to("c", "", -1, 1), ErrorCode::InvalidCommitOffsetSize.code());
    let decision = world.shard.on_partitions_deleted(&["b"]);
    world.carry_out(decision);
    assert_eq!(world.commit_to("c", "", -1, 1), 0);
}

#[test]
fn subscriptions_that_no_record_can_hold_are_refused() {
    let mut world = World::with(GroupConfig {
        record_bytes_max: 1_000,
        ..GroupConfig::default()
    });
    let offer = |name_bytes: usize, count: usize| JoinGroupRequest {
        protocols: (0..count)
            .map(|_| JoinGroupRequestProtocol {
                name: "n".repeat(name_bytes),
                ..Default::default()
            })
            .collect(),
        ..join("")
    };
    assert_eq!(world.join_now(9, offer(9_000, 1)).error_code, ErrorCode::MessageTooLarge.code());
    assert_eq!(world.join_now(9, offer(0, 1_000)).error_code, ErrorCode::MessageTooLarge.code());
    assert!(world.log.is_empty());
    assert_eq!(world.join_now(9, offer(100, 1)).error_code, ErrorCode::MemberIdRequired.code());
}

#[test]
fn member_ids_stay_short_and_whole_characters() {
    let mut world = World::new();
    let request = JoinGroupRequest {
        group_instance_id: Some("ö".repeat(16_000)),
        ..join("")
    };
    let token = world.ask_join(9, request);
    world.gather();
    let joined = world.joined(token);
    assert_eq!(joined.error_code, 0);
    assert_eq!(joined.member_id.len(), 254 + 37);
}
