//! JoinGroup: who gets in, with which id, and what the others are told.

use super::script::{Script, TOPIC, protocol, protocols, subscription};
use crate::cases::Definition;
use crate::peer::Peer;
use dohle_protocol::ApiKey;

const KEY: ApiKey = ApiKey::JoinGroup;
const NEWEST: i16 = 9;

pub(super) const CASES: &[Definition] = &[
    ("join-alone", KEY, alone),
    ("join-two", KEY, two),
    ("join-again", KEY, again),
    ("join-refused", KEY, refused),
    ("join-session-timeouts", KEY, session_timeouts),
    ("join-rebalance-timeouts", KEY, rebalance_timeouts),
    ("join-protocols-refused", KEY, protocols_refused),
    ("join-protocol-chosen", KEY, protocol_chosen),
    ("join-garbage", KEY, garbage),
    ("join-before-sync", KEY, before_sync),
    ("join-too-many", KEY, too_many),
    ("join-pending", KEY, pending),
    ("join-client-ids", KEY, client_ids),
    ("join-pending-expires", KEY, pending_expires),
    ("join-member-dies", KEY, member_dies),
    ("join-one-is-late", KEY, one_is_late),
    ("join-leader-never-syncs", KEY, leader_never_syncs),
    ("join-after-everyone-left", KEY, after_everyone_left),
];

fn alone(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-alone", KEY, version);
    let mut member = script.member();
    member.enter(&mut script);
    // Before it has synced, and after.
    member.join(&mut script);
    member.sync_alone(&mut script);
    script.describe();
    // The leader may want to assign anew: generation 2.
    member.join(&mut script);
    member.sync_alone(&mut script);
    script.end()
}

fn two(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-two", KEY, version);
    let (mut first, mut second) = (script.member(), script.member());
    first.enter(&mut script);
    first.sync_alone(&mut script);
    first.heartbeat(&mut script);
    second.begin_to_enter(&mut script);
    script.wait_for_state("PreparingRebalance");
    script.describe();
    first.heartbeat(&mut script);
    first.begin_to_join(&script);
    second.end_join(&mut script);
    first.end_join(&mut script);
    first.heartbeat(&mut script);
    script.describe();
    second.begin_to_sync(&script, &[]);
    let (one, other) = (first.id().to_owned(), second.id().to_owned());
    first.sync(&mut script, &[(&one, b"one"), (&other, b"other")]);
    second.end_sync(&mut script);
    script.describe();
    script.end()
}

/// A follower that joins a stable group again, as it was and otherwise; then the leader.
fn again(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-again", KEY, version);
    let members = vec![script.member(), script.member()];
    let [mut leader, mut follower] = <[_; 2]>::try_from(script.stable_group(members)).ok().expect("two");
    follower.join(&mut script);
    follower.sync(&mut script, &[]);
    leader.heartbeat(&mut script);
    follower.request.protocols = protocols(&[("range", "other metadata")]);
    follower.begin_to_join(&script);
    script.wait_for_state("PreparingRebalance");
    leader.heartbeat(&mut script);
    leader.begin_to_join(&script);
    follower.end_join(&mut script);
    leader.end_join(&mut script);
    // Both again before anybody synced, as they were: nothing happens.
    follower.join(&mut script);
    leader.join(&mut script);
    leader.sync_alone(&mut script);
    follower.sync(&mut script, &[]);
    leader.begin_to_join(&script);
    script.wait_for_state("PreparingRebalance");
    follower.heartbeat(&mut script);
    follower.begin_to_join(&script);
    leader.end_join(&mut script);
    follower.end_join(&mut script);
    script.end()
}

/// Ids that are not members', and groups without a name.
fn refused(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-refused", KEY, version);
    let mut stranger = script.member();
    stranger.request.member_id = "nobody".into();
    stranger.join(&mut script);
    let mut nameless = script.member();
    nameless.request.group_id = String::new();
    nameless.join(&mut script);
    let members = vec![script.member()];
    script.stable_group(members);
    stranger.join(&mut script);
    script.describe();
    script.end()
}

fn session_timeouts(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-session-timeouts", KEY, version);
    for session_timeout_ms in [i32::MIN, -1, 0, 1, 499, 1_800_001, i32::MAX, 1_800_000, 500] {
        let mut member = script.member();
        member.request.group_id += &session_timeout_ms.to_string();
        member.request.session_timeout_ms = session_timeout_ms;
        member.join(&mut script);
    }
    script.end()
}

