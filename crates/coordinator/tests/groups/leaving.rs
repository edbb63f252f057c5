//! LeaveGroup.

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};

use crate::world::{GROUP, World, join, sync};

fn leave_at(world: &mut World, api_version: i16, group: &str, member_id: &str) -> LeaveGroupResponse {
    let request = LeaveGroupRequest {
        group_id: group.to_owned(),
        member_id: member_id.to_owned(),
        ..Default::default()
    };
    let token = world.ask(api_version, GroupRequest::Leave(request));
    match world.answer(token) {
        Some(GroupResponse::Leave(response)) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn several_members_leave_at_once_and_each_has_an_error_of_its_own() {
    let mut world = World::new();
    let ids = world.stable(3);
    let left = world.leave(&[(&ids[0], None), ("stranger", None), (&ids[1], None), (&ids[0], None)]);
    assert_eq!(left.error_code, 0);
    let errors: Vec<i16> = left.members.iter().map(|member| member.error_code).collect();
    let unknown = ErrorCode::UnknownMemberId.code();
    assert_eq!(errors, [0, unknown, 0, unknown]);
    assert_eq!(world.members(), 1);
    assert_eq!(world.heartbeat(&ids[2], 1), ErrorCode::RebalanceInProgress.code());
    let token = world.ask_join(9, join(&ids[2]));
    assert_eq!(world.joined(token).generation_id, 2, "one rebalance for all of them");
}

#[test]
fn before_version_3_one_member_leaves_and_its_error_is_that_of_the_answer() {
    let mut world = World::new();
    let ids = world.stable(1);
    let refused = leave_at(&mut world, 2, GROUP, "stranger");
    assert_eq!((refused.error_code, refused.members.len()), (ErrorCode::UnknownMemberId.code(), 0));
    let left = leave_at(&mut world, 0, GROUP, &ids[0]);
    assert_eq!((left.error_code, left.members.len()), (0, 0));
    assert_eq!(world.state(), "Empty");
}

#[test]
fn w24_groups_that_do_not_exist_and_empty_group_ids() {
    let mut world = World::new();
    let left = world.leave(&[("x", None)]);
    assert_eq!(
        (left.error_code, left.members[0].error_code),
        (0, ErrorCode::UnknownMemberId.code())
    );
    assert_eq!(
        leave_at(&mut world, 2, "missing", "x").error_code,
        ErrorCode::UnknownMemberId.code()
    );
    for api_version in [2, 5] {
        let refused = leave_at(&mut world, api_version, "", "x");
        assert_eq!((refused.error_code, refused.members.len()), (ErrorCode::InvalidGroupId.code(), 0));
    }
}

#[test]
fn a_member_that_leaves_while_it_waits_is_answered_and_the_rest_goes_on() {
    let mut world = World::new();
    let ids = world.stable(2);
    let (newcomer, parked) = world.enter();
    let first = world.ask_join(9, join(&ids[0]));
    world.leave(&[(&newcomer, None)]);
    let dismissed = world.joined(parked);
    assert_eq!(
        (dismissed.error_code, dismissed.member_id.as_str()),
        (ErrorCode::UnknownMemberId.code(), "")
    );
    assert!(world.is_parked(first));
    world.leave(&[(&ids[1], None)]);
    let joined = world.joined(first);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1), "nobody else is expected");
}

#[test]
fn a_member_that_leaves_while_its_sync_is_parked_is_answered_and_the_rest_joins_again() {
    let mut world = World::new();
    let entered: Vec<_> = (0..3).map(|_| world.enter()).collect();
    world.gather();
    let leader = world.joined(entered[0].1).leader;
    let followers: Vec<&String> = entered.iter().map(|(id, _)| id).filter(|id| **id != leader).collect();
    let tokens: Vec<_> = followers.iter().map(|id| world.ask_sync(sync(id, 1))).collect();
    world.leave(&[(followers[0], None)]);
    assert_eq!(world.synced(tokens[0]).error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!(world.synced(tokens[1]).error_code, ErrorCode::RebalanceInProgress.code());
}

#[test]
fn a_pending_member_leaves_and_is_waited_for_no_longer() {
    let mut world = World::new();
    let ids = world.stable(1);
    let pending = world.join_now(9, join("")).member_id;
    let again = world.ask_join(9, join(&ids[0]));
    assert!(world.is_parked(again));
    assert_eq!(world.leave(&[(&pending, None)]).members[0].error_code, 0);
    assert_eq!(world.joined(again).generation_id, 2);
    assert_eq!(world.join_now(9, join(&pending)).error_code, ErrorCode::UnknownMemberId.code());
}
