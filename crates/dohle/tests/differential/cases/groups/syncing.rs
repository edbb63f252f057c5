//! SyncGroup, Heartbeat and LeaveGroup.

use super::script::{Member, Script, protocols};
use crate::cases::Definition;
use crate::peer::Peer;
use dohle_protocol::ApiKey;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use dohle_protocol::messages::sync_group::SyncGroupRequest;

/// What a leader gives to each member, by the id of the one it is asked about.
type Assignments = fn(&str) -> Vec<(String, Vec<u8>)>;

pub(super) const CASES: &[Definition] = &[
    ("sync", ApiKey::SyncGroup, sync),
    ("sync-refused", ApiKey::SyncGroup, sync_refused),
    ("sync-assignments", ApiKey::SyncGroup, sync_assignments),
    ("sync-interrupted", ApiKey::SyncGroup, sync_interrupted),
    ("sync-protocols", ApiKey::SyncGroup, sync_protocols),
    ("heartbeat", ApiKey::Heartbeat, heartbeat),
    ("heartbeat-refused", ApiKey::Heartbeat, heartbeat_refused),
    ("leave", ApiKey::LeaveGroup, leave),
    ("leave-refused", ApiKey::LeaveGroup, leave_refused),
    ("leave-several", ApiKey::LeaveGroup, leave_several),
    ("leave-instances", ApiKey::LeaveGroup, leave_instances),
    ("leave-pending", ApiKey::LeaveGroup, leave_pending),
    ("leave-while-waiting", ApiKey::LeaveGroup, leave_while_waiting),
];

fn stable(script: &mut Script, count: usize) -> Vec<Member> {
    let members = (0..count).map(|_| script.member()).collect();
    script.stable_group(members)
}

fn pair(script: &mut Script) -> [Member; 2] {
    <[_; 2]>::try_from(stable(script, 2)).ok().expect("two")
}

/// The assignment is there to be asked for as long as the generation lasts.
fn sync(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "sync", ApiKey::SyncGroup, version);
    let [mut leader, mut follower] = pair(&mut script);
    leader.sync(&mut script, &[]);
    follower.sync(&mut script, &[]);
    // Too late to assign something else.
    let id = follower.id().to_owned();
    leader.sync(&mut script, &[(&id, b"something else")]);
    follower.sync(&mut script, &[]);
    script.end()
}

fn sync_refused(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "sync-refused", ApiKey::SyncGroup, version);
    let ask = |script: &mut Script, request: &SyncGroupRequest, change: fn(&mut SyncGroupRequest)| {
        let mut request = request.clone();
        change(&mut request);
        script.ask(&request);
    };
    let mut member = script.member();
    member.request.member_id = "nobody".into();
    let unknown = member.sync_request(&script, &[]);
    ask(&mut script, &unknown, |_| {});
    ask(&mut script, &unknown, |request| request.group_id = String::new());
    let [leader, _follower] = pair(&mut script);
    ask(&mut script, &unknown, |_| {});
    let good = leader.sync_request(&script, &[]);
    ask(&mut script, &good, |request| request.generation_id += 1);
    ask(&mut script, &good, |request| request.generation_id -= 1);
    ask(&mut script, &good, |request| request.generation_id = -1);
    ask(&mut script, &good, |request| request.member_id = String::new());
    ask(&mut script, &good, |request| request.member_id = "nobody".into());
    if version >= 3 {
        ask(&mut script, &good, |request| request.group_instance_id = Some("nobody".into()));
        ask(&mut script, &good, |request| request.group_instance_id = Some(String::new()));
    }
    script.end()
}

/// Garbage, nothing, too few, too many, and for strangers.
fn sync_assignments(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "sync-assignments", ApiKey::SyncGroup, version);
    let assign = |script: &mut Script, name: &str, assignments: Assignments| {
        let mut member = script.member();
        member.request.group_id += name;
        member.enter(script);
        let assignments = assignments(member.id());
        let assignments: Vec<_> = assignments.iter().map(|(id, bytes)| (id.as_str(), bytes.as_slice())).collect();
        member.sync(script, &assignments);
        member.sync(script, &[]);
        let group = member.request.group_id.clone();
        script.describe_groups(&[&group]);
    };
    assign(&mut script, "-none", |_| vec![]);
    assign(&mut script, "-empty", |id| vec![(id.into(), vec![])]);
    assign(&mut script, "-garbage", |id| vec![(id.into(), vec![0xff; 7])]);
    assign(&mut script, "-twice", |id| vec![(id.into(), vec![1]), (id.into(), vec![2])]);
    assign(&mut script, "-stranger", |id| {
        vec![("nobody".into(), vec![1]), (id.into(), vec![2])]
    });
    assign(&mut script, "-large", |id| vec![(id.into(), vec![b'a'; 100_000])]);
    script.end()
}

