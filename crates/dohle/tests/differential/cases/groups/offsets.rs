//! OffsetCommit and OffsetFetch.

use super::script::{Script, TOPIC};
use crate::cases::Definition;
use crate::cases::admin::create_topic;
use crate::peer::Peer;
use dohle_protocol::ApiKey;
use dohle_protocol::messages::offset_commit::OffsetCommitRequest;
use dohle_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponseTopics,
};

pub(super) const CASES: &[Definition] = &[
    ("commit", ApiKey::OffsetCommit, commit),
    ("commit-metadata", ApiKey::OffsetCommit, commit_metadata),
    ("commit-unknown", ApiKey::OffsetCommit, commit_unknown),
    ("commit-odd", ApiKey::OffsetCommit, commit_odd),
    ("commit-without-group", ApiKey::OffsetCommit, commit_without_group),
    ("commit-states", ApiKey::OffsetCommit, commit_states),
    ("commit-refused", ApiKey::OffsetCommit, commit_refused),
    ("commit-instance", ApiKey::OffsetCommit, commit_instance),
    ("fetch-offsets", ApiKey::OffsetFetch, fetch),
    ("fetch-offsets-nothing", ApiKey::OffsetFetch, fetch_nothing),
    ("fetch-offsets-all", ApiKey::OffsetFetch, fetch_all),
    ("fetch-offsets-stable", ApiKey::OffsetFetch, fetch_stable),
    ("fetch-offsets-groups", ApiKey::OffsetFetch, fetch_groups),
    ("fetch-offsets-members", ApiKey::OffsetFetch, fetch_members),
    ("fetch-offsets-deleted-topic", ApiKey::OffsetFetch, fetch_deleted_topic),
];

/// What a request asks of one group: topics with their partitions, or all.
type Wanted<'a> = Option<&'a [(&'a str, &'a [i32])]>;

/// In the shape that the version has.
fn fetch_request(script: &mut Script, group: &str, wanted: Wanted) -> OffsetFetchRequest {
    let version = script.version_of(ApiKey::OffsetFetch);
    if version >= 8 {
        return OffsetFetchRequest {
            groups: vec![group_request(script, group, wanted)],
            ..Default::default()
        };
    }
    let topics = wanted.map(|topics| {
        let topics = topics.iter().map(|(name, partitions)| OffsetFetchRequestTopic {
            name: (*name).into(),
            partition_indexes: partitions.to_vec(),
            ..Default::default()
        });
        topics.collect()
    });
    OffsetFetchRequest {
        group_id: group.into(),
        topics,
        ..Default::default()
    }
}

fn group_request(script: &mut Script, group: &str, wanted: Wanted) -> OffsetFetchRequestGroup {
    let mut by_name = |name: &str, partitions: &[i32]| OffsetFetchRequestTopics {
        name: name.into(),
        topic_id: script.id_of(name),
        partition_indexes: partitions.to_vec(),
        ..Default::default()
    };
    let topics = wanted.map(|topics| topics.iter().map(|(name, partitions)| by_name(name, partitions)).collect());
    OffsetFetchRequestGroup {
        group_id: group.into(),
        topics,
        ..Default::default()
    }
}

fn tell_offsets(script: &mut Script, wanted: Wanted) {
    let group = script.group.clone();
    let request = fetch_request(script, &group, wanted);
    tell_sorted(script, &request);
}

/// All topics of a group come in no particular order.
fn tell_sorted(script: &mut Script, request: &OffsetFetchRequest) {
    let mut answer = script.call(request);
    if let Some(answer) = &mut answer {
        answer.topics.sort_by(|one, other| one.name.cmp(&other.name));
        for topic in &mut answer.topics {
            topic.partitions.sort_by_key(|partition| partition.partition_index);
        }
        for group in &mut answer.groups {
            for topic in &mut group.topics {
                topic.partitions.sort_by_key(|partition| partition.partition_index);
            }
            // By name, or where they have ids, which are random, by what was committed.
            let place = |topic: &OffsetFetchResponseTopics| format!("{} {:?}", topic.name, topic.partitions);
            group.topics.sort_by_cached_key(place);
        }
    }
    script.tell(&answer);
}

