//! JoinGroup: ids, protocols, the first rebalance of a group.

use dohle_coordinator::GroupConfig;
use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::GroupRecord;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};

use crate::world::{DELAY_MS, SESSION_MS, World, join, join_as, protocol, sync};

#[test]
fn trap_42_a_dynamic_member_is_given_an_id_and_has_to_come_back_with_it() {
    let mut world = World::new();
    let required = world.join_now(4, join(""));
    assert_eq!(required.error_code, ErrorCode::MemberIdRequired.code());
    assert_eq!(required.generation_id, -1);
    assert_eq!(required.member_id, "client-00000000-0000-0000-0000-000000000001");

    let token = world.ask_join(4, join(&required.member_id));
    assert!(world.is_parked(token));
    world.sleep(DELAY_MS);
    let joined = world.joined(token);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!(joined.member_id, required.member_id);
    assert_eq!(joined.leader, required.member_id);
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(joined.members.len(), 1);
}

#[test]
fn trap_42_before_version_4_and_for_static_members_no_id_is_asked_for() {
    let mut world = World::new();
    let old = world.ask_join(3, join(""));
    let fixed = world.ask_join(9, join_as("instance", ""));
    world.gather();
    assert_eq!(world.joined(old).error_code, 0);
    let fixed = world.joined(fixed);
    assert_eq!(fixed.error_code, 0);
    assert_eq!(fixed.member_id, "instance-00000000-0000-0000-0000-000000000002");
}

#[test]
fn trap_42_a_pending_member_is_waited_for_until_its_session_ends() {
    let mut world = World::new();
    let ids = world.stable(1);
    let required = world.join_now(9, join(""));
    let second = world.ask_join(3, join(""));
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress.code());
    let first = world.ask_join(9, join(&ids[0]));
    assert!(world.is_parked(first), "the member with the id {} is expected", required.member_id);
    world.sleep(i64::from(SESSION_MS));
    assert_eq!(world.joined(first).generation_id, 2);
    assert_eq!(world.joined(second).generation_id, 2);
    assert_eq!(
        world.join_now(9, join(&required.member_id)).error_code,
        ErrorCode::UnknownMemberId.code()
    );
}

#[test]
fn trap_42_only_the_leader_is_told_who_the_members_are() {
    let mut world = World::new();
    let tokens: Vec<_> = (0..3).map(|_| world.enter()).collect();
    world.gather();
    let mut leaders = 0;
    for (id, token) in tokens {
        let joined = world.joined(token);
        assert_eq!(joined.generation_id, 1);
        if joined.leader == id {
            leaders += 1;
            assert_eq!(joined.members.len(), 3);
            assert!(
                joined
                    .members
                    .iter()
                    .all(|member| member.metadata == join("").protocols[0].metadata)
            );
        } else {
            assert!(joined.members.is_empty());
        }
    }
    assert_eq!(leaders, 1);
}

#[test]
fn trap_42_the_first_rebalance_waits_and_longer_if_somebody_comes_and_at_most_the_rebalance_timeout() {
    let mut world = World::new();
    let (_, first) = world.enter();
    world.sleep(DELAY_MS - 1);
    assert!(world.is_parked(first));
    let (_, second) = world.enter();
    world.sleep(1);
    assert!(world.is_parked(first), "somebody has come: another delay");
    world.sleep(DELAY_MS);
    assert_eq!(world.joined(first).generation_id, 1);
    assert_eq!(world.joined(second).generation_id, 1);

    let mut crowded = World::new();
    let mut short = join("");
    short.rebalance_timeout_ms = 7_000;
    let first = crowded.ask_join(3, short.clone());
    for _ in 0..6 {
        crowded.sleep(999);
        crowded.ask_join(3, short.clone());
    }
    assert!(crowded.is_parked(first));
    crowded.sleep(7_000 - 6 * 999);
    assert_eq!(crowded.joined(first).generation_id, 1, "after 3 + 3 + 1 seconds");
    assert_eq!(crowded.members(), 7);
}

#[test]
fn a_delay_of_nothing_completes_at_once() {
    let mut world = World::with(GroupConfig {
        initial_rebalance_delay_ms: 0,
        ..GroupConfig::default()
    });
    let (_, token) = world.enter();
    world.sleep(1);
    assert_eq!(world.joined(token).generation_id, 1);
}

#[test]
fn w24_a_group_id_that_is_empty_and_session_timeouts_out_of_range_are_refused() {
    let mut world = World::new();
    let nameless = JoinGroupRequest {
        group_id: String::new(),
        ..join("")
    };
    let refused = world.join_now(9, nameless);
    assert_eq!(refused.error_code, ErrorCode::InvalidGroupId.code());
    assert_eq!(refused.protocol_name, None);
    for session_timeout_ms in [i32::MIN, -1, 0, 1, 5_999, 1_800_001, i32::MAX] {
        let request = JoinGroupRequest {
            session_timeout_ms,
            ..join("")
        };
        assert_eq!(world.join_now(9, request).error_code, ErrorCode::InvalidSessionTimeout.code());
    }
    assert!(world.log.is_empty());
    assert_eq!(world.shard.groups().count(), 0);
}

