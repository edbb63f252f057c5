//! Requests that no honest client would send: ids and generations of others, repeated requests of long ago, garbage.

use std::collections::VecDeque;

use bytes::Bytes;
use dohle_coordinator::GroupRequest;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::assignment::{self, GARBAGE};
use super::plan::{GROUPS, TOPICS, VERSIONS};
use crate::random::Random;

/// So much of what passed by is remembered.
const SIGHTINGS_MAX: usize = 24;

/// Protocols that strangers come with.
const OFFERS: [&[&str]; 5] = [&["range"], &["range", "sticky"], &["sticky"], &["odd"], &[]];

/// What a stranger has overheard.
#[derive(Debug, Clone)]
struct Sighting {
    group: String,
    member: String,
    instance: Option<String>,
    generation: i32,
}

#[derive(Debug, Default)]
pub(super) struct Stranger {
    sightings: VecDeque<Sighting>,
    requests: VecDeque<(i16, GroupRequest)>,
}

impl Stranger {
    pub(super) fn overhear(&mut self, api_version: i16, request: &GroupRequest) {
        let (group, member, instance, generation) = match request {
            GroupRequest::Join(join) => (&join.group_id, &join.member_id, &join.group_instance_id, -1),
            GroupRequest::Sync(sync) => (&sync.group_id, &sync.member_id, &sync.group_instance_id, sync.generation_id),
            GroupRequest::CommitOffsets(commit) => {
                let generation = commit.generation_id_or_member_epoch;
                (&commit.group_id, &commit.member_id, &commit.group_instance_id, generation)
            }
            _ => return,
        };
        self.sightings.push_back(Sighting {
            group: group.clone(),
            member: member.clone(),
            instance: instance.clone(),
            generation,
        });
        self.requests.push_back((api_version, request.clone()));
        if self.requests.len() > SIGHTINGS_MAX {
            self.sightings.pop_front();
            self.requests.pop_front();
        }
    }

    /// A version and a request.
    pub(super) fn draw(&self, random: &mut Random) -> (i16, GroupRequest) {
        if !self.requests.is_empty() && random.chance(250) {
            return self.requests[random.below(self.requests.len())].clone();
        }
        let victim = self.victim(random);
        let versions = *random.pick(&VERSIONS);
        match random.below(6) {
            0 => (versions.heartbeat, heartbeat(victim)),
            1 => (versions.sync, self.sync(random, versions.sync, victim)),
            2 | 3 => (versions.join, join(random, victim)),
            4 => (versions.leave, leave(random, versions.leave, victim)),
            _ => (versions.commit, commit(random, victim)),
        }
    }

    fn victim(&self, random: &mut Random) -> Sighting {
        let mut victim = match self.sightings.len() {
            0 => Sighting {
                group: (*random.pick(&GROUPS)).to_owned(),
                member: String::new(),
                instance: None,
                generation: 0,
            },
            seen => self.sightings[random.below(seen)].clone(),
        };
        victim.generation += random.pick(&[-1, 0, 0, 0, 1]);
        match random.below(12) {
            0 => victim.member.clear(),
            1 => victim.member.push('x'),
            2 => victim.instance = None,
            3 => victim.instance = Some(format!("i{}", random.below(4))),
            4 => victim.group = (*random.pick(&GROUPS)).to_owned(),
            5 if random.chance(200) => victim.group.clear(),
            _ => {}
        }
        victim
    }

    fn sync(&self, random: &mut Random, version: i16, victim: Sighting) -> GroupRequest {
        let entry = |sighting: &Sighting| SyncGroupRequestAssignment {
            member_id: sighting.member.clone(),
            assignment: Bytes::from_static(&[GARBAGE]),
            ..Default::default()
        };
        let has_protocol = version >= 5 && random.chance(900);
        GroupRequest::Sync(SyncGroupRequest {
            group_id: victim.group,
            generation_id: victim.generation,
            member_id: victim.member,
            group_instance_id: victim.instance,
            protocol_type: has_protocol.then(|| "consumer".to_owned()),
            protocol_name: has_protocol.then(|| "range".to_owned()),
            assignments: if random.chance(500) {
                self.sightings.iter().map(entry).collect()
            } else {
                Vec::new()
            },
            ..Default::default()
        })
    }
}

fn heartbeat(victim: Sighting) -> GroupRequest {
    GroupRequest::Heartbeat(HeartbeatRequest {
        group_id: victim.group,
        generation_id: victim.generation,
        member_id: victim.member,
        group_instance_id: victim.instance,
        ..Default::default()
    })
}

fn join(random: &mut Random, victim: Sighting) -> GroupRequest {
    let metadata = match random.below(3) {
        0 => Bytes::from_static(b"\x00"),
        1 => assignment::subscription(&TOPICS[1..]),
        _ => assignment::subscription(&TOPICS[..1]),
    };
    let names = OFFERS[random.below(OFFERS.len())];
    let protocol = |name: &&str| JoinGroupRequestProtocol {
        name: (*name).to_owned(),
        metadata: metadata.clone(),
        ..Default::default()
    };
    GroupRequest::Join(JoinGroupRequest {
        group_id: victim.group,
        session_timeout_ms: *random.pick(&[6_000, 6_000, 9_000, 1]),
        rebalance_timeout_ms: *random.pick(&[2_000, 5_000, 0, -1]),
        member_id: victim.member,
        group_instance_id: victim.instance,
        protocol_type: (*random.pick(&["consumer", "consumer", "connect"])).to_owned(),
        protocols: names.iter().map(protocol).collect(),
        ..Default::default()
    })
}

fn leave(random: &mut Random, version: i16, victim: Sighting) -> GroupRequest {
    let identity = MemberIdentity {
        member_id: if random.chance(300) { String::new() } else { victim.member.clone() },
        group_instance_id: victim.instance,
        ..Default::default()
    };
    GroupRequest::Leave(LeaveGroupRequest {
        group_id: victim.group,
        member_id: if version < 3 { victim.member } else { String::new() },
        members: if version < 3 { Vec::new() } else { vec![identity; random.below(3)] },
        ..Default::default()
    })
}

fn commit(random: &mut Random, victim: Sighting) -> GroupRequest {
    let is_simple = random.chance(300);
    let partition = OffsetCommitRequestPartition {
        partition_index: random.between(0..=4) as i32,
        committed_offset: random.between(0..=1_000),
        committed_metadata: random.chance(500).then(|| "longer".to_owned()),
        ..Default::default()
    };
    GroupRequest::CommitOffsets(OffsetCommitRequest {
        group_id: victim.group,
        generation_id_or_member_epoch: if is_simple { -1 } else { victim.generation },
        member_id: if is_simple { String::new() } else { victim.member },
        group_instance_id: victim.instance.filter(|_| !is_simple),
        topics: vec![OffsetCommitRequestTopic {
            name: (*random.pick(&TOPICS)).to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    })
}