/// By nobody in particular: a consumer that assigns itself what it reads.
fn commit(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "commit", ApiKey::OffsetCommit, version);
    let mut request = script.commit_request(&[(TOPIC, 0, 5, Some("metadata")), (TOPIC, 2, 0, Some(""))]);
    request.topics[0].partitions[0].committed_leader_epoch = 3;
    if version <= 4 {
        request.retention_time_ms = 60_000;
    }
    script.ask(&request);
    script.describe();
    tell_offsets(&mut script, None);
    // Back again, and with another epoch.
    request.topics[0].partitions[0].committed_offset = 1;
    request.topics[0].partitions[0].committed_leader_epoch = -1;
    script.ask(&request);
    tell_offsets(&mut script, None);
    script.end()
}

fn commit_metadata(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "commit-metadata", ApiKey::OffsetCommit, version);
    let (longest, too_long) = ("x".repeat(4096), "x".repeat(4097));
    // The limit is for letters, or for bytes.
    let (letters, more_letters) = ("ü".repeat(2048), "ü".repeat(2049));
    for metadata in [
        None,
        Some(""),
        Some(longest.as_str()),
        Some(&too_long),
        Some(&letters),
        Some(&more_letters),
    ] {
        let request = script.commit_request(&[(TOPIC, 0, 7, metadata)]);
        script.ask(&request);
        tell_offsets(&mut script, None);
    }
    // One that is too long does not spoil the others.
    let request = script.commit_request(&[
        (TOPIC, 0, 8, Some("good")),
        (TOPIC, 1, 8, Some(&too_long)),
        (TOPIC, 2, 8, Some("good")),
    ]);
    script.ask(&request);
    tell_offsets(&mut script, None);
    script.end()
}

fn commit_unknown(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "commit-unknown", ApiKey::OffsetCommit, version);
    let request = script.commit_request(&[
        ("nowhere", 0, 5, Some("")),
        (TOPIC, 3, 5, Some("")),
        (TOPIC, -1, 5, Some("")),
        (TOPIC, 1, 5, Some("")),
        ("nowhere", 1, 5, Some("")),
    ]);
    script.ask(&request);
    let request = script.commit_request(&[("nowhere", 0, 5, Some(""))]);
    script.ask(&request);
    tell_offsets(&mut script, None);
    if version >= 10 {
        let mut request = script.commit_request(&[(TOPIC, 0, 5, Some(""))]);
        request.topics[0].topic_id = uuid::Uuid::nil();
        script.ask(&request);
    }
    script.end()
}

/// Nothing at all, one partition twice, offsets that are none.
fn commit_odd(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "commit-odd", ApiKey::OffsetCommit, version);
    let request = script.commit_request(&[]);
    script.ask(&request);
    script.describe();
    let mut request = script.commit_request(&[(TOPIC, 0, 1, Some("")), (TOPIC, 0, 2, Some(""))]);
    script.ask(&request);
    tell_offsets(&mut script, None);
    let topic = request.topics[0].clone();
    request.topics.push(topic);
    request.topics[0].partitions.clear();
    script.ask(&request);
    for offset in [-1, -2, i64::MIN, i64::MAX] {
        let request = script.commit_request(&[(TOPIC, 1, offset, Some(""))]);
        script.ask(&request);
        tell_offsets(&mut script, Some(&[(TOPIC, &[1])]));
    }
    let mut request = script.commit_request(&[(TOPIC, 2, 1, Some(""))]);
    request.topics[0].partitions[0].committed_leader_epoch = -5;
    script.ask(&request);
    tell_offsets(&mut script, None);
    script.end()
}

/// No group of the name, with a generation; and the group without a name.
fn commit_without_group(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "commit-without-group", ApiKey::OffsetCommit, version);
    let good = script.commit_request(&[(TOPIC, 0, 5, Some(""))]);
    let ask = |script: &mut Script, generation: i32, member: &str| {
        script.ask(&OffsetCommitRequest {
            generation_id_or_member_epoch: generation,
            member_id: member.into(),
            ..good.clone()
        });
        script.describe();
    };
    for (generation, member) in [(0, ""), (1, "nobody"), (-2, ""), (-1, "nobody")] {
        ask(&mut script, generation, member);
    }
    // There is a group now.
    for (generation, member) in [(0, ""), (1, "nobody"), (-2, ""), (-1, "")] {
        ask(&mut script, generation, member);
    }
    let mut request = good.clone();
    request.group_id = String::new();
    script.ask(&request);
    request.generation_id_or_member_epoch = 1;
    script.ask(&request);
    script.end()
}

