//! Adding partitions, and what a new partition is like.

use std::collections::BTreeMap;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, PartitionIndex};
use dohle_protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};

use super::draft::Draft;
use super::placement::place;
use super::random::Random;
use super::refusal::{Refusal, wire_error};
use crate::image::brokers::BrokersImage;
use crate::image::topics::{PartitionImage, TopicImage};
use crate::limits::PARTITIONS_PER_REQUEST_MAX;

pub(super) fn create_partitions(draft: &mut Draft, random: &mut Random, request: &CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut names = BTreeMap::<&str, usize>::new();
    request.topics.iter().for_each(|topic| *names.entry(&topic.name).or_default() += 1);
    let mut response = CreatePartitionsResponse::default();
    for topic in &request.topics {
        let outcome = match names.remove(topic.name.as_str()) {
            Some(1) => grow_topic(draft, random, topic),
            Some(_) => Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name.")),
            None => continue,
        };
        let (error_code, error_message) = wire_error(&outcome);
        response.results.push(CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code,
            error_message,
            ..Default::default()
        });
    }
    if request.validate_only {
        draft.discard();
    }
    response
}

fn grow_topic(draft: &mut Draft, random: &mut Random, request: &CreatePartitionsTopic) -> Result<(), Refusal> {
    let topic = draft
        .image()
        .topic(&request.name)
        .ok_or(ErrorCode::UnknownTopicOrPartition)?
        .clone();
    let additional = additional_partitions(&topic, request.count)?;
    // Every record of the request is a new partition.
    check_room(draft.len(), additional)?;
    let first_index = topic.partitions.len() as i32;
    let assignments = match &request.assignments {
        None => place(draft.image().brokers(), additional, topic.replication_factor(), random)?,
        Some(assignments) if assignments.len() == additional => {
            let chosen = (first_index..).zip(assignments);
            let check = |(index, assignment): (i32, &CreatePartitionsAssignment)| {
                check_assignment(
                    draft.image().brokers(),
                    &assignment.broker_ids,
                    Some(topic.replication_factor()),
                    index,
                )
            };
            chosen.map(check).collect::<Result<_, _>>()?
        }
        Some(assignments) => {
            let message = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        }
    };
    for (index, replicas) in (first_index..).zip(assignments) {
        let partition = new_partition(draft.image().brokers(), replicas);
        draft.push(partition.to_record(topic.id, PartitionIndex(index)));
    }
    Ok(())
}

fn additional_partitions(topic: &TopicImage, count: i32) -> Result<usize, Refusal> {
    let (name, existing) = (&topic.name, topic.partitions.len());
    let refuse = |message| Err(Refusal::new(ErrorCode::InvalidPartitions, message));
    match usize::try_from(count) {
        Ok(count) if count > existing => Ok(count - existing),
        Ok(count) if count == existing => refuse(format!("Topic already has {existing} partition(s).")),
        _ => refuse(format!(
            "The topic {name} currently has {existing} partition(s); {count} would not be an increase."
        )),
    }
}

/// Whether a request that has created some partitions may create these too.
pub(super) fn check_room(created: usize, additional: usize) -> Result<(), Refusal> {
    if additional <= PARTITIONS_PER_REQUEST_MAX.saturating_sub(created) {
        return Ok(());
    }
    let message = format!("Excessively large number of partitions per request; {PARTITIONS_PER_REQUEST_MAX} are allowed.");
    Err(Refusal::new(ErrorCode::PolicyViolation, message))
}

/// The replicas that a client chose for the new partition of this index, if they can be.
pub(super) fn check_assignment(
    brokers: &BrokersImage,
    broker_ids: &[i32],
    replication_factor: Option<usize>,
    index: i32,
) -> Result<Vec<BrokerId>, Refusal> {
    let replicas = check_replicas(brokers, broker_ids, replication_factor)?;
    if !replicas.iter().any(|id| brokers.is_active(*id)) {
        let message =
            format!("All brokers specified in the manual partition assignment for partition {index} are fenced or in controlled shutdown.");
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(replicas)
}

/// The replicas that a client chose, if they can be.
pub(super) fn check_replicas(
    brokers: &BrokersImage,
    broker_ids: &[i32],
    replication_factor: Option<usize>,
) -> Result<Vec<BrokerId>, Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    let mut sorted: Vec<BrokerId> = broker_ids.iter().map(|id| BrokerId(*id)).collect();
    let replicas = sorted.clone();
    sorted.sort_unstable();
    if replicas.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".to_owned());
    }
    if let Some(unknown) = sorted.iter().find(|id| brokers.get(**id).is_none()) {
        return refuse(format!(
            "The manual partition assignment includes broker {unknown}, but no such broker is registered."
        ));
    }
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return refuse(format!(
            "The manual partition assignment includes the broker {} more than once.",
            twice[0]
        ));
    }
    if let Some(expected) = replication_factor.filter(|expected| *expected != replicas.len()) {
        return refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with previous partitions, \
             which have {expected} replica(s).",
            replicas.len()
        ));
    }
    Ok(replicas)
}

/// A partition without history: its active replicas are in sync, the first of them leads.
pub(super) fn new_partition(brokers: &BrokersImage, replicas: Vec<BrokerId>) -> PartitionImage {
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(|id| brokers.is_active(*id)).collect();
    assert!(!isr.is_empty(), "a new partition has an active replica");
    PartitionImage {
        leader: isr[0],
        replicas,
        isr,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        ..PartitionImage::default()
    }
}
