//! A process that is a member of a group, and does what clients do: it answers every error as Apache's consumer does.

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::assignment::{self, Place};
use super::plan::{MemberPlan, REBALANCE_MS_MAX, TOPICS};

const BACKOFF_MS: i64 = 150;
/// How long it waits for answers that the coordinator does not hold back.
const PATIENCE_MS: i64 = 4_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Dead,
    Joining,
    Syncing,
    /// It has an assignment.
    Stable,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Wake {
    Join,
    Sync,
    Heartbeat,
    Commit,
}

/// What a member wants the world to do for it.
#[derive(Debug)]
pub(super) enum Action {
    /// The answer comes under the number, or the member gives up.
    Send {
        number: u64,
        api_version: i16,
        request: GroupRequest,
        patience_ms: i64,
    },
    /// Ignored if the member has another epoch by then.
    Wake { after_ms: i64, epoch: u32, what: Wake },
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) plan: MemberPlan,
    pub(super) phase: Phase,
    pub(super) id: String,
    pub(super) generation: i32,
    pub(super) places: Vec<Place>,
    pub(super) paused_until_ms: i64,
    /// Between hearing of a rebalance and joining it, it works on what it has read.
    pub(super) lag_ms: i64,
    /// Counts the changes of phase.
    pub(super) epoch: u32,
    protocol: Option<String>,
    /// To be sent with SyncGroup, if it leads.
    handed_out: Vec<SyncGroupRequestAssignment>,
    positions: BTreeMap<Place, i64>,
    requests: u64,
    /// The numbers of the requests whose answers it waits for.
    joining: Option<u64>,
    heartbeat: Option<u64>,
    commit: Option<u64>,
    is_called: bool,
}

impl Member {
    pub(super) fn new(plan: MemberPlan) -> Member {
        Member {
            plan,
            phase: Phase::Dead,
            id: String::new(),
            generation: -1,
            places: Vec::new(),
            paused_until_ms: 0,
            lag_ms: 0,
            epoch: 0,
            protocol: None,
            handed_out: Vec::new(),
            positions: BTreeMap::new(),
            requests: 0,
            joining: None,
            heartbeat: None,
            commit: None,
            is_called: false,
        }
    }

    /// A new process, which remembers nothing.
    pub(super) fn start(&mut self, out: &mut Vec<Action>) {
        self.id.clear();
        self.positions.clear();
        self.lag_ms = 0;
        self.generation = -1;
        self.join(out);
    }

    pub(super) fn die(&mut self) {
        self.enter(Phase::Dead);
    }

    pub(super) fn leave(&mut self, out: &mut Vec<Action>) {
        let identity = MemberIdentity {
            member_id: self.id.clone(),
            group_instance_id: self.plan.instance.clone(),
            ..Default::default()
        };
        let is_batch = self.plan.versions.leave >= 3;
        let request = LeaveGroupRequest {
            group_id: self.plan.group.to_owned(),
            member_id: if is_batch { String::new() } else { self.id.clone() },
            members: if is_batch { vec![identity] } else { Vec::new() },
            ..Default::default()
        };
        self.send(self.plan.versions.leave, GroupRequest::Leave(request), PATIENCE_MS, out);
        self.die();
    }

    /// It has learnt of something that needs a rebalance.
    pub(super) fn rejoin(&mut self, out: &mut Vec<Action>) {
        if self.phase == Phase::Stable {
            self.join(out);
        }
    }

    pub(super) fn on_wake(&mut self, what: Wake, random_advance: i64, out: &mut Vec<Action>) {
        match what {
            Wake::Join => self.join(out),
            Wake::Sync => self.sync(out),
            Wake::Heartbeat => self.send_heartbeat(out),
            Wake::Commit => self.send_commit(random_advance, out),
        }
    }

    pub(super) fn on_answer(&mut self, number: u64, response: GroupResponse, out: &mut Vec<Action>) {
        let number = Some(number);
        match response {
            GroupResponse::Join(response) if self.joining == number => {
                self.joining = None;
                self.on_joined(response, out);
            }
            GroupResponse::Sync(response) if self.joining == number => {
                self.joining = None;
                self.on_synced(response.error_code, &response.assignment, out);
            }
            GroupResponse::Heartbeat(response) if self.heartbeat == number => {
                self.heartbeat = None;
                self.on_error(response.error_code, out);
            }
            GroupResponse::CommitOffsets(response) if self.commit == number => {
                self.commit = None;
                let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
                let code = partitions.map(|partition| partition.error_code).find(|code| *code != 0);
                self.on_error(code.unwrap_or(0), out);
            }
            GroupResponse::FetchOffsets(response) => self.on_fetched(&response),
            _ => {}
        }
    }