/// A member in each state of its group.
fn commit_states(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "commit-states", ApiKey::OffsetCommit, version);
    let mut member = script.member();
    member.enter(&mut script);
    member.commit(&mut script, 1);
    member.sync_alone(&mut script);
    member.commit(&mut script, 2);
    let mut second = script.member();
    second.begin_to_enter(&mut script);
    script.wait_for_state("PreparingRebalance");
    member.commit(&mut script, 3);
    member.join_last(&mut script, &mut [&mut second]);
    second.commit(&mut script, 4);
    tell_offsets(&mut script, None);
    second.leave(&mut script);
    member.leave(&mut script);
    member.commit(&mut script, 5);
    let request = script.commit_request(&[(TOPIC, 0, 6, Some(""))]);
    script.ask(&request);
    tell_offsets(&mut script, None);
    script.end()
}

/// Somebody else, or of another generation.
fn commit_refused(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "commit-refused", ApiKey::OffsetCommit, version);
    let members = vec![script.member()];
    let member = script.stable_group(members).remove(0);
    let good = OffsetCommitRequest {
        generation_id_or_member_epoch: member.generation,
        member_id: member.id().into(),
        ..script.commit_request(&[(TOPIC, 0, 5, Some("")), (TOPIC, 9, 5, Some("")), ("nowhere", 0, 5, Some(""))])
    };
    let mut ask = |change: fn(&mut OffsetCommitRequest)| {
        let mut request = good.clone();
        change(&mut request);
        script.ask(&request);
    };
    ask(|request| request.generation_id_or_member_epoch += 1);
    ask(|request| request.generation_id_or_member_epoch -= 1);
    ask(|request| request.generation_id_or_member_epoch = -1);
    ask(|request| request.member_id = "nobody".into());
    ask(|request| request.member_id = String::new());
    ask(|request| {
        request.generation_id_or_member_epoch = -1;
        request.member_id = String::new();
    });
    if version >= 7 {
        ask(|request| request.group_instance_id = Some("nobody".into()));
        ask(|request| request.group_instance_id = Some(String::new()));
    }
    ask(|_| {});
    tell_offsets(&mut script, None);
    script.end()
}

fn commit_instance(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "commit-instance", ApiKey::OffsetCommit, version);
    let members = vec![script.instance("one"), script.instance("two")];
    let mut members = script.stable_group(members);
    members[0].commit(&mut script, 5);
    if version >= 7 {
        let other = members[1].id().to_owned();
        let own = std::mem::replace(&mut members[0].request.member_id, other);
        members[0].commit(&mut script, 6);
        members[0].request.member_id = String::new();
        members[0].commit(&mut script, 7);
        members[0].request.member_id = own;
        members[0].commit(&mut script, 8);
    }
    tell_offsets(&mut script, None);
    script.end()
}

fn commit_some(script: &mut Script) {
    let request = script.commit_request(&[(TOPIC, 0, 5, Some("metadata")), (TOPIC, 2, 7, None)]);
    script.call(&request);
}

fn fetch(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "fetch-offsets", ApiKey::OffsetFetch, version);
    commit_some(&mut script);
    for wanted in [
        &[(TOPIC, &[0, 1, 2, 3, -1][..])][..],
        &[(TOPIC, &[2, 0, 2])],
        &[(TOPIC, &[])],
        &[("nowhere", &[0, 1]), (TOPIC, &[0])],
        &[(TOPIC, &[0]), (TOPIC, &[2])],
        &[("", &[0])],
        &[],
    ] {
        let group = script.group.clone();
        let request = fetch_request(&mut script, &group, Some(wanted));
        script.ask(&request);
    }
    script.end()
}

/// Groups that are not there, and no name.
fn fetch_nothing(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "fetch-offsets-nothing", ApiKey::OffsetFetch, version);
    for group in ["nobody-is-here", ""] {
        let request = fetch_request(&mut script, group, Some(&[(TOPIC, &[0, 1]), ("nowhere", &[0])]));
        script.ask(&request);
        if version >= 2 {
            let request = fetch_request(&mut script, group, None);
            script.ask(&request);
        }
    }
    let members = vec![script.member()];
    script.stable_group(members);
    tell_offsets(&mut script, Some(&[(TOPIC, &[0])]));
    script.end()
}

