//! Creating and deleting topics.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, PartitionIndex, TopicId};
use dohle_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use dohle_protocol::messages::delete_topics::{DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};

use super::Controller;
use super::draft::Draft;
use super::partitions::{check_assignment, check_room, new_partition};
use super::placement::place;
use super::random::Random;
use super::refusal::{Refusal, wire_error};
use crate::config::described::{DescribedConfig, describe_topic};
use crate::config::resource::ConfigResource;
use crate::config::topic_config::TopicConfig;
use crate::image::ClusterImage;
use crate::record::{RemoveTopicRecord, TopicRecord};
use crate::topic_name;

impl Controller {
    pub(super) fn create_topics(&self, draft: &mut Draft, random: &mut Random, request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let mut response = CreateTopicsResponse::default();
        let mut names = BTreeMap::<&str, usize>::new();
        request.topics.iter().for_each(|topic| *names.entry(&topic.name).or_default() += 1);
        let mut created = 0;
        for topic in &request.topics {
            let outcome = match names.get(topic.name.as_str()) {
                Some(1) => self.create_topic(draft, random, topic, &mut created),
                Some(_) => {
                    names.remove(topic.name.as_str());
                    Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
                }
                None => continue,
            };
            let (error_code, error_message) = wire_error(&outcome);
            let refused = CreatableTopicResult {
                name: topic.name.clone(),
                error_code,
                error_message,
                ..Default::default()
            };
            response.topics.push(outcome.unwrap_or(refused));
        }
        if request.validate_only {
            draft.discard();
        }
        response
    }

    /// `created` counts the partitions of the request.
    fn create_topic(
        &self,
        draft: &mut Draft,
        random: &mut Random,
        topic: &CreatableTopic,
        created: &mut usize,
    ) -> Result<CreatableTopicResult, Refusal> {
        check_name(draft.image(), &topic.name)?;
        let configs = own_configs(topic)?;
        let assignments = if topic.assignments.is_empty() {
            self.place_topic(draft.image(), random, topic, *created)?
        } else {
            assigned_replicas(draft.image(), topic, *created)?
        };
        *created += assignments.len();
        let id = random.topic_id();
        draft.push(TopicRecord {
            name: topic.name.clone(),
            topic_id: id.0,
            ..Default::default()
        });
        let resource = ConfigResource::Topic(topic.name.clone());
        draft.extend(configs.iter().map(|(name, value)| resource.to_record(name, Some(value)).into()));
        let (num_partitions, replication_factor) = (assignments.len() as i32, assignments[0].len() as i16);
        for (index, replicas) in (0..).zip(assignments) {
            let partition = new_partition(draft.image().brokers(), replicas);
            draft.push(partition.to_record(id, PartitionIndex(index)));
        }
        Ok(CreatableTopicResult {
            name: topic.name.clone(),
            topic_id: id.0,
            num_partitions,
            replication_factor,
            configs: Some(self.effective_configs(draft.image(), &configs)),
            ..Default::default()
        })
    }

    fn place_topic(
        &self,
        image: &ClusterImage,
        random: &mut Random,
        topic: &CreatableTopic,
        created: usize,
    ) -> Result<Vec<Vec<BrokerId>>, Refusal> {
        let replication_factor = match topic.replication_factor {
            -1 => self.default_number(image, "default.replication.factor"),
            factor if factor > 0 => factor as usize,
            _ => {
                let message = "Replication factor must be larger than 0, or -1 to use the default value.";
                return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message));
            }
        };
        let partitions = match topic.num_partitions {
            -1 => self.default_number(image, "num.partitions"),
            count if count > 0 => count as usize,
            _ => {
                let message = "Number of partitions was set to an invalid non-positive value.";
                return Err(Refusal::new(ErrorCode::InvalidPartitions, message));
            }
        };
        check_room(created, partitions)?;
        place(image.brokers(), partitions, replication_factor, random)
    }

    /// The default of the cluster, 1 if none is set.
    fn default_number(&self, image: &ClusterImage, name: &str) -> usize {
        self.view(image)
            .get(name)
            .and_then(|value| value.parse().ok())
            .filter(|number| *number > 0)
            .unwrap_or(1)
    }

    fn effective_configs(&self, image: &ClusterImage, own: &BTreeMap<String, String>) -> Vec<CreatableTopicConfigs> {
        let to_wire = |config: DescribedConfig| CreatableTopicConfigs {
            name: config.name.to_owned(),
            value: config.value,
            read_only: config.read_only,
            config_source: config.source.code(),
            is_sensitive: config.sensitive,
            ..Default::default()
        };
        describe_topic(own, self.view(image)).into_iter().map(to_wire).collect()
    }
}

