//! Static members (KIP-345).

use dohle_coordinator::GroupRequest;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::JoinGroupRequest;
use dohle_protocol::messages::sync_group::SyncGroupRequest;

use crate::world::{DELAY_MS, SESSION_MS, World, assign, commit, join, join_as, protocol, sync};

/// A stable group of the static members "a" and "b": their member ids.
fn stable(world: &mut World) -> (String, String) {
    let a = world.ask_join(9, join_as("a", ""));
    let b = world.ask_join(9, join_as("b", ""));
    world.gather();
    let (a, b) = (world.joined(a), world.joined(b));
    assert_eq!(a.leader, a.member_id);
    let token = world.ask_sync(assign(&a.member_id, 1, &[a.member_id.clone(), b.member_id.clone()]));
    assert_eq!(world.synced(token).error_code, 0);
    let token = world.ask_sync(sync(&b.member_id, 1));
    assert_eq!(world.synced(token).error_code, 0);
    (a.member_id, b.member_id)
}

#[test]
fn a_static_member_that_comes_back_takes_its_place_without_a_rebalance() {
    let mut world = World::new();
    let (a, b) = stable(&mut world);
    let records = world.log.len();
    let joined = world.join_now(9, join_as("b", ""));
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_ne!(joined.member_id, b);
    assert_eq!(
        (joined.leader.as_str(), joined.skip_assignment, joined.members.len()),
        (a.as_str(), false, 0)
    );
    assert_eq!(world.state(), "Stable");
    assert_eq!(world.log.len(), records + 1);
    let recorded = world.recorded();
    assert!(
        recorded
            .members
            .iter()
            .any(|member| member.member_id == joined.member_id && member.assignment == b.as_bytes())
    );
    let token = world.ask_sync(sync(&joined.member_id, 1));
    assert_eq!(&world.synced(token).assignment[..], b.as_bytes(), "it keeps what it had");
    world.restart();
    assert_eq!(world.heartbeat_as(&joined.member_id, Some("b"), 1), 0);
}

#[test]
fn trap_42_a_static_leader_that_comes_back_is_told_in_version_9_not_to_assign_and_before_that_not_that_it_leads() {
    let mut world = World::new();
    let (a, _) = stable(&mut world);
    let joined = world.join_now(9, join_as("a", ""));
    assert_eq!((joined.skip_assignment, joined.members.len()), (true, 2));
    assert_eq!(joined.leader, joined.member_id);
    let older = world.join_now(8, join_as("a", ""));
    assert_eq!((older.skip_assignment, older.members.len()), (false, 0));
    assert_eq!(older.leader, joined.member_id, "the id that it had before");
    assert_ne!(older.leader, a);
    let described = world.describe();
    assert_eq!((described.group_state.as_str(), described.members.len()), ("Stable", 2));
}

#[test]
fn trap_44_the_member_that_was_replaced_is_fenced_whatever_it_asks() {
    let mut world = World::new();
    let (_, b) = stable(&mut world);
    let replaced = world.join_now(9, join_as("b", "")).member_id;
    assert_eq!(world.heartbeat_as(&b, Some("b"), 1), ErrorCode::FencedInstanceId.code());
    assert_eq!(world.heartbeat_as(&b, None, 1), ErrorCode::UnknownMemberId.code());
    let refused = world.join_now(9, join_as("b", &b));
    assert_eq!(refused.error_code, ErrorCode::FencedInstanceId.code());
    assert_eq!((refused.protocol_name, refused.member_id), (None, b.clone()));
    let request = SyncGroupRequest {
        group_instance_id: Some("b".to_owned()),
        ..sync(&b, 1)
    };
    let token = world.ask_sync(request);
    assert_eq!(world.synced(token).error_code, ErrorCode::FencedInstanceId.code());
    let mut request = commit(&b, 1, 5);
    request.group_instance_id = Some("b".to_owned());
    assert_eq!(world.commit_with(9, request), ErrorCode::FencedInstanceId.code());
    let left = world.leave(&[(&b, Some("b"))]);
    assert_eq!(left.members[0].error_code, ErrorCode::FencedInstanceId.code());
    assert_eq!(world.heartbeat_as(&replaced, Some("b"), 1), 0);
    assert_eq!(world.heartbeat_as(&replaced, Some("c"), 1), ErrorCode::UnknownMemberId.code());
    assert_eq!(world.members(), 2);
}

