//! SyncGroup.

use bytes::Bytes;
use dohle_coordinator::{GroupConfig, GroupRequest};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::JoinGroupRequest;
use dohle_protocol::messages::sync_group::SyncGroupRequest;

use crate::world::{DELAY_MS, REBALANCE_MS, SESSION_MS, World, assign, join, sync};

/// Two members between JoinGroup and SyncGroup: the leader, and the follower.
fn completing(world: &mut World) -> (String, String) {
    let (first, a) = world.enter();
    let (second, b) = world.enter();
    world.gather();
    let leader = world.joined(a).leader;
    world.joined(b);
    if leader == first { (first, second) } else { (second, first) }
}

#[test]
fn followers_wait_for_the_leader_and_the_generation_becomes_a_fact() {
    let mut world = World::new();
    let (leader, follower) = completing(&mut world);
    let waiting = world.ask_sync(sync(&follower, 1));
    assert!(world.is_parked(waiting));
    assert_eq!(world.log.len(), 1);
    let token = world.ask_sync(assign(&leader, 1, &[leader.clone(), follower.clone()]));
    let (own, other) = (world.synced(token), world.synced(waiting));
    assert_eq!((own.error_code, &own.assignment[..]), (0, leader.as_bytes()));
    assert_eq!((other.error_code, &other.assignment[..]), (0, follower.as_bytes()));
    assert_eq!(other.protocol_name.as_deref(), Some("range"));
    assert_eq!(other.protocol_type.as_deref(), Some("consumer"));
    let value = world.recorded();
    assert_eq!((value.generation, value.members.len()), (1, 2));
    assert_eq!(value.leader.as_deref(), Some(leader.as_str()));
    assert!(value.members.iter().all(|member| member.assignment == member.member_id.as_bytes()));
    let repeated = world.ask_sync(sync(&follower, 1));
    assert_eq!(
        &world.synced(repeated).assignment[..],
        follower.as_bytes(),
        "an answer may have been lost"
    );
    assert_eq!(world.shard.counters().rebalances, 1);
}

#[test]
fn a_follower_cannot_assign() {
    let mut world = World::new();
    let (_, follower) = completing(&mut world);
    let token = world.ask_sync(assign(&follower, 1, std::slice::from_ref(&follower)));
    assert!(world.is_parked(token));
    assert_eq!(world.state(), "CompletingRebalance");
}

#[test]
fn trap_43_the_protocol_of_version_5_has_to_be_that_of_the_group() {
    let mut world = World::new();
    let (leader, _) = completing(&mut world);
    let wrong_name = SyncGroupRequest {
        protocol_name: Some("sticky".to_owned()),
        ..sync(&leader, 1)
    };
    let wrong_type = SyncGroupRequest {
        protocol_type: Some("connect".to_owned()),
        ..sync(&leader, 1)
    };
    let missing = SyncGroupRequest {
        protocol_name: None,
        ..sync(&leader, 1)
    };
    for request in [wrong_name, wrong_type, missing.clone()] {
        let token = world.ask_sync(request);
        assert_eq!(world.synced(token).error_code, ErrorCode::InconsistentGroupProtocol.code());
    }
    let token = world.ask(4, GroupRequest::Sync(missing));
    assert_eq!(world.synced(token).error_code, 0, "before version 5 nobody says");
}

#[test]
fn trap_43_members_that_the_leader_left_out_get_an_empty_assignment_and_strangers_none() {
    let mut world = World::new();
    let (leader, follower) = completing(&mut world);
    let waiting = world.ask_sync(sync(&follower, 1));
    world.ask_sync(assign(&leader, 1, &[leader.clone(), "stranger".to_owned()]));
    let answer = world.synced(waiting);
    assert_eq!((answer.error_code, answer.assignment), (0, Bytes::new()));
    assert_eq!(world.recorded().members.len(), 2);
}

#[test]
fn trap_44_w24_wrong_generations_and_unknown_members_are_refused() {
    let mut world = World::new();
    let missing = world.ask_sync(sync("x", 1));
    assert_eq!(world.synced(missing).error_code, ErrorCode::UnknownMemberId.code());
    let (leader, _) = completing(&mut world);
    let nameless = SyncGroupRequest {
        group_id: String::new(),
        ..sync(&leader, 1)
    };
    for (request, error) in [
        (nameless, ErrorCode::InvalidGroupId),
        (sync("x", 1), ErrorCode::UnknownMemberId),
        (sync(&leader, 0), ErrorCode::IllegalGeneration),
        (sync(&leader, 2), ErrorCode::IllegalGeneration),
        (sync(&leader, -1), ErrorCode::IllegalGeneration),
    ] {
        let token = world.ask_sync(request);
        assert_eq!(world.synced(token).error_code, error.code());
    }
}