fn check_name(image: &ClusterImage, name: &str) -> Result<(), Refusal> {
    if name == topic_name::CLUSTER_METADATA {
        let message = format!("Creation of internal topic {name} is prohibited.");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    if image.topic(name).is_some() {
        return Err(Refusal::new(
            ErrorCode::TopicAlreadyExists,
            format!("Topic '{name}' already exists."),
        ));
    }
    topic_name::validate(name).map_err(|error| Refusal::new(ErrorCode::InvalidTopicException, error.to_string()))?;
    match image.topics().colliding_with(name) {
        None => Ok(()),
        Some(existing) => {
            let message = format!("Topic '{name}' collides with existing topic: {existing}");
            Err(Refusal::new(ErrorCode::InvalidTopicException, message))
        }
    }
}

fn own_configs(topic: &CreatableTopic) -> Result<BTreeMap<String, String>, Refusal> {
    let unset: Vec<&str> = topic
        .configs
        .iter()
        .filter(|config| config.value.is_none())
        .map(|config| config.name.as_str())
        .collect();
    if !unset.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", unset.join(","));
        return Err(Refusal::new(ErrorCode::InvalidConfig, message));
    }
    let value_of = |value: &Option<String>| value.as_deref().unwrap_or_default().trim().to_owned();
    let configs = topic
        .configs
        .iter()
        .map(|config| (config.name.clone(), value_of(&config.value)))
        .collect();
    TopicConfig::validate(&configs).map_err(|error| Refusal::new(ErrorCode::InvalidConfig, error.to_string()))?;
    Ok(configs)
}

/// The replicas that the client chose, by partition.
fn assigned_replicas(image: &ClusterImage, topic: &CreatableTopic, created: usize) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    for (field, value) in [
        ("replication factor", i32::from(topic.replication_factor)),
        ("numPartitions", topic.num_partitions),
    ] {
        if value != -1 {
            let message = format!("A manual partition assignment was specified, but {field} was not set to -1.");
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
    }
    check_room(created, topic.assignments.len())?;
    let mut replicas_by_index = BTreeMap::new();
    let mut replication_factor = None;
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        let replicas = check_assignment(image.brokers(), &assignment.broker_ids, replication_factor, index)?;
        replication_factor = Some(replicas.len());
        if replicas_by_index.insert(index, replicas).is_some() {
            let message = format!("Found multiple manual partition assignments for partition {index}");
            return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        }
    }
    if !replicas_by_index.keys().copied().eq(0..replicas_by_index.len() as i32) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(replicas_by_index.into_values().collect())
}

/// Topics are named in one list by name or id, or in an older one by name.
pub(super) fn delete_topics(draft: &mut Draft, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = |name| DeleteTopicState {
        name: Some(name),
        ..Default::default()
    };
    let states: Vec<_> = request
        .topics
        .into_iter()
        .chain(request.topic_names.into_iter().map(by_name))
        .collect();
    let mut occurrences = BTreeMap::<(Option<&str>, TopicId), usize>::new();
    let key_of = |state: &'_ DeleteTopicState| TopicId(state.topic_id);
    states
        .iter()
        .for_each(|state| *occurrences.entry((state.name.as_deref(), key_of(state))).or_default() += 1);
    let mut named = BTreeSet::new();
    let mut response = DeleteTopicsResponse::default();
    for state in &states {
        let Some(times) = occurrences.remove(&(state.name.as_deref(), key_of(state))) else {
            continue;
        };
        let outcome = find_topic(draft.image(), state, times).and_then(|found| {
            let unique = named.insert(found.1);
            let message = "The provided topic name maps to an ID that was already supplied.";
            if unique {
                Ok(found)
            } else {
                Err(Refusal::new(ErrorCode::InvalidRequest, message))
            }
        });
        let (error_code, error_message) = wire_error(&outcome);
        let (name, id) = outcome.unwrap_or_else(|_| (state.name.clone(), key_of(state)));
        response.responses.push(DeletableTopicResult {
            name,
            topic_id: id.0,
            error_code,
            error_message,
            ..Default::default()
        });
    }
    for result in response
        .responses
        .iter()
        .filter(|result| result.error_code == ErrorCode::None.code())
    {
        draft.push(RemoveTopicRecord {
            topic_id: result.topic_id,
            ..Default::default()
        });
    }
    response
}

/// The topic that is meant, if it is named in one way, once.
fn find_topic(image: &ClusterImage, state: &DeleteTopicState, times: usize) -> Result<(Option<String>, TopicId), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let id = TopicId(state.topic_id);
    match &state.name {
        Some(_) if !id.is_zero() => invalid("You may not specify both topic name and topic id."),
        None if id.is_zero() => invalid("Neither topic name nor id were specified."),
        Some(_) if times > 1 => invalid("Duplicate topic name."),
        None if times > 1 => invalid("Duplicate topic id."),
        Some(name) => match image.topic(name) {
            Some(topic) => Ok((Some(name.clone()), topic.id)),
            None => Err(ErrorCode::UnknownTopicOrPartition.into()),
        },
        None => match image.topic_by_id(id) {
            Some(topic) => Ok((Some(topic.name.to_string()), id)),
            None => Err(ErrorCode::UnknownTopicId.into()),
        },
    }
}