/// Somebody comes or goes while a follower waits for its assignment.
fn sync_interrupted(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "sync-interrupted", ApiKey::SyncGroup, version);
    let [mut leader, mut follower] = pair(&mut script);
    leader.begin_to_join(&script);
    script.wait_for_state("PreparingRebalance");
    follower.sync(&mut script, &[]);
    follower.heartbeat(&mut script);
    follower.begin_to_join(&script);
    follower.end_join(&mut script);
    leader.end_join(&mut script);
    follower.begin_to_sync(&script, &[]);
    leader.leave(&mut script);
    follower.end_sync(&mut script);
    follower.join(&mut script);
    follower.sync_alone(&mut script);
    script.end()
}

fn sync_protocols(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "sync-protocols", ApiKey::SyncGroup, version);
    let [leader, _follower] = pair(&mut script);
    let good = leader.sync_request(&script, &[]);
    let names = [None, Some(""), Some("range"), Some("sticky")];
    let types = [None, Some(""), Some("consumer"), Some("connect")];
    for (protocol_type, protocol_name) in types.iter().flat_map(|kind| names.iter().map(move |name| (kind, name))) {
        script.ask(&SyncGroupRequest {
            protocol_type: protocol_type.map(Into::into),
            protocol_name: protocol_name.map(Into::into),
            ..good.clone()
        });
    }
    script.end()
}

/// In each state of the group.
fn heartbeat(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "heartbeat", ApiKey::Heartbeat, version);
    let mut first = script.member();
    first.heartbeat(&mut script);
    first.enter(&mut script);
    first.heartbeat(&mut script);
    first.sync_alone(&mut script);
    first.heartbeat(&mut script);
    let mut second = script.member();
    second.begin_to_enter(&mut script);
    script.wait_for_state("PreparingRebalance");
    first.heartbeat(&mut script);
    first.join_last(&mut script, &mut [&mut second]);
    first.heartbeat(&mut script);
    second.heartbeat(&mut script);
    second.leave(&mut script);
    first.leave(&mut script);
    first.heartbeat(&mut script);
    script.end()
}

fn heartbeat_refused(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "heartbeat-refused", ApiKey::Heartbeat, version);
    let member = stable(&mut script, 1).remove(0);
    let good = HeartbeatRequest {
        group_id: script.group.clone(),
        generation_id: member.generation,
        member_id: member.id().into(),
        ..Default::default()
    };
    let mut ask = |change: fn(&mut HeartbeatRequest)| {
        let mut request = good.clone();
        change(&mut request);
        script.ask(&request);
    };
    ask(|request| request.group_id = String::new());
    ask(|request| request.group_id = "nowhere".into());
    ask(|request| request.member_id = String::new());
    ask(|request| request.member_id = "nobody".into());
    ask(|request| request.generation_id += 1);
    ask(|request| request.generation_id -= 1);
    ask(|request| request.generation_id = -1);
    if version >= 3 {
        ask(|request| request.group_instance_id = Some(String::new()));
        ask(|request| request.group_instance_id = Some("nobody".into()));
    }
    ask(|_| {});
    script.end()
}

/// One of two, then the other.
fn leave(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "leave", ApiKey::LeaveGroup, version);
    let [mut leader, mut follower] = pair(&mut script);
    leader.leave(&mut script);
    script.describe();
    follower.heartbeat(&mut script);
    follower.join(&mut script);
    leader.leave(&mut script);
    follower.leave(&mut script);
    script.describe();
    follower.leave(&mut script);
    script.end()
}

