//! FindCoordinator, DescribeGroups and ListGroups.

use super::script::{Script, TOPIC, protocols};
use crate::cases::Definition;
use crate::peer::Peer;
use dohle_protocol::ApiKey;
use dohle_protocol::messages::describe_groups::DescribeGroupsRequest;
use dohle_protocol::messages::find_coordinator::FindCoordinatorRequest;
use dohle_protocol::messages::list_groups::ListGroupsRequest;

pub(super) const CASES: &[Definition] = &[
    ("find-coordinator", ApiKey::FindCoordinator, find_coordinator),
    ("find-coordinator-types", ApiKey::FindCoordinator, find_coordinator_types),
    ("describe-groups", ApiKey::DescribeGroups, describe_groups),
    ("describe-groups-states", ApiKey::DescribeGroups, describe_states),
    ("describe-groups-operations", ApiKey::DescribeGroups, describe_operations),
    ("list-groups", ApiKey::ListGroups, list_groups),
    ("list-groups-by-state", ApiKey::ListGroups, list_by_state),
    ("list-groups-by-type", ApiKey::ListGroups, list_by_type),
];

fn find(script: &mut Script, key_type: i8, keys: &[&str]) {
    let version = script.version_of(ApiKey::FindCoordinator);
    let mut request = FindCoordinatorRequest {
        key_type,
        ..Default::default()
    };
    if version >= 4 {
        request.coordinator_keys = keys.iter().map(ToString::to_string).collect();
    } else {
        request.key = keys.first().copied().unwrap_or_default().into();
    }
    script.ask(&request);
}

fn find_coordinator(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "find-coordinator", ApiKey::FindCoordinator, version);
    for keys in [&["a"][..], &[""], &["a", "b", "a"], &["a", "", "c"], &["ü", &"x".repeat(1000)], &[]] {
        find(&mut script, 0, keys);
    }
    script.end()
}

/// Of transactions and shares there are none yet; others are no types.
fn find_coordinator_types(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "find-coordinator-types", ApiKey::FindCoordinator, version);
    if version >= 1 {
        for key_type in [3, 99, -1] {
            find(&mut script, key_type, &["a", "b"]);
        }
    }
    script.end()
}

fn describe_groups(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "describe-groups", ApiKey::DescribeGroups, version);
    let request = script.commit_request(&[(TOPIC, 0, 5, Some(""))]);
    script.call(&request);
    let own = script.group.clone();
    for groups in [&[own.as_str()][..], &["nobody-is-here"], &[""], &[]] {
        script.describe_groups(groups);
    }
    // In the order of the request, or of the coordinators that answer.
    let request = DescribeGroupsRequest {
        groups: vec!["nobody-is-here".into(), own.clone(), String::new(), own],
        ..Default::default()
    };
    let mut answer = script.call(&request);
    if let Some(answer) = &mut answer {
        answer.groups.sort_by(|one, other| one.group_id.cmp(&other.group_id));
    }
    script.tell(&answer);
    script.end()
}

fn describe_states(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "describe-groups-states", ApiKey::DescribeGroups, version);
    let mut first = script.instance("first");
    first.request.protocols = protocols(&[("range", "of range"), ("sticky", "of sticky")]);
    first.enter(&mut script);
    script.describe();
    first.sync_alone(&mut script);
    script.describe();
    let mut second = script.member();
    second.request.protocols = protocols(&[("sticky", "of the second")]);
    second.begin_to_enter(&mut script);
    script.wait_for_members(2);
    script.describe();
    first.join_last(&mut script, &mut [&mut second]);
    script.describe();
    second.leave(&mut script);
    first.leave(&mut script);
    script.describe();
    script.end()
}

fn describe_operations(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "describe-groups-operations", ApiKey::DescribeGroups, version);
    let request = script.commit_request(&[(TOPIC, 0, 5, Some(""))]);
    script.call(&request);
    let own = script.group.clone();
    if version >= 3 {
        for group in [own.as_str(), "nobody-is-here", ""] {
            let request = DescribeGroupsRequest {
                groups: vec![group.into()],
                include_authorized_operations: true,
                ..Default::default()
            };
            script.describe_as(&request);
        }
    }
    script.end()
}

/// One group in each state, by the name of the case; then only those of them that the answer lists are told.
fn list(script: &mut Script, states: &[&str], types: &[&str]) {
    let mut answer = script.call(&ListGroupsRequest {
        states_filter: states.iter().map(ToString::to_string).collect(),
        types_filter: types.iter().map(ToString::to_string).collect(),
        ..Default::default()
    });
    if let Some(answer) = &mut answer {
        answer.groups.retain(|group| group.group_id.starts_with(&script.group));
        answer.groups.sort_by(|one, other| one.group_id.cmp(&other.group_id));
    }
    script.tell(&answer);
}

/// A simple group, an empty one, and one in each other state. (When a real node begins to list one that has only given an id is a matter of luck.)
fn make_groups(script: &mut Script) {
    let name = script.group.clone();
    script.group = format!("{name}-simple");
    let request = script.commit_request(&[(TOPIC, 0, 5, Some(""))]);
    script.call(&request);
    script.group = format!("{name}-stable");
    let mut stable = script.member();
    stable.enter(script);
    stable.sync_alone(script);
    script.group = format!("{name}-completing");
    script.member().enter(script);
    script.group = format!("{name}-preparing");
    script.member().enter(script);
    script.member().begin_to_enter(script);
    script.wait_for_state("PreparingRebalance");
    script.group = format!("{name}-empty");
    let mut gone = script.member();
    gone.request.protocol_type = "connect".into();
    gone.enter(script);
    gone.leave(script);
    script.group = name;
}

fn list_groups(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "list-groups", ApiKey::ListGroups, version);
    make_groups(&mut script);
    list(&mut script, &[], &[]);
    script.end()
}

fn list_by_state(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "list-groups-by-state", ApiKey::ListGroups, version);
    if version < 4 {
        return script.end();
    }
    make_groups(&mut script);
    for states in [
        &["Stable"][..],
        &["stable"],
        &["STABLE"],
        &["Empty"],
        &["Dead"],
        &["PreparingRebalance"],
        &["preparing_rebalance"],
        &["CompletingRebalance", "Empty"],
        &["Nonsense"],
        &[""],
        &["Nonsense", "Stable"],
        &["Assigning", "Reconciling"],
    ] {
        list(&mut script, states, &[]);
    }
    script.end()
}

fn list_by_type(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "list-groups-by-type", ApiKey::ListGroups, version);
    if version < 5 {
        return script.end();
    }
    make_groups(&mut script);
    for types in [
        &["classic"][..],
        &["Classic"],
        &["consumer"],
        &["share"],
        &["streams"],
        &["nonsense"],
        &[""],
        &["nonsense", "classic"],
    ] {
        list(&mut script, &[], types);
    }
    list(&mut script, &["Stable"], &["classic"]);
    list(&mut script, &["Stable"], &["consumer"]);
    script.end()
}
