//! AlterPartition: a leader proposes which replicas are in sync.

use std::collections::BTreeSet;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, PartitionIndex, TopicId};
use dohle_protocol::messages::alter_partition::{
    AlterPartitionRequest, AlterPartitionResponse, PartitionData, PartitionResult, TopicResult,
};

use super::Controller;
use super::brokers::registered;
use super::draft::Draft;
use super::partition_change::PartitionChange;
use crate::image::brokers::BrokersImage;
use crate::image::topics::{PartitionImage, raw_ids};

/// [`PartitionData::leader_recovery_state`] of a leader that has not taken note yet.
const RECOVERING: i8 = 1;

/// A replica that is to be in sync, and its registration; -1: whichever.
type Proposed = (BrokerId, i64);

impl Controller {
    pub(super) fn alter_partition(&self, draft: &mut Draft, request: &AlterPartitionRequest) -> AlterPartitionResponse {
        let leader = BrokerId(request.broker_id);
        if let Err(refusal) = registered(draft.image(), leader, request.broker_epoch) {
            return AlterPartitionResponse {
                error_code: refusal.code.code(),
                ..Default::default()
            };
        }
        let mut response = AlterPartitionResponse::default();
        for topic in &request.topics {
            let mut result = TopicResult {
                topic_id: topic.topic_id,
                ..Default::default()
            };
            for proposal in &topic.partitions {
                let outcome = self.alter_one(draft, leader, TopicId(topic.topic_id), proposal);
                let altered = outcome.unwrap_or_else(|code| PartitionResult {
                    error_code: code.code(),
                    ..Default::default()
                });
                result.partitions.push(PartitionResult {
                    partition_index: proposal.partition_index,
                    ..altered
                });
            }
            response.topics.push(result);
        }
        response
    }

    fn alter_one(&self, draft: &mut Draft, leader: BrokerId, id: TopicId, proposal: &PartitionData) -> Result<PartitionResult, ErrorCode> {
        let image = draft.image();
        let index = PartitionIndex(proposal.partition_index);
        let topic = image.topic_by_id(id).ok_or(ErrorCode::UnknownTopicId)?;
        let before = topic.partitions.get(&index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        check_epochs(before, leader, proposal)?;
        let proposed = proposed_isr(proposal);
        check_isr(before, &proposed, proposal.leader_recovery_state)?;
        check_eligible(image.brokers(), &proposed)?;

        let brokers = image.brokers().clone();
        let mut change = PartitionChange::new(before, self.rules(image, &topic.name));
        change.after.isr = proposed.iter().map(|(id, _)| *id).collect();
        change.after.recovering = proposal.leader_recovery_state == RECOVERING;
        let record = change.record(id, index, &|id| brokers.is_active(id));
        draft.extend(record.map(Into::into));

        let topic = draft.image().topic_by_id(id).ok_or(ErrorCode::UnknownTopicId)?;
        let now = topic.partitions.get(&index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if now.leader != leader {
            // The proposal has completed a reassignment, and somebody else leads.
            return Err(ErrorCode::NewLeaderElected);
        }
        Ok(PartitionResult {
            leader_id: now.leader.0,
            leader_epoch: now.leader_epoch.0,
            isr: raw_ids(&now.isr),
            leader_recovery_state: now.recovering.into(),
            partition_epoch: now.partition_epoch,
            ..Default::default()
        })
    }
}

/// Whether the leader knows the partition as it is.
fn check_epochs(partition: &PartitionImage, leader: BrokerId, proposal: &PartitionData) -> Result<(), ErrorCode> {
    if proposal.leader_epoch > partition.leader_epoch.0 || proposal.partition_epoch > partition.partition_epoch {
        // The leader knows more than this controller, so another controller is active by now.
        Err(ErrorCode::NotController)
    } else if proposal.leader_epoch < partition.leader_epoch.0 {
        Err(ErrorCode::FencedLeaderEpoch)
    } else if leader != partition.leader {
        Err(ErrorCode::InvalidRequest)
    } else if proposal.partition_epoch < partition.partition_epoch {
        Err(ErrorCode::InvalidUpdateVersion)
    } else {
        Ok(())
    }
}

/// Version 3 names registrations, version 2 does not.
fn proposed_isr(proposal: &PartitionData) -> Vec<Proposed> {
    if proposal.new_isr_with_epochs.is_empty() {
        return proposal.new_isr.iter().map(|id| (BrokerId(*id), -1)).collect();
    }
    let with_epochs = proposal.new_isr_with_epochs.iter();
    with_epochs.map(|state| (BrokerId(state.broker_id), state.broker_epoch)).collect()
}

fn check_isr(partition: &PartitionImage, proposed: &[Proposed], recovery_state: i8) -> Result<(), ErrorCode> {
    let ids: BTreeSet<BrokerId> = proposed.iter().map(|(id, _)| *id).collect();
    let is_possible =
        ids.len() == proposed.len() && ids.contains(&partition.leader) && ids.iter().all(|id| partition.replicas.contains(id));
    let recovers = match recovery_state {
        0 => true,
        RECOVERING => partition.recovering && proposed.len() == 1,
        _ => false,
    };
    if is_possible && recovers {
        Ok(())
    } else {
        Err(ErrorCode::InvalidRequest)
    }
}

/// Each must be there, as the process that the leader has heard of: a later one may have lost what that one held (KIP-903).
fn check_eligible(brokers: &BrokersImage, proposed: &[Proposed]) -> Result<(), ErrorCode> {
    let is_eligible = |(id, epoch): &Proposed| {
        let broker = brokers.get(*id);
        broker.is_some_and(|broker| broker.is_active() && (*epoch == -1 || *epoch == broker.epoch))
    };
    if proposed.iter().all(is_eligible) {
        Ok(())
    } else {
        Err(ErrorCode::IneligibleReplica)
    }
}