fn rebalance_timeouts(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-rebalance-timeouts", KEY, version);
    for rebalance_timeout_ms in [-1, 0, i32::MAX] {
        let mut member = script.member();
        member.request.group_id += &rebalance_timeout_ms.to_string();
        member.request.rebalance_timeout_ms = rebalance_timeout_ms;
        member.enter(&mut script);
    }
    script.end()
}

fn protocols_refused(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-protocols-refused", KEY, version);
    let ask = |script: &mut Script, group: &str, protocol_type: &str, offered: &[&str]| {
        let mut member = script.member();
        member.request.group_id += group;
        member.request.protocol_type = protocol_type.into();
        let offered: Vec<_> = offered.iter().map(|name| (*name, "")).collect();
        member.request.protocols = protocols(&offered);
        member.enter(script);
    };
    ask(&mut script, "-none", "consumer", &[]);
    ask(&mut script, "-no-type", "", &["range"]);
    ask(&mut script, "-neither", "", &[]);
    ask(&mut script, "-no-name", "consumer", &[""]);
    let members = vec![script.member()];
    script.stable_group(members);
    ask(&mut script, "", "connect", &["range"]);
    ask(&mut script, "", "consumer", &["sticky"]);
    ask(&mut script, "", "consumer", &[]);
    ask(&mut script, "", "", &["range"]);
    script.describe();
    script.end()
}

/// What all have in common, and of that what most of them like best.
fn protocol_chosen(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-protocol-chosen", KEY, version);
    let mut members = Vec::new();
    for names in [["a", "b", "c"], ["c", "b", "x"], ["b", "c", "y"]] {
        let mut member = script.member();
        let offered: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
        member.request.protocols = protocols(&offered);
        members.push(member);
    }
    let [mut first, mut second, mut third] = <[_; 3]>::try_from(members).ok().expect("three");
    first.enter(&mut script);
    second.begin_to_enter(&mut script);
    script.wait_for_state("PreparingRebalance");
    third.begin_to_enter(&mut script);
    script.wait_for_members(3);
    first.begin_to_join(&script);
    third.end_join(&mut script);
    second.end_join(&mut script);
    first.end_join(&mut script);
    script.describe();
    script.end()
}

/// What no assignor could read is none of the coordinator's business. (A real node gets stuck if these call themselves consumers.)
fn garbage(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-garbage", KEY, version);
    let garbage: [&[u8]; 4] = [b"", b"\0", b"\0\0\x7f\xff\xff\xff", b"\xff\xff\xff\xff\xff\xff"];
    let newer = [&[0, 9], &subscription(&[TOPIC, TOPIC, "nowhere"], "")[2..], b"of a version to come"].concat();
    let garbage = garbage
        .into_iter()
        .map(|metadata| ("other", metadata))
        .chain([("consumer", newer.as_slice())]);
    for (number, (protocol_type, metadata)) in garbage.enumerate() {
        let mut member = script.member();
        member.request.group_id = format!("{}-{number}", script.group);
        member.request.protocol_type = protocol_type.into();
        member.request.protocols = vec![protocol("range", metadata.to_vec())];
        member.enter(&mut script);
        let id = member.id().to_owned();
        member.sync(&mut script, &[(&id, metadata)]);
    }
    script.end()
}

/// A second member comes when the first has not synced yet.
fn before_sync(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-before-sync", KEY, version);
    let (mut first, mut second) = (script.member(), script.member());
    first.enter(&mut script);
    second.begin_to_enter(&mut script);
    script.wait_for_state("PreparingRebalance");
    first.sync_alone(&mut script);
    first.heartbeat(&mut script);
    first.begin_to_join(&script);
    second.end_join(&mut script);
    first.end_join(&mut script);
    // The follower waits for an assignment; the leader joins again instead, with something new.
    second.begin_to_sync(&script, &[]);
    first.request.protocols = protocols(&[("range", "something new")]);
    first.begin_to_join(&script);
    second.end_sync(&mut script);
    second.begin_to_join(&script);
    first.end_join(&mut script);
    second.end_join(&mut script);
    script.end()
}

/// `group.max.size` is 4.
fn too_many(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-too-many", KEY, version);
    let members = (0..4).map(|_| script.member()).collect();
    let members = script.stable_group(members);
    let mut fifth = script.member();
    fifth.enter(&mut script);
    script.describe();
    drop(members);
    script.end()
}

