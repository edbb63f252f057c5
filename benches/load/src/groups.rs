//! Groups, and what is committed for them.

use anyhow::{Result, bail};
use bytes::Bytes;
use clap::Args;
use dohle_protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition};
use dohle_protocol::messages::find_coordinator::FindCoordinatorRequest;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use dohle_protocol::{ErrorCode, frame};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::bulk::cpu_s;
use crate::wire::Wire;

/// The last version that gives out a member id in the first answer.
const JOIN_VERSION: i16 = 3;
const SYNC_VERSION: i16 = 3;
const COMMIT_VERSION: i16 = 8;
const FETCH_VERSION: i16 = 8;
const ASSIGNMENT_VERSION: i16 = 1;

#[derive(Args)]
pub(crate) struct Rebalance {
    #[arg(long)]
    bootstrap_server: String,
    #[arg(long)]
    topic: String,
    #[arg(long, default_value_t = 100)]
    members: usize,
    #[arg(long, default_value_t = 1000)]
    partitions: usize,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(Args)]
pub(crate) struct Offsets {
    #[arg(long)]
    bootstrap_server: String,
    #[arg(long)]
    topic: String,
    #[arg(long, default_value_t = 1000)]
    groups: usize,
    /// Offsets of each group.
    #[arg(long, default_value_t = 10)]
    partitions: i32,
    /// Reads what was committed instead of committing it; waits while it is being loaded.
    #[arg(long)]
    read: bool,
}

#[derive(Args)]
pub(crate) struct Commits {
    #[arg(long)]
    bootstrap_server: String,
    #[arg(long)]
    topic: String,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Bytes of the metadata of the one offset of a request.
    #[arg(long, default_value_t = 100)]
    size: usize,
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

struct Member {
    wire: Wire,
    id: String,
}

impl Rebalance {
    pub(crate) fn run(&self) -> Result<Value> {
        runtime()?.block_on(async {
            find_coordinator(&self.bootstrap_server, "rebalanced").await?;
            let alone = self.rounds_of("alone", 1).await?;
            let together = self.rounds_of("rebalanced", self.members).await?;
            Ok(json!({"alone_ms": alone, "together_ms": together}))
        })
    }

    /// Milliseconds from the moment when all members join again until the last has its assignment, for each round.
    async fn rounds_of(&self, group: &str, count: usize) -> Result<Vec<f64>> {
        let mut members = Vec::new();
        for _ in 0..count {
            let wire = Wire::connect(&self.bootstrap_server).await?;
            members.push(Member { wire, id: String::new() });
        }
        let mut taken = Vec::new();
        // In the first round they get their ids and meet.
        for round in 0..=self.rounds {
            let began = Instant::now();
            let joined: Vec<_> = members
                .drain(..)
                .map(|member| tokio::spawn(self.plan(group).follow(member, count)))
                .collect();
            for task in joined {
                members.push(task.await??);
            }
            if round > 0 {
                taken.push(began.elapsed().as_secs_f64() * 1000.0);
            }
        }
        Ok(taken)
    }

    fn plan(&self, group: &str) -> Plan {
        Plan {
            group: group.to_owned(),
            topic: self.topic.clone(),
            partitions: self.partitions,
        }
    }
}

/// What a member does in a rebalance.
struct Plan {
    group: String,
    topic: String,
    partitions: usize,
}

impl Plan {
    /// Joins and syncs, again and again until a generation has all members.
    async fn follow(self, mut member: Member, count: usize) -> Result<Member> {
        loop {
            let join = JoinGroupRequest {
                group_id: self.group.clone(),
                session_timeout_ms: 30_000,
                rebalance_timeout_ms: 30_000,
                member_id: member.id.clone(),
                protocol_type: "consumer".to_owned(),
                protocols: vec![JoinGroupRequestProtocol {
                    name: "range".to_owned(),
                    metadata: self.subscription(),
                    ..JoinGroupRequestProtocol::default()
                }],
                ..JoinGroupRequest::default()
            };
            let joined = member.wire.call(JOIN_VERSION, &join).await?;
            check(joined.error_code, &[])?;
            member.id = joined.member_id;
            let members: Vec<String> = joined.members.into_iter().map(|other| other.member_id).collect();
            let is_leader = joined.leader == member.id;
            let sync = SyncGroupRequest {
                group_id: self.group.clone(),
                generation_id: joined.generation_id,
                member_id: member.id.clone(),
                assignments: if is_leader { self.assignments(&members) } else { Vec::new() },
                ..SyncGroupRequest::default()
            };
            let synced = member.wire.call(SYNC_VERSION, &sync).await?;
            check(synced.error_code, &[ErrorCode::RebalanceInProgress])?;
            let owned = if synced.error_code == 0 {
                self.owned(synced.assignment)?
            } else {
                0
            };
            // All have met once nobody has more than a fair share.
            if owned > 0 && owned <= self.partitions.div_ceil(count) {
                return Ok(member);
            }
        }
    }

    fn subscription(&self) -> Bytes {
        let subscription = ConsumerProtocolSubscription {
            topics: vec![self.topic.clone()],
            ..ConsumerProtocolSubscription::default()
        };
        subscription.encode(ASSIGNMENT_VERSION)
    }