fn identity(member_id: &str, instance: Option<&str>) -> MemberIdentity {
    MemberIdentity {
        member_id: member_id.into(),
        group_instance_id: instance.map(Into::into),
        reason: Some("a reason".into()),
        ..Default::default()
    }
}

fn ask_to_leave(script: &mut Script, group: &str, members: Vec<MemberIdentity>) {
    let version = script.version_of(ApiKey::LeaveGroup);
    let member_id = members.first().map(|member| member.member_id.clone()).unwrap_or_default();
    let request = LeaveGroupRequest {
        group_id: group.into(),
        member_id: if version < 3 { member_id } else { String::new() },
        members: if version < 3 { Vec::new() } else { members },
        ..Default::default()
    };
    script.ask(&request);
}

fn leave_refused(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "leave-refused", ApiKey::LeaveGroup, version);
    let group = script.group.clone();
    ask_to_leave(&mut script, "", vec![identity("nobody", None)]);
    ask_to_leave(&mut script, &group, vec![identity("nobody", None)]);
    ask_to_leave(&mut script, &group, vec![]);
    let member = stable(&mut script, 1).remove(0);
    for members in [vec![identity("nobody", None)], vec![identity("", None)], vec![]] {
        ask_to_leave(&mut script, &group, members);
    }
    if version >= 3 {
        for members in [
            vec![identity("nobody", Some("nobody"))],
            vec![identity("", Some("nobody"))],
            vec![identity(member.id(), Some("nobody"))],
            vec![identity("", Some(""))],
        ] {
            ask_to_leave(&mut script, &group, members);
        }
    }
    script.describe();
    script.end()
}

/// Members and strangers in one request, one of them twice.
fn leave_several(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "leave-several", ApiKey::LeaveGroup, version);
    if version < 3 {
        return script.end();
    }
    let members = stable(&mut script, 3);
    let group = script.group.clone();
    let leaving = vec![
        identity(members[1].id(), None),
        identity("nobody", None),
        identity(members[2].id(), None),
        identity(members[1].id(), None),
    ];
    ask_to_leave(&mut script, &group, leaving);
    script.describe();
    let all = members.iter().map(|member| identity(member.id(), None)).collect();
    ask_to_leave(&mut script, &group, all);
    script.describe();
    script.end()
}

/// By the instance alone, with the right member id, and with a wrong one.
fn leave_instances(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "leave-instances", ApiKey::LeaveGroup, version);
    if version < 3 {
        return script.end();
    }
    let members = ["a", "b", "c"].map(|name| script.instance(name)).into_iter().collect();
    let members = script.stable_group(members);
    let group = script.group.clone();
    ask_to_leave(&mut script, &group, vec![identity("nobody", Some("a"))]);
    ask_to_leave(&mut script, &group, vec![identity(members[2].id(), Some("a"))]);
    script.describe();
    ask_to_leave(
        &mut script,
        &group,
        vec![identity("", Some("a")), identity(members[1].id(), Some("b"))],
    );
    script.describe();
    // A static member that leaves as if it were none.
    ask_to_leave(&mut script, &group, vec![identity(members[2].id(), None)]);
    script.describe();
    script.end()
}

/// The rebalance no longer waits for an id that is given back.
fn leave_pending(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "leave-pending", ApiKey::LeaveGroup, version);
    let mut member = script.member();
    member.enter(&mut script);
    let mut given = script.member();
    given.join(&mut script);
    member.request.protocols = protocols(&[("range", "changed")]);
    member.begin_to_join(&script);
    script.wait_for_state("PreparingRebalance");
    given.leave(&mut script);
    member.end_join(&mut script);
    given.leave(&mut script);
    given.join(&mut script);
    script.describe();
    script.end()
}

/// Asked for by somebody else while the join of the member waits.
fn leave_while_waiting(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "leave-while-waiting", ApiKey::LeaveGroup, version);
    let [mut leader, follower] = pair(&mut script);
    leader.begin_to_join(&script);
    script.wait_for_state("PreparingRebalance");
    let group = script.group.clone();
    ask_to_leave(&mut script, &group, vec![identity(leader.id(), None)]);
    leader.end_join(&mut script);
    script.describe();
    ask_to_leave(&mut script, &group, vec![identity(follower.id(), None)]);
    script.describe();
    script.end()
}
