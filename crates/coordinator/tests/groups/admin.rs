//! DescribeGroups, ListGroups, DeleteGroups, OffsetDelete.

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::JoinGroupRequest;
use dohle_protocol::messages::list_groups::ListedGroup;
use dohle_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetDeleteResponse,
};

use crate::world::{DELAY_MS, GROUP, World, assign, join};

fn list(world: &mut World, states: &[&str], types: &[&str]) -> Vec<ListedGroup> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let request = GroupRequest::ListGroups {
        states: owned(states),
        types: owned(types),
    };
    let token = world.ask(5, request);
    match world.answer(token) {
        Some(GroupResponse::ListGroups(listed)) => listed,
        other => panic!("{other:?}"),
    }
}

fn delete(world: &mut World, group: &str) -> ErrorCode {
    let token = world.ask(2, GroupRequest::DeleteGroup(group.to_owned()));
    match world.answer(token) {
        Some(GroupResponse::DeleteGroup(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn delete_offsets(world: &mut World, group: &str, topics: &[&str]) -> OffsetDeleteResponse {
    let topic = |name: &&str| OffsetDeleteRequestTopic {
        name: (*name).to_owned(),
        partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
    };
    let request = OffsetDeleteRequest {
        group_id: group.to_owned(),
        topics: topics.iter().map(topic).collect(),
    };
    let token = world.ask(0, GroupRequest::DeleteOffsets(request));
    match world.answer(token) {
        Some(GroupResponse::DeleteOffsets(response)) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn trap_47_a_group_that_does_not_exist_is_dead_and_from_version_6_on_an_error() {
    let mut world = World::new();
    let dead = world.describe_at(5, "missing");
    assert_eq!((dead.error_code, dead.group_state.as_str(), dead.error_message), (0, "Dead", None));
    assert_eq!(dead.group_id, "missing");
    let error = world.describe_at(6, "missing");
    assert_eq!(
        (error.error_code, error.group_state.as_str()),
        (ErrorCode::GroupIdNotFound.code(), "Dead")
    );
    assert_eq!(error.error_message.as_deref(), Some("Group missing not found."));
    assert_eq!(error.authorized_operations, i32::MIN);
}

#[test]
fn a_stable_group_is_described_with_subscriptions_and_others_without() {
    let mut world = World::new();
    let ids = world.stable(2);
    let described = world.describe();
    assert_eq!(
        (described.protocol_type.as_str(), described.protocol_data.as_str()),
        ("consumer", "range")
    );
    assert_eq!(described.members.len(), 2);
    for member in &described.members {
        assert!(ids.contains(&member.member_id));
        assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("client", "/127.0.0.1"));
        assert_eq!(member.member_metadata, join("").protocols[0].metadata);
        assert_eq!(member.member_assignment, member.member_id.as_bytes());
    }
    world.enter();
    let described = world.describe();
    assert_eq!(
        (described.group_state.as_str(), described.protocol_data.as_str()),
        ("PreparingRebalance", "")
    );
    assert_eq!(described.members.len(), 3);
    assert!(described.members.iter().all(|member| member.member_metadata.is_empty()));
}

#[test]
fn groups_are_listed_by_state_and_type_whatever_the_case() {
    let mut world = World::new();
    world.stable(1);
    let mut simple = crate::world::commit("", -1, 1);
    simple.group_id = "simple".to_owned();
    world.commit_with(9, simple);
    let ids = |listed: Vec<ListedGroup>| listed.into_iter().map(|group| group.group_id).collect::<Vec<_>>();
    let all = list(&mut world, &[], &[]);
    assert_eq!(all[0].group_id, GROUP);
    assert_eq!(
        (
            all[0].protocol_type.as_str(),
            all[0].group_state.as_str(),
            all[0].group_type.as_str()
        ),
        ("consumer", "Stable", "classic")
    );
    assert_eq!((all[1].protocol_type.as_str(), all[1].group_state.as_str()), ("", "Empty"));
    assert_eq!(ids(list(&mut world, &["sTABLE"], &[])), [GROUP]);
    assert_eq!(ids(list(&mut world, &["empty", " stable "], &["Classic"])), [GROUP, "simple"]);
    assert_eq!(ids(list(&mut world, &["nonsense"], &[])), [""; 0]);
    assert_eq!(ids(list(&mut world, &[], &["consumer"])), [""; 0]);
    world.enter();
    assert_eq!(ids(list(&mut world, &["preparingrebalance"], &[])), [GROUP]);
}

#[test]
fn only_empty_groups_can_be_deleted_and_their_offsets_go_with_them() {
    let mut world = World::new();
    assert_eq!(delete(&mut world, GROUP), ErrorCode::GroupIdNotFound);
    let ids = world.stable(1);
    world.commit(&ids[0], 1);
    assert_eq!(delete(&mut world, GROUP), ErrorCode::NonEmptyGroup);
    world.leave(&[(&ids[0], None)]);
    assert_eq!(delete(&mut world, GROUP), ErrorCode::None);
    assert_eq!(world.state(), "Dead");
    assert_eq!(world.fetch("t").committed_offset, -1);
    assert_eq!(delete(&mut world, GROUP), ErrorCode::GroupIdNotFound);
    world.restart();
    assert_eq!(world.state(), "Dead");
}

#[test]
fn whoever_was_about_to_join_a_deleted_group_asks_again() {
    let mut world = World::new();
    let id = world.join_now(9, join("")).member_id;
    assert_eq!(delete(&mut world, GROUP), ErrorCode::None);
    assert_eq!(world.join_now(9, join(&id)).error_code, ErrorCode::UnknownMemberId.code());
    assert_eq!(world.state(), "Dead");
    world.stable(1);
    assert_eq!(world.state(), "Stable");
}

#[test]
fn offsets_are_deleted_unless_the_group_is_subscribed_to_the_topic() {
    let mut world = World::new();
    let missing = delete_offsets(&mut world, GROUP, &["t"]);
    assert_eq!((missing.error_code, missing.topics.len()), (ErrorCode::GroupIdNotFound.code(), 0));
    let nameless = delete_offsets(&mut world, "", &["t"]);
    assert_eq!(nameless.error_code, ErrorCode::InvalidGroupId.code());
    let ids = world.stable(1);
    world.commit_to("t", &ids[0], 1, 1);
    world.commit_to("u", &ids[0], 1, 1);
    let deleted = delete_offsets(&mut world, GROUP, &["t", "u", "never"]);
    let errors: Vec<i16> = deleted.topics.iter().map(|topic| topic.partitions[0].error_code).collect();
    assert_eq!(
        (deleted.error_code, errors),
        (0, vec![ErrorCode::GroupSubscribedToTopic.code(), 0, 0])
    );
    assert_eq!(world.fetch("t").committed_offset, 1);
    assert_eq!(world.fetch("u").committed_offset, -1);
    world.leave(&[(&ids[0], None)]);
    let deleted = delete_offsets(&mut world, GROUP, &["t"]);
    assert_eq!(deleted.topics[0].partitions[0].error_code, 0);
    assert_eq!(world.fetch("t").committed_offset, -1);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn offsets_of_members_that_are_no_consumers_can_only_be_deleted_when_the_group_is_empty() {
    let mut world = World::new();
    let request = JoinGroupRequest {
        protocol_type: "connect".to_owned(),
        ..join("")
    };
    let token = world.ask_join(3, request);
    world.sleep(DELAY_MS);
    let id = world.joined(token).member_id;
    let mut request = assign(&id, 1, std::slice::from_ref(&id));
    request.protocol_type = Some("connect".to_owned());
    let token = world.ask_sync(request);
    assert_eq!(world.synced(token).error_code, 0);
    world.commit(&id, 1);
    assert_eq!(
        delete_offsets(&mut world, GROUP, &["t"]).error_code,
        ErrorCode::NonEmptyGroup.code()
    );
    world.leave(&[(&id, None)]);
    assert_eq!(delete_offsets(&mut world, GROUP, &["t"]).error_code, 0);
    assert_eq!(world.fetch("t").committed_offset, -1);
}