/// An id that was given and not used yet is no member, though it counts for the rebalance.
fn pending(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-pending", KEY, version);
    if version < 4 {
        return script.end();
    }
    let mut given = script.member();
    // Whether a real node shows such a group to tools yet is a matter of luck.
    given.join(&mut script);
    given.generation = 0;
    given.heartbeat(&mut script);
    given.sync_alone(&mut script);
    // The first join of all waits for nobody, the next one does.
    let mut member = script.member();
    member.enter(&mut script);
    script.describe();
    member.request.protocols = protocols(&[("range", "changed")]);
    member.begin_to_join(&script);
    script.wait_for_state("PreparingRebalance");
    script.describe();
    given.begin_to_join(&script);
    member.end_join(&mut script);
    given.end_join(&mut script);
    script.describe();
    script.end()
}

/// The id of a member begins with the client's.
fn client_ids(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-client-ids", KEY, version);
    let long = "x".repeat(200);
    for (number, client_id) in [None, Some(""), Some("a b-ü"), Some(&long)].into_iter().enumerate() {
        let mut member = script.member();
        member.request.group_id = format!("{}-{number}", script.group);
        member.peer.client_id = client_id.map(Into::into);
        let group = member.request.group_id.clone();
        member.enter(&mut script);
        script.describe_groups(&[&group]);
    }
    script.end()
}

/// Sessions are waited for in the newest version alone: that takes its time.
fn pending_expires(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-pending-expires", KEY, version);
    if version < NEWEST {
        return script.end();
    }
    let mut member = script.member();
    member.enter(&mut script);
    let mut given = script.member();
    given.request.session_timeout_ms = 500;
    given.join(&mut script);
    // The rebalance waits for the one that was given an id.
    member.request.protocols = protocols(&[("range", "changed")]);
    member.join(&mut script);
    given.join(&mut script);
    script.describe();
    script.end()
}

fn member_dies(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-member-dies", KEY, version);
    if version < NEWEST {
        return script.end();
    }
    let mut members = vec![script.member(), script.member()];
    members[1].request.session_timeout_ms = 600;
    let mut members = script.stable_group(members);
    script.wait_for_members(1);
    members[1].heartbeat(&mut script);
    members[0].heartbeat(&mut script);
    script.describe();
    members[0].join(&mut script);
    members[0].sync_alone(&mut script);
    script.describe();
    members[0].request.session_timeout_ms = 500;
    members[0].join(&mut script);
    members[0].sync_alone(&mut script);
    script.wait_for_state("Empty");
    script.describe();
    members[0].heartbeat(&mut script);
    members[0].join(&mut script);
    script.end()
}

/// One of two does not come back within the rebalance timeout.
fn one_is_late(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-one-is-late", KEY, version);
    if version < NEWEST {
        return script.end();
    }
    let mut members = vec![script.member(), script.member()];
    for member in &mut members {
        member.request.rebalance_timeout_ms = 500;
    }
    let mut members = script.stable_group(members);
    members[1].request.protocols = protocols(&[("range", "changed")]);
    members[1].join(&mut script);
    script.describe();
    members[0].heartbeat(&mut script);
    members[0].join(&mut script);
    members[1].sync_alone(&mut script);
    script.end()
}

/// The leader joins and is not heard of again, although its session is long: the rebalance timeout is also for assignments.
fn leader_never_syncs(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-leader-never-syncs", KEY, version);
    if version < NEWEST {
        return script.end();
    }
    let (mut leader, mut follower) = (script.member(), script.member());
    leader.request.rebalance_timeout_ms = 500;
    follower.request.rebalance_timeout_ms = 500;
    leader.enter(&mut script);
    follower.begin_to_enter(&mut script);
    script.wait_for_members(2);
    leader.begin_to_join(&script);
    follower.end_join(&mut script);
    leader.end_join(&mut script);
    follower.begin_to_sync(&script, &[]);
    follower.end_sync(&mut script);
    script.wait_for_members(1);
    script.describe();
    leader.heartbeat(&mut script);
    follower.join(&mut script);
    script.end()
}

/// An empty group takes another type of members, and goes on counting.
fn after_everyone_left(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "join-after-everyone-left", KEY, version);
    let members = vec![script.member()];
    let mut members = script.stable_group(members);
    members[0].leave(&mut script);
    script.describe();
    members[0].join(&mut script);
    let mut other = script.member();
    other.request.protocol_type = "connect".into();
    other.request.protocols = protocols(&[("default", "")]);
    other.enter(&mut script);
    script.describe();
    script.end()
}
