//! Later rebalances: what starts one, whom it waits for, who is out at its end.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::JoinGroupRequest;

use crate::world::{DELAY_MS, REBALANCE_MS, SESSION_MS, World, assign, join, protocol, sync};

#[test]
fn trap_44_heartbeats_call_members_to_a_rebalance() {
    let mut world = World::new();
    let ids = world.stable(2);
    let (newcomer, token) = world.enter();
    assert_eq!(world.state(), "PreparingRebalance");
    for id in &ids {
        assert_eq!(world.heartbeat(id, 1), ErrorCode::RebalanceInProgress.code());
    }
    let first = world.ask_join(9, join(&ids[0]));
    assert!(world.is_parked(first) && world.is_parked(token));
    let second = world.ask_join(9, join(&ids[1]));
    for token in [token, first, second] {
        assert_eq!(
            world.joined(token).generation_id,
            2,
            "the last one to come completes it, without a delay"
        );
    }
    assert_eq!(world.state(), "CompletingRebalance");
    assert_eq!(world.heartbeat(&newcomer, 2), 0);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::IllegalGeneration.code());
}

#[test]
fn a_member_that_does_not_come_back_is_out_after_the_rebalance_timeout() {
    let mut world = World::new();
    let ids = world.stable(2);
    let (_, token) = world.enter();
    let first = world.ask_join(9, join(&ids[0]));
    for _ in 0..REBALANCE_MS / 2_000 - 1 {
        world.sleep(2_000);
        assert_eq!(
            world.heartbeat(&ids[1], 1),
            ErrorCode::RebalanceInProgress.code(),
            "it lives, and does not join"
        );
    }
    assert!(world.is_parked(token) && world.is_parked(first));
    world.sleep(2_000);
    assert_eq!(world.joined(token).generation_id, 2);
    assert_eq!(world.joined(first).generation_id, 2);
    assert_eq!(world.members(), 2);
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId.code());
}

#[test]
fn the_largest_rebalance_timeout_of_the_members_counts() {
    let mut world = World::new();
    let patient = JoinGroupRequest {
        rebalance_timeout_ms: 2 * REBALANCE_MS,
        ..join("")
    };
    let first = world.ask_join(3, patient.clone());
    let second = world.ask_join(3, join(""));
    world.gather();
    let (first, second) = (world.joined(first).member_id, world.joined(second).member_id);
    world.sync_all(&[first.clone(), second.clone()]);
    let changed = JoinGroupRequest {
        protocols: vec![protocol("range", &["t", "u"])],
        ..join(&second)
    };
    let token = world.ask_join(9, changed);
    for _ in 0..2 * REBALANCE_MS / 2_000 - 1 {
        world.sleep(2_000);
        world.heartbeat(&first, 1);
    }
    assert!(world.is_parked(token));
    world.sleep(2_000);
    assert_eq!(world.joined(token).generation_id, 2);
}

#[test]
fn in_version_0_the_session_timeout_is_the_rebalance_timeout() {
    let mut world = World::new();
    let token = world.ask_join(0, join(""));
    world.sleep(DELAY_MS);
    let id = world.joined(token).member_id;
    let token = world.ask(0, dohle_coordinator::GroupRequest::Sync(assign(&id, 1, std::slice::from_ref(&id))));
    assert_eq!(world.synced(token).error_code, 0);
    assert_eq!(world.recorded().members[0].rebalance_timeout, SESSION_MS);
}

#[test]
fn the_leader_that_joins_again_starts_a_rebalance_and_so_does_a_follower_that_has_changed() {
    let mut world = World::new();
    let ids = world.stable(2);
    let leader = world.recorded().leader.clone().unwrap();
    let follower = ids.iter().find(|id| **id != leader).unwrap().clone();
    let token = world.ask_join(9, join(&leader));
    assert_eq!(world.state(), "PreparingRebalance");
    let second = world.ask_join(9, join(&follower));
    assert_eq!(world.joined(token).generation_id, 2);
    assert_eq!(world.joined(second).generation_id, 2);
    world.sync_all(&ids);

    let changed = JoinGroupRequest {
        protocols: vec![protocol("range", &["u"])],
        ..join(&follower)
    };
    let token = world.ask_join(9, changed);
    assert_eq!(world.state(), "PreparingRebalance");
    world.ask_join(9, join(&leader));
    assert_eq!(world.joined(token).generation_id, 3);
}

#[test]
fn a_change_while_members_sync_sends_them_back_to_join() {
    let mut world = World::new();
    let (first, a) = world.enter();
    let (second, b) = world.enter();
    world.gather();
    let leader = world.joined(a).leader;
    world.joined(b);
    let follower = if leader == first { second } else { first };
    let waiting = world.ask_sync(sync(&follower, 1));
    assert!(world.is_parked(waiting));
    world.enter();
    let answer = world.synced(waiting);
    assert_eq!(answer.error_code, ErrorCode::RebalanceInProgress.code());
    assert_eq!((answer.assignment.len(), answer.protocol_name), (0, None));
    assert_eq!(world.state(), "PreparingRebalance");
    let late = world.ask_sync(assign(&leader, 1, std::slice::from_ref(&follower)));
    assert_eq!(
        world.synced(late).error_code,
        ErrorCode::RebalanceInProgress.code(),
        "the leader is too late"
    );
    assert_eq!(world.log.len(), 1, "generation 1 has never been a fact");
}

#[test]
fn a_dead_leader_is_succeeded_by_somebody_who_has_joined() {
    let mut world = World::new();
    let ids = world.stable(3);
    let leader = world.recorded().leader.clone().unwrap();
    let others: Vec<String> = ids.iter().filter(|id| **id != leader).cloned().collect();
    for _ in 0..3 {
        world.sleep(4_000);
        others.iter().for_each(|id| {
            world.heartbeat(id, 1);
        });
    }
    assert_eq!(world.state(), "PreparingRebalance");
    let tokens: Vec<_> = others.iter().map(|id| world.ask_join(9, join(id))).collect();
    for token in tokens {
        let joined = world.joined(token);
        assert_eq!(joined.generation_id, 2);
        assert!(others.contains(&joined.leader));
    }
}

#[test]
fn nobody_left_makes_the_group_empty_with_a_generation_of_its_own() {
    let mut world = World::new();
    let ids = world.stable(1);
    world.leave(&[(&ids[0], None)]);
    assert_eq!(world.state(), "Empty");
    let value = world.recorded();
    assert_eq!((value.generation, value.members.len(), value.leader.as_deref()), (2, 0, None));
    assert_eq!(value.protocol_type, "consumer");
    assert_eq!(value.current_state_timestamp, world.now_ms);
    let again = world.stable(1);
    assert_eq!(world.generation(), 3);
    assert_eq!(world.heartbeat(&again[0], 3), 0);
}
