//! Proposals of leaders which replicas are in sync, on their way to the controller; and the time that passes for leaders with followers.
//!
//! While no partition here has more than one replica, nothing runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch};
use dohle_protocol::messages::alter_partition::{
    AlterPartitionRequest, AlterPartitionResponse, BrokerState as ReplicaState, PartitionData, PartitionResult, TopicData,
};
use dohle_replication::{IsrProposal, IsrState};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock;
use crate::cluster::controller;
use crate::limits;
use crate::replica::cell::Cell;
use crate::state::BrokerState;

/// Filled by the cells, emptied by [`run`].
#[derive(Debug, Default)]
pub(crate) struct IsrProposals {
    waiting: Mutex<Vec<(Weak<Cell>, IsrProposal)>>,
    /// Some partition here has more than one replica, so time matters.
    has_replicated: AtomicBool,
    changed: Notify,
}

pub(crate) type Proposals = Vec<(Arc<Cell>, IsrProposal)>;

impl IsrProposals {
    pub(crate) fn add(&self, cell: &Arc<Cell>, proposal: IsrProposal) {
        self.waiting.lock().push((Arc::downgrade(cell), proposal));
        self.changed.notify_one();
    }

    pub(crate) fn partition_is_replicated(&self) {
        if !self.has_replicated.swap(true, Ordering::AcqRel) {
            self.changed.notify_one();
        }
    }

    pub(crate) fn take(&self) -> Proposals {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let alive = waiting.into_iter().filter_map(|(cell, proposal)| Some((cell.upgrade()?, proposal)));
        alive.collect()
    }
}

/// Sends proposals, all that wait together, until `stop`.
pub(crate) async fn run(broker: Arc<BrokerState>, stop: CancellationToken) {
    let proposals = &broker.services.isr_proposals;
    let mut sending = JoinSet::new();
    let mut sent = Proposals::new();
    let mut next_tick: Option<Instant> = None;
    loop {
        if sending.is_empty() {
            let waiting = proposals.take();
            if !waiting.is_empty() {
                sent.clone_from(&waiting);
                sending.spawn(send(Arc::clone(&broker), waiting));
            }
        }
        if next_tick.is_none() && proposals.has_replicated.load(Ordering::Acquire) {
            next_tick = Some(Instant::now() + limits::REPLICA_TICK);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = proposals.changed.notified() => {}
            Some(outcome) = sending.join_next() => {
                if let Err(error) = outcome {
                    tracing::error!(%error, "proposals of replicas in sync have failed");
                    answer_all(&sent, ErrorCode::UnknownServerError);
                }
            }
            () = tokio::time::sleep_until(next_tick.unwrap_or_else(Instant::now)), if next_tick.is_some() => {
                tick(&broker);
                next_tick = None;
            }
        }
    }
}

fn tick(broker: &BrokerState) {
    let proposals = &broker.services.isr_proposals;
    proposals.has_replicated.store(false, Ordering::Release);
    let now_ms = clock::steady_ms();
    let image = broker.quorum.image();
    let active_epoch = |id| image.broker(id).filter(|broker| broker.is_active()).map(|broker| broker.epoch);
    let mut is_replicated = false;
    for topic in broker.replicas.topics() {
        for cell in topic.cells() {
            is_replicated |= cell.tick(now_ms, active_epoch);
        }
    }
    if is_replicated {
        proposals.has_replicated.store(true, Ordering::Release);
    }
}

/// Each proposal gets an answer, whatever happens.
async fn send(broker: Arc<BrokerState>, proposals: Proposals) {
    let request = ControllerRequest::AlterPartition(request(&broker, &proposals));
    let answer = match controller::change(&broker, request, limits::ISR_PROPOSAL_TIMEOUT).await {
        Ok(ControllerReply::AlterPartition(response)) => Ok(response),
        Ok(other) => unreachable!("the reply to AlterPartition is not {other:?}"),
        Err(refusal) => {
            tracing::warn!("the replicas in sync could not be told to the controller: {refusal}");
            Err(refusal.code)
        }
    };
    let answers = answer.and_then(by_partition);
    for (cell, proposal) in proposals {
        let answer = match &answers {
            Ok(answers) => answers
                .get(&(cell.topic_id.0, cell.partition.0))
                .cloned()
                .unwrap_or(Err(ErrorCode::UnknownServerError)),
            Err(code) => Err(*code),
        };
        cell.on_isr_answer(&proposal, answer);
    }
}

/// A bug has ended a sending: nobody knows what has become of it.
fn answer_all(sent: &Proposals, code: ErrorCode) {
    for (cell, proposal) in sent {
        cell.on_isr_answer(proposal, Err(code));
    }
}

fn request(broker: &BrokerState, proposals: &Proposals) -> AlterPartitionRequest {
    let mut topics: Vec<TopicData> = Vec::new();
    for (cell, proposal) in proposals {
        let replica = |replica: &dohle_replication::InSyncReplica| ReplicaState {
            broker_id: replica.id.0,
            broker_epoch: replica.broker_epoch,
            ..ReplicaState::default()
        };
        let partition = PartitionData {
            partition_index: cell.partition.0,
            leader_epoch: proposal.leader_epoch.0,
            new_isr_with_epochs: proposal.isr.iter().map(replica).collect(),
            partition_epoch: proposal.partition_epoch,
            ..PartitionData::default()
        };
        match topics.iter_mut().find(|topic| topic.topic_id == cell.topic_id.0) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(TopicData {
                topic_id: cell.topic_id.0,
                partitions: vec![partition],
                ..TopicData::default()
            }),
        }
    }
    AlterPartitionRequest {
        broker_id: broker.config.node_id,
        broker_epoch: broker.broker_epoch(),
        topics,
        ..AlterPartitionRequest::default()
    }
}

type Answers = HashMap<(Uuid, i32), Result<IsrState, ErrorCode>>;

fn by_partition(response: AlterPartitionResponse) -> Result<Answers, ErrorCode> {
    let code = ErrorCode::from_code(response.error_code);
    if code != ErrorCode::None {
        return Err(code);
    }
    let mut answers = HashMap::new();
    for topic in response.topics {
        for partition in topic.partitions {
            answers.insert((topic.topic_id, partition.partition_index), state(partition));
        }
    }
    Ok(answers)
}

fn state(partition: PartitionResult) -> Result<IsrState, ErrorCode> {
    match ErrorCode::from_code(partition.error_code) {
        ErrorCode::None => Ok(IsrState {
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            partition_epoch: partition.partition_epoch,
            isr: partition.isr.into_iter().map(BrokerId).collect(),
        }),
        code => Err(code),
    }
}
