//! Altering configurations: replacing them as a whole, or changing single keys.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::ErrorCode;
use dohle_protocol::id::BrokerId;
use dohle_protocol::messages::{alter_configs as whole, incremental_alter_configs as incremental};

use super::Controller;
use super::draft::Draft;
use super::refusal::{Refusal, wire_error};
use crate::config::key::{ConfigKey, Dynamic, split_list};
use crate::config::resource::ConfigResource;
use crate::config::topic::{broker_keys, topic_key};
use crate::config::topic_config::TopicConfig;
use crate::image::ClusterImage;
use crate::limits::{CONFIG_CHANGES_PER_REQUEST_MAX, CONFIG_VALUE_BYTES_MAX};
use crate::record::MetadataRecord;
use crate::topic_name;

/// What a request does to one key of a resource.
struct Change<'a> {
    name: &'a str,
    /// 0 set, 1 delete, 2 append, 3 subtract.
    operation: i8,
    value: Option<&'a str>,
}

/// Leaders and controllers must agree on it: it decides who may lead.
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// The kind and the name, as the client wrote them.
type ResourceName<'a> = (i8, &'a str);

/// The error of a resource, as on the wire.
type Outcome<'a> = (i16, Option<String>, ResourceName<'a>);

impl<'a> From<&'a whole::AlterableConfig> for Change<'a> {
    fn from(config: &'a whole::AlterableConfig) -> Change<'a> {
        Change {
            name: &config.name,
            operation: SET,
            value: config.value.as_deref(),
        }
    }
}

impl<'a> From<&'a incremental::AlterableConfig> for Change<'a> {
    fn from(config: &'a incremental::AlterableConfig) -> Change<'a> {
        Change {
            name: &config.name,
            operation: config.config_operation,
            value: config.value.as_deref(),
        }
    }
}