    /// No answer came, or the connection was lost.
    pub(super) fn on_give_up(&mut self, number: u64, out: &mut Vec<Action>) {
        let number = Some(number);
        if self.joining == number {
            self.joining = None;
            let what = if self.phase == Phase::Syncing { Wake::Sync } else { Wake::Join };
            self.wake(BACKOFF_MS, what, out);
        } else if self.heartbeat == number {
            self.heartbeat = None;
        } else if self.commit == number {
            self.commit = None;
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
        self.joining = None;
        self.heartbeat = None;
        self.commit = None;
        self.is_called = false;
        if phase == Phase::Dead || !self.plan.is_cooperative {
            self.places.clear();
        }
    }

    fn send(&mut self, api_version: i16, request: GroupRequest, patience_ms: i64, out: &mut Vec<Action>) -> Option<u64> {
        self.requests += 1;
        out.push(Action::Send {
            number: self.requests,
            api_version,
            request,
            patience_ms,
        });
        Some(self.requests)
    }

    fn wake(&self, after_ms: i64, what: Wake, out: &mut Vec<Action>) {
        out.push(Action::Wake {
            after_ms,
            epoch: self.epoch,
            what,
        });
    }

    /// Longer than anybody may hold up a rebalance: a client that gives up earlier, and joins again as somebody else, holds up the next.
    fn patience_ms(&self) -> i64 {
        i64::from(self.plan.rebalance_ms).max(REBALANCE_MS_MAX) + 5_000
    }

    fn join(&mut self, out: &mut Vec<Action>) {
        self.enter(Phase::Joining);
        let metadata = assignment::subscription(&self.plan.topics);
        let protocol = |name: &&str| JoinGroupRequestProtocol {
            name: (*name).to_owned(),
            metadata: metadata.clone(),
            ..Default::default()
        };
        let request = JoinGroupRequest {
            group_id: self.plan.group.to_owned(),
            session_timeout_ms: self.plan.session_ms,
            rebalance_timeout_ms: self.plan.rebalance_ms,
            member_id: self.id.clone(),
            group_instance_id: self.plan.instance.clone(),
            protocol_type: self.plan.protocol_type.to_owned(),
            protocols: self.plan.protocols.iter().map(protocol).collect(),
            ..Default::default()
        };
        let patience_ms = self.patience_ms();
        self.joining = self.send(self.plan.versions.join, GroupRequest::Join(request), patience_ms, out);
    }

    fn on_joined(&mut self, response: JoinGroupResponse, out: &mut Vec<Action>) {
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {
                self.id = response.member_id;
                self.generation = response.generation_id;
                self.protocol = response.protocol_name;
                self.handed_out = match response.leader == self.id && !response.skip_assignment {
                    true => hand_out(assignment::assign(&response.members, response.generation_id)),
                    false => Vec::new(),
                };
                self.sync(out);
            }
            ErrorCode::MemberIdRequired => {
                self.id = response.member_id;
                self.join(out);
            }
            ErrorCode::UnknownMemberId => {
                self.id.clear();
                self.wake(BACKOFF_MS, Wake::Join, out);
            }
            // Those that are not retriable are for people to solve; then the process is gone.
            ErrorCode::RebalanceInProgress | ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator => {
                self.wake(BACKOFF_MS, Wake::Join, out);
            }
            _ => self.die(),
        }
    }

