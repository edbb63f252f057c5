//! OffsetDelete and DeleteGroups.

use super::script::{Script, TOPIC, protocol, subscription};
use crate::cases::Definition;
use crate::cases::admin::create_topic;
use crate::peer::Peer;
use dohle_protocol::ApiKey;
use dohle_protocol::messages::delete_groups::DeleteGroupsRequest;
use dohle_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};

const OTHER_TOPIC: &str = "group-topic-2";

pub(super) const CASES: &[Definition] = &[
    ("delete-offsets", ApiKey::OffsetDelete, delete_offsets),
    ("delete-offsets-subscribed", ApiKey::OffsetDelete, delete_offsets_subscribed),
    ("delete-offsets-states", ApiKey::OffsetDelete, delete_offsets_states),
    ("delete-offsets-of-others", ApiKey::OffsetDelete, delete_offsets_of_others),
    ("delete-groups", ApiKey::DeleteGroups, delete_groups),
    ("delete-groups-states", ApiKey::DeleteGroups, delete_groups_states),
];

fn delete_request(group: &str, partitions: &[(&str, &[i32])]) -> OffsetDeleteRequest {
    let topics = partitions.iter().map(|(name, partitions)| OffsetDeleteRequestTopic {
        name: (*name).into(),
        partitions: partitions
            .iter()
            .map(|index| OffsetDeleteRequestPartition { partition_index: *index })
            .collect(),
    });
    OffsetDeleteRequest {
        group_id: group.into(),
        topics: topics.collect(),
    }
}

fn ask(script: &mut Script, group: &str, partitions: &[(&str, &[i32])]) {
    script.ask(&delete_request(group, partitions));
}

fn commit_both(script: &mut Script) {
    create_topic(script.peer(), OTHER_TOPIC, 1, &[]);
    let request = script.commit_request(&[(TOPIC, 0, 5, Some("")), (TOPIC, 1, 5, Some("")), (OTHER_TOPIC, 0, 5, Some(""))]);
    script.call(&request);
}

fn tell_offsets(script: &mut Script) {
    let groups = vec![OffsetFetchRequestGroup {
        group_id: script.group.clone(),
        topics: None,
        ..Default::default()
    }];
    let mut answer = script.call(&OffsetFetchRequest {
        groups,
        ..Default::default()
    });
    for topics in answer
        .iter_mut()
        .flat_map(|answer| &mut answer.groups)
        .map(|group| &mut group.topics)
    {
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        for topic in topics {
            topic.partitions.sort_by_key(|partition| partition.partition_index);
        }
    }
    script.tell(&answer);
}

fn delete_offsets(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "delete-offsets", ApiKey::OffsetDelete, version);
    let group = script.group.clone();
    ask(&mut script, "", &[(TOPIC, &[0])]);
    ask(&mut script, "nobody-is-here", &[(TOPIC, &[0])]);
    commit_both(&mut script);
    ask(&mut script, &group, &[]);
    ask(&mut script, &group, &[(TOPIC, &[])]);
    ask(&mut script, &group, &[(TOPIC, &[0, 2, 3, -1]), ("nowhere", &[0])]);
    tell_offsets(&mut script);
    ask(&mut script, &group, &[("nowhere", &[0])]);
    ask(&mut script, &group, &[(TOPIC, &[1, 1]), (OTHER_TOPIC, &[0])]);
    tell_offsets(&mut script);
    // A group that lost its last offset.
    script.describe();
    ask(&mut script, &group, &[(TOPIC, &[0])]);
    script.end()
}

/// Offsets of topics that members want are theirs.
fn delete_offsets_subscribed(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "delete-offsets-subscribed", ApiKey::OffsetDelete, version);
    let group = script.group.clone();
    commit_both(&mut script);
    let mut member = script.member();
    member.request.protocols = vec![protocol("range", subscription(&[TOPIC], ""))];
    let mut member = script.stable_group(vec![member]).remove(0);
    ask(&mut script, &group, &[(TOPIC, &[0, 2, 9]), (OTHER_TOPIC, &[0]), ("nowhere", &[0])]);
    tell_offsets(&mut script);
    member.leave(&mut script);
    ask(&mut script, &group, &[(TOPIC, &[0])]);
    tell_offsets(&mut script);
    script.end()
}

/// A group that is not stable yet.
fn delete_offsets_states(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "delete-offsets-states", ApiKey::OffsetDelete, version);
    let group = script.group.clone();
    commit_both(&mut script);
    let mut first = script.member();
    first.request.protocols = vec![protocol("range", subscription(&[TOPIC], ""))];
    first.enter(&mut script);
    ask(&mut script, &group, &[(TOPIC, &[0]), (OTHER_TOPIC, &[0])]);
    let mut second = script.member();
    second.request.protocols = vec![protocol("range", subscription(&[OTHER_TOPIC], ""))];
    second.begin_to_enter(&mut script);
    script.wait_for_state("PreparingRebalance");
    ask(&mut script, &group, &[(TOPIC, &[1]), (OTHER_TOPIC, &[0])]);
    tell_offsets(&mut script);
    drop((first, second));
    script.end()
}

/// Members that are no consumers want no topics, as far as anybody knows.
fn delete_offsets_of_others(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "delete-offsets-of-others", ApiKey::OffsetDelete, version);
    let group = script.group.clone();
    commit_both(&mut script);
    let mut member = script.member();
    member.request.protocol_type = "connect".into();
    let mut member = script.stable_group(vec![member]).remove(0);
    ask(&mut script, &group, &[(TOPIC, &[0, 2]), ("nowhere", &[0])]);
    tell_offsets(&mut script);
    member.leave(&mut script);
    ask(&mut script, &group, &[(TOPIC, &[1])]);
    tell_offsets(&mut script);
    script.end()
}

fn delete(script: &mut Script, groups: &[&str]) {
    let groups_names = groups.iter().map(ToString::to_string).collect();
    let mut answer = script.call(&DeleteGroupsRequest {
        groups_names,
        ..Default::default()
    });
    // One group is answered by one coordinator, others by others, in any order.
    if let Some(answer) = &mut answer {
        answer.results.sort_by(|one, other| one.group_id.cmp(&other.group_id));
    }
    script.tell(&answer);
}

fn delete_groups(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "delete-groups", ApiKey::DeleteGroups, version);
    let group = script.group.clone();
    delete(&mut script, &[]);
    delete(&mut script, &[""]);
    delete(&mut script, &["nobody-is-here"]);
    commit_both(&mut script);
    delete(&mut script, &["nobody-is-here", &group, ""]);
    script.describe();
    tell_offsets(&mut script);
    delete(&mut script, &[&group]);
    commit_both(&mut script);
    delete(&mut script, &[&group, &group]);
    script.end()
}

/// Only a group that nobody is in.
fn delete_groups_states(peer: &mut Peer, version: i16) -> String {
    let mut script = Script::new(peer, "delete-groups-states", ApiKey::DeleteGroups, version);
    let group = script.group.clone();
    let mut member = script.member();
    // An id that was given to nobody who came back.
    member.join(&mut script);
    delete(&mut script, &[&group]);
    member.enter(&mut script);
    delete(&mut script, &[&group]);
    let mut other = script.member();
    other.enter(&mut script);
    other.sync_alone(&mut script);
    delete(&mut script, &[&group]);
    other.leave(&mut script);
    member.leave(&mut script);
    delete(&mut script, &[&group]);
    script.describe();
    member.heartbeat(&mut script);
    let mut fresh = script.member();
    fresh.enter(&mut script);
    script.end()
}