impl Controller {
    /// A key that the request does not mention loses its value.
    pub(super) fn alter_configs(&self, draft: &mut Draft, request: &whole::AlterConfigsRequest) -> whole::AlterConfigsResponse {
        let resources = request.resources.iter();
        let resources: Vec<_> = resources
            .map(|it| {
                (
                    (it.resource_type, &*it.resource_name),
                    it.configs.iter().map(Change::from).collect(),
                )
            })
            .collect();
        let outcomes = self.alter_all(draft, &resources, true).into_iter();
        self.act_on_changes(draft);
        if request.validate_only {
            draft.discard();
        }
        let answer = |(error_code, error_message, (resource_type, name)): Outcome| {
            let resource_name = name.to_owned();
            whole::AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type,
                resource_name,
                ..Default::default()
            }
        };
        whole::AlterConfigsResponse {
            responses: outcomes.map(answer).collect(),
            ..Default::default()
        }
    }

    pub(super) fn incremental_alter_configs(
        &self,
        draft: &mut Draft,
        request: &incremental::IncrementalAlterConfigsRequest,
    ) -> incremental::IncrementalAlterConfigsResponse {
        let resources = request.resources.iter();
        let resources: Vec<_> = resources
            .map(|it| {
                (
                    (it.resource_type, &*it.resource_name),
                    it.configs.iter().map(Change::from).collect(),
                )
            })
            .collect();
        let outcomes = self.alter_all(draft, &resources, false).into_iter();
        self.act_on_changes(draft);
        if request.validate_only {
            draft.discard();
        }
        let answer = |(error_code, error_message, (resource_type, name)): Outcome| {
            let resource_name = name.to_owned();
            incremental::AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type,
                resource_name,
                ..Default::default()
            }
        };
        incremental::IncrementalAlterConfigsResponse {
            responses: outcomes.map(answer).collect(),
            ..Default::default()
        }
    }

    /// Some keys decide who may lead a partition.
    fn act_on_changes(&self, draft: &mut Draft) {
        let changes = |draft: &Draft, name: &str| {
            let mut records = draft.records().iter();
            records.any(|record| matches!(record, MetadataRecord::Config(config) if config.name == name))
        };
        if changes(draft, MIN_INSYNC_REPLICAS) {
            self.review_eligible(draft);
        }
        if changes(draft, "unclean.leader.election.enable") {
            self.elect(draft);
        }
    }

    /// The outcome of each resource; one that is named twice is not touched.
    fn alter_all<'a>(&self, draft: &mut Draft, resources: &[(ResourceName<'a>, Vec<Change<'_>>)], replace: bool) -> Vec<Outcome<'a>> {
        let mut occurrences = BTreeMap::<ResourceName, usize>::new();
        resources.iter().for_each(|(name, _)| *occurrences.entry(*name).or_default() += 1);
        let mut outcome_of = |(name, changes): &(ResourceName<'a>, Vec<Change>)| {
            let outcome = match occurrences[name] {
                1 => self.alter(draft, *name, changes, replace),
                _ => Err(Refusal::new(ErrorCode::InvalidRequest, "Each resource must appear at most once.")),
            };
            let (error_code, error_message) = wire_error(&outcome);
            (error_code, error_message, *name)
        };
        resources.iter().map(&mut outcome_of).collect()
    }

    /// All changes of one resource, or none of them.
    fn alter(&self, draft: &mut Draft, (kind, name): ResourceName, changes: &[Change], replace: bool) -> Result<(), Refusal> {
        let resource = parse_resource(kind, name)?;
        check_changes(changes)?;
        let before = draft.image().configs().of(&resource).clone();
        let mut after = if replace { BTreeMap::new() } else { before.clone() };
        for change in changes {
            self.apply(&mut after, &before, change, &resource)?;
        }
        self.check_result(&resource, &before, &after)?;
        check_existence(draft.image(), &resource)?;
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changed = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
        let records: Vec<_> = changed
            .map(|name| resource.to_record(name, after.get(name).map(String::as_str)).into())
            .collect();
        if draft.len() + records.len() > CONFIG_CHANGES_PER_REQUEST_MAX {
            let message = format!("Too many changes in one request; {CONFIG_CHANGES_PER_REQUEST_MAX} are allowed.");
            return Err(Refusal::new(ErrorCode::PolicyViolation, message));
        }
        draft.extend(records);
        Ok(())
    }

    fn apply(
        &self,
        configs: &mut BTreeMap<String, String>,
        before: &BTreeMap<String, String>,
        change: &Change,
        resource: &ConfigResource,
    ) -> Result<(), Refusal> {
        let value = change.value.unwrap_or_default().trim();
        let value = match change.operation {
            SET => value.to_owned(),
            DELETE => {
                configs.remove(change.name);
                return Ok(());
            }
            operation => {
                let key = self.key_of(resource, change.name);
                let Some(key) = key.filter(|key| key.kind.is_list()) else {
                    let verb = if operation == APPEND { "APPEND" } else { "SUBTRACT" };
                    let message = format!("Can't {verb} to key {} because its type is not LIST.", change.name);
                    return Err(Refusal::new(ErrorCode::InvalidConfig, message));
                };
                let current = before.get(change.name).map(String::as_str).or(key.default).unwrap_or_default();
                changed_list(current, operation, value)
            }
        };
        configs.insert(change.name.to_owned(), value);
        Ok(())
    }

    fn key_of(&self, resource: &ConfigResource, name: &str) -> Option<ConfigKey> {
        match resource {
            ConfigResource::Topic(_) => topic_key(name).map(|topic_key| topic_key.key),
            ConfigResource::Broker(_) => self.broker_keys.iter().copied().chain(broker_keys()).find(|key| key.name == name),
        }
    }

    fn check_result(
        &self,
        resource: &ConfigResource,
        before: &BTreeMap<String, String>,
        after: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        match resource {
            ConfigResource::Topic(_) => {
                TopicConfig::validate(after).map_err(|error| Refusal::new(ErrorCode::InvalidConfig, error.to_string()))
            }
            ConfigResource::Broker(id) => {
                let mut new = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
                new.try_for_each(|(name, value)| self.check_broker_value(id.is_some(), name, value))
            }
        }
    }

    fn check_broker_value(&self, one_broker: bool, name: &str, value: &str) -> Result<(), Refusal> {
        let refuse = |code, message| Err(Refusal::new(code, message));
        let Some(key) = self.key_of(&ConfigResource::Broker(None), name) else {
            return refuse(ErrorCode::InvalidConfig, format!("Unknown broker config name: {name}"));
        };
        if value.len() > CONFIG_VALUE_BYTES_MAX {
            return refuse(
                ErrorCode::InvalidConfig,
                format!("The value of {name} is longer than {CONFIG_VALUE_BYTES_MAX} bytes."),
            );
        }
        if one_broker && name == MIN_INSYNC_REPLICAS {
            let message = format!("Broker-level {name} cannot be altered: it is the same for all brokers.");
            return refuse(ErrorCode::InvalidConfig, message);
        }
        match key.dynamic {
            Dynamic::ReadOnly => refuse(
                ErrorCode::InvalidRequest,
                format!("Cannot update these configs dynamically: Set({name})"),
            ),
            Dynamic::PerBroker if !one_broker => {
                let message = format!("Cannot update these configs at default cluster level, broker id must be specified: Set({name})");
                refuse(ErrorCode::InvalidRequest, message)
            }
            _ => key
                .parse(value)
                .map(drop)
                .map_err(|error| Refusal::new(ErrorCode::InvalidRequest, error.to_string())),
        }
    }
}

