//! Sessions: what keeps a member alive, and what its end does.

use dohle_coordinator::Effect;
use dohle_protocol::ErrorCode;

use crate::world::{DELAY_MS, SESSION_MS, World, join, sync};

const SESSION: i64 = SESSION_MS as i64;

#[test]
fn a_member_that_is_silent_for_its_session_is_removed_and_the_others_rebalance() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.sleep(SESSION - 1);
    assert_eq!(world.heartbeat(&ids[0], 1), 0);
    assert_eq!(world.members(), 2);
    world.sleep(1);
    assert_eq!(world.members(), 1);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress.code());
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId.code());
    assert_eq!(world.shard.counters().sessions_expired, 1);
}

#[test]
fn commits_keep_a_session_alive_and_refused_requests_do_not() {
    let mut world = World::new();
    let ids = world.stable(1);
    for _ in 0..5 {
        world.sleep(SESSION - 1);
        assert_eq!(world.commit(&ids[0], 1), 0);
    }
    assert_eq!(world.members(), 1);
    world.sleep(SESSION - 1);
    assert_eq!(world.commit(&ids[0], 9), ErrorCode::IllegalGeneration.code());
    assert_eq!(world.heartbeat(&ids[0], 0), ErrorCode::IllegalGeneration.code());
    world.sleep(1);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn who_waits_in_a_rebalance_does_not_expire_unless_it_is_new() {
    let mut world = World::new();
    let ids = world.stable(2);
    let (newcomer, token) = world.enter();
    let first = world.ask_join(9, join(&ids[0]));
    for _ in 0..5 {
        world.sleep(SESSION - 1);
        world.heartbeat(&ids[1], 1);
    }
    assert_eq!(world.members(), 3);
    assert!(world.is_parked(token) && world.is_parked(first));
    world.ask_join(9, join(&ids[1]));
    assert_eq!(world.joined(first).generation_id, 2);
    assert_eq!(world.joined(token).generation_id, 2);
    assert_eq!(world.heartbeat(&newcomer, 2), 0);
    world.sleep(SESSION);
    assert_eq!(world.members(), 0, "all are silent");
}

#[test]
fn a_new_member_that_has_waited_for_five_minutes_is_dropped() {
    let mut world = World::new();
    let mut patient = join("");
    patient.rebalance_timeout_ms = 600_000;
    let old = world.ask_join(3, patient.clone());
    world.sleep(DELAY_MS);
    let id = world.joined(old).member_id;
    world.sync_all(std::slice::from_ref(&id));
    let token = world.ask_join(3, patient);
    for _ in 0..(300_000 / 5_000) - 1 {
        world.sleep(5_000);
        world.heartbeat(&id, 1);
    }
    assert!(world.is_parked(token));
    world.sleep(5_000);
    let dropped = world.joined(token);
    assert_eq!(dropped.error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!(dropped.member_id, "");
    assert_eq!(world.members(), 1);
}

#[test]
fn members_found_in_the_log_are_given_a_session() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.sleep(SESSION - 1);
    world.restart();
    assert_eq!(world.state(), "Stable");
    world.sleep(SESSION - 1);
    assert_eq!(world.heartbeat(&ids[0], 1), 0);
    let token = world.ask_sync(sync(&ids[0], 1));
    assert_eq!(&world.synced(token).assignment[..], ids[0].as_bytes());
    world.sleep(1);
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId.code());
    assert_eq!(world.members(), 1);
}

#[test]
fn an_abandoned_shard_answers_everybody_who_waits() {
    let mut world = World::new();
    let ids = world.stable(1);
    let (_, joining) = world.enter();
    let again = world.ask_join(9, join(&ids[0]));
    let follower = world.joined(joining);
    world.joined(again);
    let waiting_id = if follower.leader == follower.member_id {
        &ids[0]
    } else {
        &follower.member_id
    };
    let syncing = world.ask_sync(sync(waiting_id, 2));
    let mut other = join("");
    other.group_id = "other".to_owned();
    let parked = world.ask_join(3, other);
    assert_eq!(world.shard.parked().count(), 2);
    let effects = world.shard.abandon();
    let tokens: Vec<_> = effects.iter().map(|Effect::Reply { token, .. }| *token).collect();
    assert_eq!(tokens, [syncing, parked]);
    world.carry_out(dohle_coordinator::Decision {
        effects,
        ..Default::default()
    });
    assert_eq!(world.synced(syncing).error_code, ErrorCode::NotCoordinator.code());
    assert_eq!(world.joined(parked).error_code, ErrorCode::NotCoordinator.code());
    assert_eq!(world.shard.next_timer_ms(), None);
}

#[test]
fn a_group_without_members_and_without_hope_of_any_holds_no_timer_but_the_sweep() {
    let mut world = World::new();
    let sweep_ms = world.shard.next_timer_ms();
    let ids = world.stable(3);
    let leaving: Vec<_> = ids.iter().map(|id| (id.as_str(), None)).collect();
    world.leave(&leaving);
    world.join_now(9, join(""));
    world.sleep(SESSION);
    assert_eq!(world.state(), "Empty");
    assert_eq!(world.shard.next_timer_ms(), sweep_ms);
}
