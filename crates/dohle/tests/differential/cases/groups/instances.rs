//! Static members (KIP-345): an instance that comes back takes its own place, and the one that was there is fenced.

use super::script::{Member, Script, protocols};
use crate::cases::Definition;
use crate::peer::Peer;
use dohle_protocol::ApiKey;

const KEY: ApiKey = ApiKey::JoinGroup;
/// The oldest version with instance ids.
const OLDEST: i16 = 5;

pub(super) const CASES: &[Definition] = &[
    ("instance-alone", KEY, alone),
    ("instance-returns", KEY, returns),
    ("instance-leader-returns", KEY, leader_returns),
    ("instance-returns-changed", KEY, returns_changed),
    ("instance-returns-with-other-protocols", KEY, returns_with_other_protocols),
    ("instance-fenced", KEY, fenced),
    ("instance-unknown", KEY, unknown),
    ("instance-during-rebalance", KEY, during_rebalance),
    ("instance-before-sync", KEY, before_sync),
    ("instance-names", KEY, names),
    ("instance-dies", KEY, dies),
];

fn alone(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-alone", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    let mut member = script.instance("one");
    member.enter(&mut script);
    member.sync_alone(&mut script);
    member.heartbeat(&mut script);
    script.describe();
    script.end()
}

/// The same instance with a new process: it has no member id yet.
fn restarted(script: &Script, member: &Member) -> Member {
    let mut again = script.member();
    again.request.clone_from(&member.request);
    again.request.member_id = String::new();
    again.generation = member.generation;
    again
}

fn pair(script: &mut Script) -> [Member; 2] {
    let members = vec![script.instance("one"), script.instance("two")];
    <[_; 2]>::try_from(script.stable_group(members)).ok().expect("two")
}

/// A follower comes back as it was: nobody is disturbed.
fn returns(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-returns", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    let [mut leader, follower] = pair(&mut script);
    let mut again = restarted(&script, &follower);
    again.join(&mut script);
    script.describe();
    again.sync(&mut script, &[]);
    again.heartbeat(&mut script);
    leader.heartbeat(&mut script);
    // With the id that it has now.
    again.join(&mut script);
    script.describe();
    script.end()
}

fn leader_returns(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-leader-returns", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    let [leader, mut follower] = pair(&mut script);
    let mut again = restarted(&script, &leader);
    again.join(&mut script);
    script.describe();
    again.sync(&mut script, &[]);
    again.heartbeat(&mut script);
    follower.heartbeat(&mut script);
    script.end()
}

/// What it sends along is other than before, the protocol is not: the leader is not told.
fn returns_changed(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-returns-changed", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    let [mut leader, follower] = pair(&mut script);
    let mut again = restarted(&script, &follower);
    again.request.protocols = protocols(&[("range", "other metadata")]);
    again.join(&mut script);
    again.sync(&mut script, &[]);
    leader.heartbeat(&mut script);
    script.describe();
    script.end()
}

/// The group's protocol is no longer the one that would be chosen.
fn returns_with_other_protocols(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-returns-with-other-protocols", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    let mut member = script.instance("one");
    member.request.protocols = protocols(&[("range", "a"), ("sticky", "b")]);
    let member = script.stable_group(vec![member]).remove(0);
    let mut again = restarted(&script, &member);
    again.request.protocols = protocols(&[("sticky", "b"), ("range", "a")]);
    again.join(&mut script);
    script.describe();
    let mut other = restarted(&script, &again);
    other.request.protocols = protocols(&[("unheard-of", "")]);
    other.join(&mut script);
    script.describe();
    script.end()
}

/// The old process goes on with the old id.
fn fenced(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-fenced", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    let [mut leader, mut follower] = pair(&mut script);
    restarted(&script, &follower).join(&mut script);
    follower.heartbeat(&mut script);
    follower.sync(&mut script, &[]);
    follower.commit(&mut script, 5);
    let old = follower.id().to_owned();
    follower.join(&mut script);
    follower.request.member_id.clone_from(&old);
    follower.leave(&mut script);
    // The old id without its instance belongs to nobody.
    follower.request.group_instance_id = None;
    follower.request.member_id = old;
    follower.heartbeat(&mut script);
    follower.join(&mut script);
    leader.heartbeat(&mut script);
    script.describe();
    script.end()
}

fn unknown(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-unknown", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    let mut stranger = script.instance("stranger");
    stranger.request.member_id = "nobody".into();
    stranger.join(&mut script);
    let [mut leader, mut follower] = pair(&mut script);
    stranger.request.member_id = "nobody".into();
    stranger.join(&mut script);
    stranger.generation = leader.generation;
    stranger.request.member_id = "nobody".into();
    stranger.heartbeat(&mut script);
    stranger.sync(&mut script, &[]);
    stranger.commit(&mut script, 5);
    // A member that gives another's instance, and one that gives none.
    leader.request.group_instance_id = Some("two".into());
    leader.heartbeat(&mut script);
    leader.sync(&mut script, &[]);
    leader.commit(&mut script, 5);
    follower.request.group_instance_id = None;
    follower.heartbeat(&mut script);
    follower.sync(&mut script, &[]);
    follower.commit(&mut script, 5);
    script.end()
}

/// The instance restarts while its join waits.
fn during_rebalance(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-during-rebalance", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    let [mut leader, mut follower] = pair(&mut script);
    follower.request.protocols = protocols(&[("range", "changed")]);
    follower.begin_to_join(&script);
    script.wait_for_state("PreparingRebalance");
    let mut again = restarted(&script, &follower);
    again.begin_to_join(&script);
    follower.end_join(&mut script);
    leader.begin_to_join(&script);
    again.end_join(&mut script);
    leader.end_join(&mut script);
    script.describe();
    script.end()
}

/// The instance restarts between its join and its sync, and while its sync waits.
fn before_sync(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-before-sync", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    let mut member = script.instance("one");
    member.enter(&mut script);
    let mut again = restarted(&script, &member);
    again.join(&mut script);
    member.sync_alone(&mut script);
    again.sync_alone(&mut script);
    script.describe();
    script.end()
}

/// An instance id may be anything.
fn names(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-names", KEY, version);
    if version < OLDEST {
        return script.end();
    }
    for (number, name) in ["", " ", ".", "a/b", "ü", &"x".repeat(200)].into_iter().enumerate() {
        let mut member = script.instance(name);
        member.request.group_id = format!("{}-{number}", script.group);
        member.enter(&mut script);
        member.sync_alone(&mut script);
        member.heartbeat(&mut script);
        let group = member.request.group_id.clone();
        script.describe_groups(&[&group]);
    }
    script.end()
}

/// Its session ends as anybody's does, and its place is gone.
fn dies(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "instance-dies", KEY, version);
    if version < 9 {
        return script.end();
    }
    let mut member = script.instance("one");
    member.request.session_timeout_ms = 500;
    let mut member = script.stable_group(vec![member]).remove(0);
    script.wait_for_state("Empty");
    script.describe();
    member.heartbeat(&mut script);
    member.join(&mut script);
    restarted(&script, &member).join(&mut script);
    script.end()
}