#[test]
fn w24_an_unknown_member_id_is_refused_whether_there_is_a_group_or_not() {
    let mut world = World::new();
    let without_group = world.join_now(9, join("stranger"));
    assert_eq!(without_group.error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!(without_group.member_id, "stranger");
    assert_eq!(without_group.protocol_name, None);
    assert!(world.log.is_empty(), "no group came into being");
    world.stable(1);
    let with_group = world.join_now(9, join("stranger"));
    assert_eq!(with_group.error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!(with_group.protocol_name, None);
    assert_eq!(
        world.join_now(6, join("stranger")).protocol_name.as_deref(),
        Some(""),
        "null is not possible before 7"
    );
}

#[test]
fn protocols_that_do_not_fit_the_group_are_refused() {
    let mut world = World::new();
    let nothing = JoinGroupRequest {
        protocols: Vec::new(),
        ..join("")
    };
    let untyped = JoinGroupRequest {
        protocol_type: String::new(),
        ..join("")
    };
    for request in [nothing, untyped] {
        assert_eq!(world.join_now(9, request).error_code, ErrorCode::InconsistentGroupProtocol.code());
    }
    assert!(world.log.is_empty(), "a refused join leaves no group behind");
    world.stable(1);
    let other_type = JoinGroupRequest {
        protocol_type: "connect".to_owned(),
        ..join("")
    };
    let other_name = JoinGroupRequest {
        protocols: vec![protocol("sticky", &["t"])],
        ..join("")
    };
    for request in [other_type, other_name] {
        let refused = world.join_now(9, request);
        assert_eq!(refused.error_code, ErrorCode::InconsistentGroupProtocol.code());
        assert_eq!(refused.member_id, "");
    }
    assert_eq!(world.state(), "Stable");
}

#[test]
fn the_protocol_is_one_that_all_support_and_most_prefer() {
    let mut world = World::new();
    let offers: [&[&str]; 3] = [&["range", "sticky", "own"], &["sticky", "range"], &["sticky", "range", "sticky"]];
    let tokens: Vec<_> = offers
        .iter()
        .map(|names| {
            let request = JoinGroupRequest {
                protocols: names.iter().map(|name| protocol(name, &["t"])).collect(),
                ..join("")
            };
            world.ask_join(3, request)
        })
        .collect();
    world.gather();
    for token in tokens {
        assert_eq!(world.joined(token).protocol_name.as_deref(), Some("sticky"));
    }
}

#[test]
fn bytes_that_are_no_subscription_are_handed_on_as_they_are() {
    let mut world = World::new();
    for garbage in [&b""[..], &b"\x00"[..], &b"\x00\x01\x7f\xff\xff\xff"[..], &[0xff; 1000][..]] {
        let request = JoinGroupRequest {
            group_id: format!("g{}", garbage.len()),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".to_owned(),
                metadata: bytes::Bytes::copy_from_slice(garbage),
                ..Default::default()
            }],
            ..join("")
        };
        let token = world.ask_join(3, request);
        world.sleep(DELAY_MS);
        assert_eq!(world.joined(token).members[0].metadata, garbage);
    }
}

#[test]
fn the_first_member_of_a_new_group_leaves_a_record_of_it() {
    let mut world = World::new();
    world.join_now(9, join(""));
    let value = world.recorded();
    assert_eq!((value.generation, value.protocol_type.as_str(), value.members.len()), (0, "", 0));
    assert_eq!((value.leader.as_deref(), value.protocol.as_deref()), (None, None));
    assert_eq!(world.log.len(), 1);
    world.join_now(9, join(""));
    assert_eq!(world.log.len(), 1, "once");
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_member_that_repeats_join_group_after_its_answer_is_told_the_same_generation() {
    let mut world = World::new();
    let (leader, first) = world.enter();
    let (follower, second) = world.enter();
    world.gather();
    let (first, second) = (world.joined(first), world.joined(second));
    let (leader, follower) = if first.leader == leader {
        (leader, follower)
    } else {
        (follower, leader)
    };
    assert_eq!(second.generation_id, 1);
    let again = world.join_now(9, join(&leader));
    assert_eq!((again.generation_id, again.members.len()), (1, 2));
    let again = world.join_now(9, join(&follower));
    assert_eq!((again.generation_id, again.members.len()), (1, 0));
    world.sync_all(&[leader, follower.clone()]);
    let again = world.join_now(9, join(&follower));
    assert_eq!(
        (again.generation_id, again.members.len()),
        (1, 0),
        "a follower with nothing new does not disturb a stable group"
    );
    assert_eq!(world.state(), "Stable");
}

#[test]
fn a_parked_join_that_is_repeated_is_answered_too() {
    let mut world = World::new();
    let (id, first) = world.enter();
    let second = world.ask_join(9, join(&id));
    assert_eq!(world.joined(first).error_code, ErrorCode::RebalanceInProgress.code());
    world.sleep(DELAY_MS);
    assert_eq!(world.joined(second).generation_id, 1);
}

#[test]
fn c6_members_beyond_the_partitions_stay_without_error_and_without_assignment() {
    let mut world = World::new();
    let ids = world.stable(4);
    let (idle, token) = world.enter();
    for id in &ids {
        assert_eq!(world.heartbeat(id, 1), ErrorCode::RebalanceInProgress.code());
        world.ask_join(9, join(id));
    }
    assert_eq!(world.joined(token).generation_id, 2);
    let mut all = ids.clone();
    all.push(idle.clone());
    let leader = world.join_now(9, join(&idle)).leader;
    let assigned: Vec<String> = all.iter().filter(|id| **id != idle).cloned().collect();
    let waiting = (leader != idle).then(|| world.ask_sync(sync(&idle, 2)));
    let last = world.ask_sync(crate::world::assign(&leader, 2, &assigned));
    let answer = world.synced(waiting.unwrap_or(last));
    assert_eq!((answer.error_code, answer.assignment.len()), (0, 0));
    for _ in 0..10 {
        world.sleep(3_000);
        for id in &all {
            assert_eq!(world.heartbeat(id, 2), 0);
        }
    }
    assert_eq!(world.recorded().members.len(), 5);
    assert!(matches!(world.log.last(), Some(GroupRecord::GroupMetadata { .. })));
}