fn fetch_all(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "fetch-offsets-all", ApiKey::OffsetFetch, version);
    create_topic(peer, "group-topic-2", 1, &[]);
    commit_some(&mut script);
    let request = script.commit_request(&[("group-topic-2", 0, 1, Some("other"))]);
    script.ask(&request);
    if version >= 2 {
        tell_offsets(&mut script, None);
    }
    script.end()
}

fn fetch_stable(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "fetch-offsets-stable", ApiKey::OffsetFetch, version);
    commit_some(&mut script);
    if version >= 7 {
        let group = script.group.clone();
        let request = fetch_request(&mut script, &group, Some(&[(TOPIC, &[0, 1])]));
        script.ask(&OffsetFetchRequest {
            require_stable: true,
            ..request
        });
    }
    script.end()
}

/// Several in one request, from version 8 on.
fn fetch_groups(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "fetch-offsets-groups", ApiKey::OffsetFetch, version);
    commit_some(&mut script);
    if version < 8 {
        return script.end();
    }
    let own = script.group.clone();
    let wanted: [(&str, Wanted); 6] = [
        (&own, Some(&[(TOPIC, &[0])])),
        ("nobody-is-here", Some(&[(TOPIC, &[0])])),
        ("", Some(&[(TOPIC, &[0])])),
        (&own, Some(&[(TOPIC, &[2])])),
        ("nobody-is-here-either", None),
        (&own, Some(&[])),
    ];
    let groups = wanted.map(|(group, wanted)| group_request(&mut script, group, wanted)).to_vec();
    // Each is answered by a coordinator of its own: in any order, save what one group is told.
    let mut answer = script.call(&OffsetFetchRequest {
        groups,
        ..Default::default()
    });
    if let Some(answer) = &mut answer {
        answer.groups.sort_by(|one, other| one.group_id.cmp(&other.group_id));
    }
    script.tell(&answer);
    script.ask(&OffsetFetchRequest::default());
    script.end()
}

/// A member may say who it is, from version 9 on. That is for another kind of groups.
fn fetch_members(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "fetch-offsets-members", ApiKey::OffsetFetch, version);
    if version < 9 {
        return script.end();
    }
    let members = vec![script.member()];
    let mut member = script.stable_group(members).remove(0);
    member.commit(&mut script, 4);
    for (id, epoch) in [(member.id(), 1), (member.id(), 7), ("nobody", 1), ("nobody", -1), ("", 0)] {
        let group = script.group.clone();
        let mut request = fetch_request(&mut script, &group, Some(&[(TOPIC, &[0])]));
        request.groups[0].member_id = Some(id.into());
        request.groups[0].member_epoch = epoch;
        script.ask(&request);
    }
    script.end()
}

/// Offsets go with their topic; one that is made again begins without.
fn fetch_deleted_topic(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "fetch-offsets-deleted-topic", ApiKey::OffsetFetch, version);
    let topic = format!("short-lived-{version}");
    create_topic(peer, &topic, 1, &[]);
    let request = script.commit_request(&[(&topic, 0, 5, Some(""))]);
    script.ask(&request);
    tell_offsets(&mut script, Some(&[(&topic, &[0])]));
    peer.delete_topic(&topic);
    let group = script.group.clone();
    let request = fetch_request(&mut script, &group, Some(&[(&topic, &[0])]));
    while committed(&mut script, &request) {}
    script.ask(&request);
    create_topic(peer, &topic, 1, &[]);
    tell_offsets(&mut script, Some(&[(&topic, &[0])]));
    script.end()
}

/// A real node forgets them a moment after the topic is gone.
fn committed(script: &mut Script, request: &OffsetFetchRequest) -> bool {
    let answer = script.call(request).expect("an answer");
    let old = answer
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|partition| partition.committed_offset);
    let groups = answer.groups.iter().flat_map(|group| &group.topics);
    let new = groups
        .flat_map(|topic| &topic.partitions)
        .map(|partition| partition.committed_offset);
    old.chain(new).any(|offset| offset >= 0)
}
