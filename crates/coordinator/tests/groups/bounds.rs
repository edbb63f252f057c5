//! Limits: what happens at each of them, and that nothing grows beyond.

use dohle_coordinator::{GroupConfig, GroupRequest, GroupResponse, limits};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};

use crate::world::{World, assign, commit, join, join_as};

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

/// Asks to join another group.
fn join_other(world: &mut World, group: &str) -> i16 {
    let request = JoinGroupRequest {
        group_id: group.to_owned(),
        ..join("")
    };
    world.join_now(9, request).error_code
}

const FULL: i16 = 81;
const ID_REQUIRED: i16 = 79;

#[test]
fn the_members_of_all_groups_together_have_so_much_memory() {
    let mut world = World::with(GroupConfig {
        member_bytes_max: 4_000,
        ..GroupConfig::default()
    });
    let id = world.stable(1).remove(0);
    for group in ["a", "b"] {
        assert_eq!(join_other(&mut world, group), ID_REQUIRED);
    }
    assert_eq!(join_other(&mut world, "c"), FULL);
    // Who is there already stays, and may come back with what it had, but with no more.
    assert_eq!(world.heartbeat(&id, 1), 0);
    assert_eq!(world.commit(&id, 1), 0);
    let mut more = join(&id);
    more.protocols[0].metadata = vec![0; 3_000].into();
    assert_eq!(world.join_now(9, more).error_code, FULL);
    let again = world.ask_join(9, join(&id));
    assert_eq!(world.joined(again).generation_id, 2);
    // What goes makes room, however it goes.
    let token = world.ask(2, GroupRequest::DeleteGroup("a".to_owned()));
    assert!(matches!(world.answer(token), Some(GroupResponse::DeleteGroup(ErrorCode::None))));
    assert_eq!(join_other(&mut world, "c"), ID_REQUIRED);
    assert_eq!(join_other(&mut world, "d"), FULL);
    world.sync_all(std::slice::from_ref(&id));
    world.sleep(9_000);
    assert_eq!(world.heartbeat(&id, 2), 0);
    world.sleep(2_000);
    for group in ["d", "e"] {
        assert_eq!(
            join_other(&mut world, group),
            ID_REQUIRED,
            "ids that nobody joined with are forgotten"
        );
    }
    assert_eq!(join_other(&mut world, "f"), FULL);
    world.restart();
    assert_eq!(world.heartbeat(&id, 2), 0);
    for group in ["d", "e"] {
        assert_eq!(join_other(&mut world, group), ID_REQUIRED);
    }
    assert_eq!(join_other(&mut world, "f"), FULL, "members from the log count");
    assert_eq!(world.leave(&[(&id, None)]).members[0].error_code, 0);
    assert_eq!(join_other(&mut world, "f"), ID_REQUIRED);
}

#[test]
fn a_static_member_comes_back_to_a_full_shard() {
    let mut world = World::with(GroupConfig {
        member_bytes_max: 1_300,
        ..GroupConfig::default()
    });
    let token = world.ask_join(9, join_as("one", ""));
    assert_eq!(world.join_now(9, join_as("two", "")).error_code, FULL);
    world.gather();
    let id = world.joined(token).member_id;
    world.sync_all(&[id]);
    assert_eq!(world.join_now(9, join_as("one", "")).error_code, 0);
}

#[test]
fn assignments_that_the_shard_has_no_memory_for_are_refused() {
    let mut world = World::with(GroupConfig {
        member_bytes_max: 3_000,
        ..GroupConfig::default()
    });
    let token = world.ask_join(3, join(""));
    world.gather();
    let id = world.joined(token).member_id;
    let mut large = assign(&id, 1, std::slice::from_ref(&id));
    large.assignments[0].assignment = vec![0; 3_000].into();
    let token = world.ask_sync(large);
    assert_eq!(world.synced(token).error_code, ErrorCode::UnknownServerError.code());
    assert_eq!(world.state(), "PreparingRebalance");
    let token = world.ask_join(3, join(&id));
    assert_eq!(world.joined(token).generation_id, 2);
    world.sync_all(&[id]);
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