#[test]
fn members_that_never_sync_are_removed_after_the_rebalance_timeout() {
    let mut world = World::new();
    let (leader, follower) = completing(&mut world);
    let token = world.ask_sync(assign(&leader, 1, &[leader.clone(), follower.clone()]));
    assert_eq!(world.synced(token).error_code, 0);
    for _ in 0..REBALANCE_MS / 2_000 - 1 {
        world.sleep(2_000);
        assert_eq!(world.heartbeat(&leader, 1), 0);
        assert_eq!(world.heartbeat(&follower, 1), 0, "it lives, and never asks for its assignment");
    }
    world.sleep(2_000);
    assert_eq!(world.heartbeat(&follower, 1), ErrorCode::UnknownMemberId.code());
    assert_eq!(world.heartbeat(&leader, 1), ErrorCode::RebalanceInProgress.code());
}

#[test]
fn a_leader_that_never_syncs_is_succeeded() {
    let mut world = World::new();
    let (leader, follower) = completing(&mut world);
    let waiting = world.ask_sync(sync(&follower, 1));
    for _ in 0..REBALANCE_MS / 2_000 {
        world.sleep(2_000);
        world.heartbeat(&leader, 1);
    }
    assert_eq!(world.synced(waiting).error_code, ErrorCode::RebalanceInProgress.code());
    let token = world.ask_join(9, join(&follower));
    let joined = world.joined(token);
    assert_eq!((joined.generation_id, joined.leader), (2, follower));
}

#[test]
fn who_waits_for_the_leader_does_not_expire() {
    let mut world = World::new();
    let (leader, follower) = completing(&mut world);
    let waiting = world.ask_sync(sync(&follower, 1));
    for _ in 0..5 {
        world.sleep(i64::from(SESSION_MS) - 1_000);
        world.heartbeat(&leader, 1);
    }
    assert!(world.is_parked(waiting));
    world.ask_sync(assign(&leader, 1, std::slice::from_ref(&follower)));
    assert_eq!(world.synced(waiting).error_code, 0);
    world.sleep(i64::from(SESSION_MS) - 1);
    assert_eq!(world.members(), 2, "its session starts with the answer");
}

#[test]
fn a_parked_sync_that_is_repeated_is_answered_too() {
    let mut world = World::new();
    let (leader, follower) = completing(&mut world);
    let first = world.ask_sync(sync(&follower, 1));
    let second = world.ask_sync(sync(&follower, 1));
    assert_eq!(world.synced(first).error_code, ErrorCode::RebalanceInProgress.code());
    world.ask_sync(assign(&leader, 1, std::slice::from_ref(&follower)));
    assert_eq!(&world.synced(second).assignment[..], follower.as_bytes());
}

#[test]
fn an_assignment_too_large_for_a_record_fails_for_all_and_the_group_rebalances() {
    let mut world = World::with(GroupConfig {
        record_bytes_max: 2_000,
        ..GroupConfig::default()
    });
    let (leader, follower) = completing(&mut world);
    let waiting = world.ask_sync(sync(&follower, 1));
    let mut request = assign(&leader, 1, &[leader.clone(), follower]);
    request.assignments[0].assignment = vec![0; 2_000].into();
    let token = world.ask_sync(request);
    for token in [token, waiting] {
        assert_eq!(world.synced(token).error_code, ErrorCode::UnknownServerError.code());
    }
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.log.len(), 1);
}

#[test]
fn garbage_assignments_are_handed_on_as_they_are() {
    let mut world = World::new();
    let token = world.ask_join(3, JoinGroupRequest { ..join("") });
    world.sleep(DELAY_MS);
    let id = world.joined(token).member_id;
    let mut request = assign(&id, 1, std::slice::from_ref(&id));
    request.assignments[0].assignment = Bytes::from_static(&[0xff; 77]);
    let token = world.ask_sync(request);
    assert_eq!(world.synced(token).assignment, Bytes::from_static(&[0xff; 77]));
    world.restart();
    assert_eq!(world.describe().members[0].member_assignment, Bytes::from_static(&[0xff; 77]));
}