    fn assignments(&self, members: &[String]) -> Vec<SyncGroupRequestAssignment> {
        let assignment = |(number, member): (usize, &String)| {
            let partitions = (number..self.partitions).step_by(members.len());
            let assignment = ConsumerProtocolAssignment {
                assigned_partitions: vec![TopicPartition {
                    topic: self.topic.clone(),
                    partitions: partitions.map(|partition| partition as i32).collect(),
                }],
                ..ConsumerProtocolAssignment::default()
            };
            SyncGroupRequestAssignment {
                member_id: member.clone(),
                assignment: assignment.encode(ASSIGNMENT_VERSION),
                ..SyncGroupRequestAssignment::default()
            }
        };
        members.iter().enumerate().map(assignment).collect()
    }

    fn owned(&self, assignment: Bytes) -> Result<usize> {
        let assignment = ConsumerProtocolAssignment::decode(assignment)?;
        Ok(assignment.assigned_partitions.iter().map(|topic| topic.partitions.len()).sum())
    }
}

impl Offsets {
    pub(crate) fn run(&self) -> Result<Value> {
        runtime()?.block_on(async {
            find_coordinator(&self.bootstrap_server, "g0").await?;
            let mut wire = Wire::connect(&self.bootstrap_server).await?;
            let began = Instant::now();
            for number in 0..self.groups {
                let group = format!("g{number}");
                if self.read {
                    self.fetch(&mut wire, &group).await?;
                } else {
                    let response = wire.call(COMMIT_VERSION, &commit(&group, &self.topic, self.partitions, "")).await?;
                    for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
                        check(partition.error_code, &[])?;
                    }
                }
            }
            Ok(json!({"seconds": began.elapsed().as_secs_f64()}))
        })
    }

    async fn fetch(&self, wire: &mut Wire, group: &str) -> Result<()> {
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: group.to_owned(),
                topics: None,
                ..OffsetFetchRequestGroup::default()
            }],
            ..OffsetFetchRequest::default()
        };
        loop {
            let response = wire.call(FETCH_VERSION, &request).await?;
            let Some(answer) = response.groups.first() else {
                bail!("no answer for {group}")
            };
            check(
                answer.error_code,
                &[ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotCoordinator],
            )?;
            if answer.error_code == 0 {
                let found: usize = answer.topics.iter().map(|topic| topic.partitions.len()).sum();
                if found != self.partitions as usize {
                    bail!("{group} has {found} offsets");
                }
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Commits {
    pub(crate) fn run(&self) -> Result<Value> {
        runtime()?.block_on(async {
            find_coordinator(&self.bootstrap_server, "c0").await?;
            let mut wires = Vec::new();
            for _ in 0..self.connections {
                wires.push(Wire::connect(&self.bootstrap_server).await?);
            }
            let (began, cpu) = (Instant::now(), cpu_s());
            let until = began + Duration::from_secs(self.seconds);
            let tasks: Vec<_> = wires
                .into_iter()
                .enumerate()
                .map(|(number, mut wire)| {
                    let request = commit(&format!("c{number}"), &self.topic, 1, &"m".repeat(self.size));
                    tokio::spawn(async move {
                        let response = wire.call(COMMIT_VERSION, &request).await?;
                        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
                            check(partition.error_code, &[])?;
                        }
                        let bytes = frame::request(COMMIT_VERSION, 1, Some("load"), &request)?.to_bytes();
                        let mut answered = 1;
                        while Instant::now() < until {
                            wire.exchange(&bytes).await?;
                            answered += 1;
                        }
                        anyhow::Ok(answered)
                    })
                })
                .collect();
            let mut answered: u64 = 0;
            for task in tasks {
                answered += task.await??;
            }
            Ok(json!({"seconds": began.elapsed().as_secs_f64(), "client_cpu_s": cpu_s() - cpu, "requests": answered}))
        })
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The topic of offsets is created when somebody first asks for a coordinator.
async fn find_coordinator(address: &str, group: &str) -> Result<()> {
    let mut wire = Wire::connect(address).await?;
    let request = FindCoordinatorRequest {
        key: group.to_owned(),
        ..FindCoordinatorRequest::default()
    };
    loop {
        let response = wire.call(2, &request).await?;
        check(response.error_code, &[ErrorCode::CoordinatorNotAvailable])?;
        if response.error_code == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn commit(group: &str, topic: &str, partitions: i32, metadata: &str) -> OffsetCommitRequest {
    let partition = |index| OffsetCommitRequestPartition {
        partition_index: index,
        committed_offset: 1,
        committed_metadata: Some(metadata.to_owned()),
        ..OffsetCommitRequestPartition::default()
    };
    OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: (0..partitions).map(partition).collect(),
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

fn check(error_code: i16, expected: &[ErrorCode]) -> Result<()> {
    let error = ErrorCode::from_code(error_code);
    if error_code != 0 && !expected.contains(&error) {
        bail!("the broker answers with {}", error.name());
    }
    Ok(())
}
