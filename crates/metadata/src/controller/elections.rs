//! Elections that an operator asks for, and those that make preferred leaders lead again.

use std::collections::BTreeMap;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, PartitionIndex};
use dohle_protocol::messages::elect_leaders::{ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult};

use super::Controller;
use super::draft::Draft;
use super::partition_change::{Election, PartitionChange};
use super::refusal::{Refusal, wire_error};
use crate::image::ClusterImage;
use crate::image::topics::PartitionImage;
use crate::limits::ELECTIONS_PER_BALANCE_MAX;
use crate::record::MetadataRecord;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

const IMBALANCE_PERCENTAGE: usize = 10;

impl Controller {
    pub(super) fn elect_leaders(&self, draft: &mut Draft, request: &ElectLeadersRequest) -> ElectLeadersResponse {
        let election = match request.election_type {
            PREFERRED => Election::Preferred,
            UNCLEAN => Election::Unclean,
            _ => {
                return ElectLeadersResponse {
                    error_code: ErrorCode::InvalidRequest.code(),
                    ..Default::default()
                };
            }
        };
        let named = request.topic_partitions.as_ref().map(|topics| {
            let topics = topics.iter();
            topics
                .map(|topic| (topic.topic.clone(), topic.partitions.clone()))
                .collect::<Vec<_>>()
        });
        // Of all partitions, those that need no election are not mentioned.
        let all = named.is_none();
        let mut response = ElectLeadersResponse::default();
        for (topic, partitions) in named.unwrap_or_else(|| all_partitions(draft.image())) {
            let mut result = ReplicaElectionResult {
                topic,
                ..Default::default()
            };
            for index in partitions {
                let outcome = self.elect_one(draft, &result.topic, PartitionIndex(index), election);
                if all && matches!(&outcome, Err(refusal) if refusal.code == ErrorCode::ElectionNotNeeded) {
                    continue;
                }
                let (error_code, error_message) = wire_error(&outcome);
                result.partition_result.push(PartitionResult {
                    partition_id: index,
                    error_code,
                    error_message,
                    ..Default::default()
                });
            }
            if !all || !result.partition_result.is_empty() {
                response.replica_election_results.push(result);
            }
        }
        response
    }

    fn elect_one(&self, draft: &mut Draft, name: &str, index: PartitionIndex, election: Election) -> Result<(), Refusal> {
        let image = draft.image();
        let missing = |what: String| Refusal::new(ErrorCode::UnknownTopicOrPartition, what);
        let topic = image.topic(name).ok_or_else(|| missing(format!("No such topic as {name}")))?;
        let partition = topic.partitions.get(&index);
        let partition = partition.ok_or_else(|| missing(format!("No such partition as {name}-{index}")))?;
        let is_led = image.brokers().is_active(partition.leader);
        if is_led && (election == Election::Unclean || has_preferred_leader(partition)) {
            return Err(ErrorCode::ElectionNotNeeded.into());
        }
        let mut change = PartitionChange::new(partition, self.rules(image, name));
        change.election = election;
        match change.record(topic.id, index, &|id| image.brokers().is_active(id)) {
            Some(record) => {
                draft.push(record);
                Ok(())
            }
            None if election == Election::Preferred => Err(ErrorCode::PreferredLeaderNotAvailable.into()),
            None => Err(ErrorCode::EligibleLeadersNotAvailable.into()),
        }
    }

    /// Makes the preferred leaders of a broker lead again, if it leads too few of its partitions. Returns how many leaders are moved.
    pub(super) fn balance_leaders(&self, draft: &mut Draft) -> usize {
        let view = self.view(draft.image());
        if view
            .get("auto.leader.rebalance.enable")
            .is_some_and(|value| value.eq_ignore_ascii_case("false"))
        {
            return 0;
        }
        let percentage = view.get("leader.imbalance.per.broker.percentage");
        let percentage = percentage.and_then(|value| value.parse().ok()).unwrap_or(IMBALANCE_PERCENTAGE);
        let mut moves = self.moves_to_preferred(draft.image(), percentage);
        moves.truncate(ELECTIONS_PER_BALANCE_MAX);
        let moved = moves.len();
        draft.extend(moves);
        moved
    }

    /// To those brokers of whose preferred partitions more than `percentage` of a hundred are led by others.
    fn moves_to_preferred(&self, image: &ClusterImage, percentage: usize) -> Vec<MetadataRecord> {
        let mut moves = BTreeMap::<BrokerId, Vec<MetadataRecord>>::new();
        let mut preferred = BTreeMap::<BrokerId, usize>::new();
        for topic in image.topics().iter() {
            for (index, partition) in topic.partitions.iter() {
                let broker = partition.replicas[0];
                *preferred.entry(broker).or_default() += 1;
                if has_preferred_leader(partition) || !image.brokers().is_active(broker) || !partition.isr.contains(&broker) {
                    continue;
                }
                let mut change = PartitionChange::new(partition, self.rules(image, &topic.name));
                change.election = Election::Preferred;
                let record = change.record(topic.id, *index, &|id| image.brokers().is_active(id));
                moves.entry(broker).or_default().extend(record.map(Into::into));
            }
        }
        moves.retain(|broker, moves| moves.len() * 100 > preferred[broker] * percentage);
        moves.into_values().flatten().collect()
    }
}

fn has_preferred_leader(partition: &PartitionImage) -> bool {
    partition.replicas.first() == Some(&partition.leader)
}

fn all_partitions(image: &ClusterImage) -> Vec<(String, Vec<i32>)> {
    let topics = image.topics().iter();
    topics
        .map(|topic| (topic.name.to_string(), topic.partitions.keys().map(|index| index.0).collect()))
        .collect()
}