fn parse_resource(kind: i8, name: &str) -> Result<ConfigResource, Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let unsupported = |what: &str| Err(Refusal::new(ErrorCode::UnsupportedVersion, format!("{what} cannot be altered.")));
    match kind {
        ConfigResource::TOPIC if name.is_empty() => invalid("Default topic resources are not allowed."),
        ConfigResource::TOPIC => match topic_name::validate(name) {
            Ok(()) => Ok(ConfigResource::Topic(name.to_owned())),
            Err(error) => Err(Refusal::new(ErrorCode::InvalidTopicException, error.to_string())),
        },
        ConfigResource::BROKER if name.is_empty() => Ok(ConfigResource::Broker(None)),
        ConfigResource::BROKER => match name.parse() {
            Ok(id) if id >= 0 => Ok(ConfigResource::Broker(Some(BrokerId(id)))),
            Ok(_) => invalid("Invalid negative broker ID."),
            Err(_) => invalid("Unable to parse broker name as a base 10 number."),
        },
        ConfigResource::BROKER_LOGGER => unsupported("The log levels of a broker"),
        ConfigResource::CLIENT_METRICS => unsupported("Client metrics subscriptions"),
        ConfigResource::GROUP => unsupported("The configuration of a group"),
        unknown => invalid(&format!("Unknown resource type {unknown}")),
    }
}

fn check_changes(changes: &[Change]) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let names: BTreeSet<&str> = changes.iter().map(|change| change.name).collect();
    if names.len() < changes.len() {
        return refuse("Error due to duplicate config keys".to_owned());
    }
    if let Some(unknown) = changes.iter().find(|change| !(SET..=SUBTRACT).contains(&change.operation)) {
        return refuse(format!("Unknown operations type {}", unknown.operation));
    }
    let without_value = changes.iter().filter(|change| change.operation != DELETE && change.value.is_none());
    let without_value: Vec<&str> = without_value.map(|change| change.name).collect();
    if !without_value.is_empty() {
        return refuse(format!("Null value not supported for : {}", without_value.join(", ")));
    }
    Ok(())
}

fn check_existence(image: &ClusterImage, resource: &ConfigResource) -> Result<(), Refusal> {
    match resource {
        ConfigResource::Topic(name) if image.topic(name).is_none() => Err(Refusal::new(
            ErrorCode::UnknownTopicOrPartition,
            format!("The topic '{name}' does not exist."),
        )),
        ConfigResource::Broker(Some(id)) if image.broker(*id).is_none() => Err(Refusal::new(
            ErrorCode::BrokerIdNotRegistered,
            format!("No node with id {id} found."),
        )),
        _ => Ok(()),
    }
}

/// Items are added once, and removed wherever they are.
fn changed_list(current: &str, operation: i8, items: &str) -> String {
    let mut list = split_list(current);
    let items = split_list(items);
    list.retain(|item| !item.is_empty() && (operation == APPEND || !items.contains(item)));
    if operation == APPEND {
        for item in items {
            if !list.contains(&item) {
                list.push(item);
            }
        }
    }
    list.join(",")
}