#[test]
fn trap_44_parked_requests_of_the_member_that_was_replaced_are_fenced_at_once() {
    let mut world = World::new();
    let old = world.ask_join(9, join_as("a", ""));
    let new = world.ask_join(9, join_as("a", ""));
    let fenced = world.joined(old);
    assert_eq!(fenced.error_code, ErrorCode::FencedInstanceId.code());
    assert_eq!(fenced.protocol_name, None);
    let other = world.ask_join(9, join_as("b", ""));
    world.gather();
    let (a, b) = (world.joined(new), world.joined(other));
    let follower = if a.leader == a.member_id {
        (b.member_id, "b")
    } else {
        (a.member_id, "a")
    };
    let waiting = world.ask_sync(sync(&follower.0, 1));
    let again = world.ask_join(9, join_as(follower.1, ""));
    assert_eq!(world.synced(waiting).error_code, ErrorCode::FencedInstanceId.code());
    assert!(
        world.is_parked(again),
        "the leader may have been told the old id: everybody joins again"
    );
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.members(), 2);
}

#[test]
fn a_static_member_that_comes_back_with_other_protocols_starts_a_rebalance_if_the_choice_changes() {
    let mut world = World::new();
    let both = |request: JoinGroupRequest| JoinGroupRequest {
        protocols: vec![protocol("range", &["t"]), protocol("sticky", &["t"])],
        ..request
    };
    let a = world.ask_join(9, both(join_as("a", "")));
    world.sleep(DELAY_MS);
    let a = world.joined(a).member_id;
    let token = world.ask_sync(assign(&a, 1, std::slice::from_ref(&a)));
    world.synced(token);
    let same = world.join_now(9, both(join_as("a", "")));
    assert_eq!(same.generation_id, 1);
    let other = JoinGroupRequest {
        protocols: vec![protocol("sticky", &["t"]), protocol("range", &["t"])],
        ..join_as("a", "")
    };
    let changed = world.join_now(9, other);
    assert_eq!((changed.generation_id, changed.protocol_name.as_deref()), (2, Some("sticky")));
}

#[test]
fn a_static_member_may_miss_a_rebalance_and_is_removed_by_its_session() {
    let mut world = World::new();
    let long = JoinGroupRequest {
        session_timeout_ms: 300_000,
        ..join_as("a", "")
    };
    let a = world.ask_join(9, long);
    let (other, b) = world.enter();
    world.gather();
    let a = world.joined(a).member_id;
    world.joined(b);
    world.sync_all(&[a.clone(), other.clone()]);
    let changed = JoinGroupRequest {
        protocols: vec![protocol("range", &["u"])],
        ..join(&other)
    };
    let token = world.ask_join(9, changed);
    world.gather();
    let joined = world.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2), "it is still assigned to");
    assert_eq!(joined.leader, other);
    let token = world.ask_sync(assign(&other, 2, &[a.clone(), other.clone()]));
    assert_eq!(world.synced(token).error_code, 0);
    let back = world.join_now(9, join_as("a", ""));
    assert_eq!((back.error_code, back.generation_id), (0, 2));
    let token = world.ask_sync(sync(&back.member_id, 2));
    assert_eq!(&world.synced(token).assignment[..], a.as_bytes());
    world.sleep(i64::from(SESSION_MS));
    assert_eq!(world.members(), 0);
}

#[test]
fn an_operator_removes_static_members_by_instance_and_pending_ids_are_no_instances() {
    let mut world = World::new();
    let (a, b) = stable(&mut world);
    let left = world.leave(&[("", Some("b")), ("", Some("nobody")), ("", None), (&a, Some("b"))]);
    let errors: Vec<i16> = left.members.iter().map(|member| member.error_code).collect();
    let unknown = ErrorCode::UnknownMemberId.code();
    assert_eq!(errors, [0, unknown, unknown, unknown], "{b} is gone, and its instance with it");
    assert_eq!(left.members[0].group_instance_id.as_deref(), Some("b"));
    assert_eq!(world.members(), 1);

    let required = world.join_now(9, join(""));
    let mixed = world.join_now(9, join_as("c", &required.member_id));
    assert_eq!(mixed.error_code, unknown);
}

#[test]
fn static_membership_does_not_need_version_9() {
    let mut world = World::new();
    let token = world.ask_join(5, join_as("a", ""));
    world.sleep(DELAY_MS);
    let joined = world.joined(token);
    let token = world.ask(
        3,
        GroupRequest::Sync(assign(&joined.member_id, 1, std::slice::from_ref(&joined.member_id))),
    );
    assert_eq!(world.synced(token).error_code, 0);
    let again = world.join_now(5, join_as("a", ""));
    assert_eq!((again.generation_id, again.skip_assignment), (1, false));
    assert_eq!(again.leader, joined.member_id);
}