    fn sync(&mut self, out: &mut Vec<Action>) {
        self.enter(Phase::Syncing);
        let needs_protocol = self.plan.versions.sync >= 5;
        let request = SyncGroupRequest {
            group_id: self.plan.group.to_owned(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.plan.instance.clone(),
            protocol_type: needs_protocol.then(|| self.plan.protocol_type.to_owned()),
            protocol_name: self.protocol.clone().filter(|_| needs_protocol),
            assignments: self.handed_out.clone(),
            ..Default::default()
        };
        let patience_ms = self.patience_ms();
        if self.plan.is_cooperative {
            self.commit(0, out);
        }
        self.joining = self.send(self.plan.versions.sync, GroupRequest::Sync(request), patience_ms, out);
    }

    fn on_synced(&mut self, error_code: i16, assignment: &Bytes, out: &mut Vec<Action>) {
        match ErrorCode::from_code(error_code) {
            ErrorCode::None => {
                self.enter(Phase::Stable);
                self.places = assignment::decode(assignment).unwrap_or_default();
                self.wake(self.plan.heartbeat_ms, Wake::Heartbeat, out);
                self.wake(self.plan.commit_ms, Wake::Commit, out);
                self.fetch_positions(out);
            }
            ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator => self.wake(BACKOFF_MS, Wake::Sync, out),
            _ => self.on_error(error_code, out),
        }
    }

    /// Of SyncGroup, Heartbeat and OffsetCommit.
    fn on_error(&mut self, error_code: i16, out: &mut Vec<Action>) {
        match ErrorCode::from_code(error_code) {
            ErrorCode::RebalanceInProgress if !self.is_called => {
                self.is_called = true;
                self.wake(self.lag_ms, Wake::Join, out);
            }
            ErrorCode::IllegalGeneration => self.join(out),
            ErrorCode::UnknownMemberId => {
                self.id.clear();
                self.join(out);
            }
            ErrorCode::FencedInstanceId | ErrorCode::InconsistentGroupProtocol => self.die(),
            _ => {}
        }
    }

    fn send_heartbeat(&mut self, out: &mut Vec<Action>) {
        self.wake(self.plan.heartbeat_ms, Wake::Heartbeat, out);
        if self.heartbeat.is_none() {
            let request = HeartbeatRequest {
                group_id: self.plan.group.to_owned(),
                generation_id: self.generation,
                member_id: self.id.clone(),
                group_instance_id: self.plan.instance.clone(),
                ..Default::default()
            };
            self.heartbeat = self.send(self.plan.versions.heartbeat, GroupRequest::Heartbeat(request), PATIENCE_MS, out);
        }
    }

    fn send_commit(&mut self, advance: i64, out: &mut Vec<Action>) {
        self.wake(self.plan.commit_ms, Wake::Commit, out);
        if self.commit.is_none() {
            self.commit = self.commit(advance, out);
        }
    }

    /// None if it owns nothing.
    fn commit(&mut self, advance: i64, out: &mut Vec<Action>) -> Option<u64> {
        if self.places.is_empty() {
            return None;
        }
        let mut topics: BTreeMap<u8, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for place in &self.places {
            let position = self.positions.entry(*place).or_default();
            *position += advance;
            topics.entry(place.0).or_default().push(OffsetCommitRequestPartition {
                partition_index: i32::from(place.1),
                committed_offset: *position,
                committed_leader_epoch: if self.plan.versions.commit >= 6 { 3 } else { -1 },
                committed_metadata: Some("m".to_owned()),
                ..Default::default()
            });
        }
        let topic = |(topic, partitions): (u8, Vec<OffsetCommitRequestPartition>)| OffsetCommitRequestTopic {
            name: TOPICS[usize::from(topic)].to_owned(),
            partitions,
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.plan.group.to_owned(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.plan.instance.clone(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        self.send(self.plan.versions.commit, GroupRequest::CommitOffsets(request), PATIENCE_MS, out)
    }

    fn fetch_positions(&mut self, out: &mut Vec<Action>) {
        let topic = |place: &Place| OffsetFetchRequestTopics {
            name: TOPICS[usize::from(place.0)].to_owned(),
            partition_indexes: vec![i32::from(place.1)],
            ..Default::default()
        };
        let request = OffsetFetchRequestGroup {
            group_id: self.plan.group.to_owned(),
            topics: Some(self.places.iter().map(topic).collect()),
            ..Default::default()
        };
        self.send(self.plan.versions.fetch, GroupRequest::FetchOffsets(request), PATIENCE_MS, out);
    }

    fn on_fetched(&mut self, response: &OffsetFetchResponseGroup) {
        for topic in &response.topics {
            let Some(index) = TOPICS.iter().position(|name| *name == topic.name) else {
                continue;
            };
            for partition in topic.partitions.iter().filter(|partition| partition.committed_offset >= 0) {
                let place = (index as u8, partition.partition_index as u8);
                self.positions.insert(place, partition.committed_offset);
            }
        }
    }
}

fn hand_out(assigned: BTreeMap<String, Vec<Place>>) -> Vec<SyncGroupRequestAssignment> {
    let entry = |(member_id, places): (String, Vec<Place>)| SyncGroupRequestAssignment {
        member_id,
        assignment: assignment::encode(&places),
        ..Default::default()
    };
    assigned.into_iter().map(entry).collect()
}
