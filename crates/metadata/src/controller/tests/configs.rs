//! Altering configurations.

use super::*;
use crate::config::key::{ConfigKind, Dynamic};
use crate::config::resource::ConfigResource;
use dohle_protocol::messages::alter_configs as whole;
use dohle_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};

use ErrorCode::{BrokerIdNotRegistered, InvalidConfig, InvalidRequest, InvalidTopicException, UnknownTopicOrPartition, UnsupportedVersion};

/// Key, operation, value.
type Setting<'a> = (&'a str, i8, Option<&'a str>);

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) fn resource(resource_type: i8, name: &str, configs: &[(&str, i8, Option<&str>)]) -> AlterConfigsResource {
    let to_wire = |(name, config_operation, value): &(&str, i8, Option<&str>)| AlterableConfig {
        name: name.to_string(),
        config_operation: *config_operation,
        value: value.map(str::to_owned),
        ..Default::default()
    };
    let configs = configs.iter().map(to_wire).collect();
    AlterConfigsResource {
        resource_type,
        resource_name: name.to_owned(),
        configs,
        ..Default::default()
    }
}

pub(super) fn incremental(cluster: &mut Cluster, resources: Vec<AlterConfigsResource>, validate_only: bool) -> Vec<(ErrorCode, String)> {
    let request = IncrementalAlterConfigsRequest {
        resources,
        validate_only,
        ..Default::default()
    };
    let reply = cluster.ask(ControllerRequest::IncrementalAlterConfigs(request));
    let ControllerReply::IncrementalAlterConfigs(response) = reply else {
        unreachable!()
    };
    let answers = response.responses.into_iter();
    answers
        .map(|answer| (ErrorCode::from_code(answer.error_code), answer.error_message.unwrap_or_default()))
        .collect()
}

fn replace(cluster: &mut Cluster, name: &str, configs: &[(&str, Option<&str>)]) -> (ErrorCode, String) {
    let to_wire = |(name, value): &(&str, Option<&str>)| whole::AlterableConfig {
        name: name.to_string(),
        value: value.map(str::to_owned),
        ..Default::default()
    };
    let configs = configs.iter().map(to_wire).collect();
    let resource = whole::AlterConfigsResource {
        resource_type: ConfigResource::TOPIC,
        resource_name: name.to_owned(),
        configs,
        ..Default::default()
    };
    let request = AlterConfigsRequest {
        resources: vec![resource],
        ..Default::default()
    };
    let ControllerReply::AlterConfigs(mut response) = cluster.ask(ControllerRequest::AlterConfigs(request)) else {
        unreachable!()
    };
    let answer = response.responses.remove(0);
    (ErrorCode::from_code(answer.error_code), answer.error_message.unwrap_or_default())
}

fn of_topic(cluster: &Cluster) -> Vec<(&str, &str)> {
    cluster
        .image
        .topic_config("t")
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

fn done() -> (ErrorCode, String) {
    (ErrorCode::None, String::new())
}

#[test]
fn single_keys_are_set_deleted_appended_to_and_subtracted_from() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 1, 1);
    let topic = ConfigResource::TOPIC;
    assert_eq!(
        cluster.set_config(topic, "t", &[("retention.ms", SET, Some("5")), ("segment.ms", SET, Some("6"))]),
        done()
    );
    assert_eq!(of_topic(&cluster), [("retention.ms", "5"), ("segment.ms", "6")]);
    assert_eq!(
        cluster.set_config(
            topic,
            "t",
            &[("retention.ms", DELETE, None), ("cleanup.policy", APPEND, Some("compact,delete"))]
        ),
        done()
    );
    assert_eq!(of_topic(&cluster), [("cleanup.policy", "delete,compact"), ("segment.ms", "6")]);
    assert_eq!(
        cluster.set_config(topic, "t", &[("cleanup.policy", SUBTRACT, Some("delete"))]),
        done()
    );
    assert_eq!(of_topic(&cluster), [("cleanup.policy", "compact"), ("segment.ms", "6")]);
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 1, 1);
    cluster.set_config(ConfigResource::TOPIC, "t", &[("segment.ms", SET, Some("6"))]);
    let log = cluster.log.len();
    assert_eq!(
        cluster.set_config(
            ConfigResource::TOPIC,
            "t",
            &[("segment.ms", SET, Some("6")), ("segment.bytes", DELETE, None)]
        ),
        done()
    );
    assert_eq!(cluster.log.len(), log);
}

#[test]
fn the_old_request_replaces_everything() {
    let mut cluster = Cluster::of(1);
    cluster.create(with_configs(
        topic("t", 1, 1),
        &[("retention.ms", Some("5")), ("segment.ms", Some("6"))],
    ));
    assert_eq!(replace(&mut cluster, "t", &[("segment.ms", Some("7"))]), done());
    assert_eq!(of_topic(&cluster), [("segment.ms", "7")]);
    assert_eq!(replace(&mut cluster, "t", &[("segment.ms", None)]).0, InvalidRequest);
    assert_eq!(replace(&mut cluster, "t", &[("segment.ms", Some("0"))]).0, InvalidConfig);
    assert_eq!(of_topic(&cluster), [("segment.ms", "7")]);
    assert_eq!(replace(&mut cluster, "t", &[]), done());
    assert_eq!(of_topic(&cluster), []);
}

fn check_refusals(table: &[(i8, &str, &[Setting], ErrorCode, &str)]) {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 1, 1);
    let before = cluster.image.clone();
    for (kind, name, changes, code, start) in table {
        let (found, message) = cluster.set_config(*kind, name, changes);
        assert_eq!(found, *code, "{message}");
        assert!(message.starts_with(start), "{message}");
    }
    assert_eq!(cluster.image, before);
}

#[test]
fn resources_that_are_refused() {
    let set: &[Setting] = &[("segment.ms", SET, Some("6"))];
    check_refusals(&[
        (2, "", set, InvalidRequest, "Default topic resources are not allowed."),
        (2, "a/b", set, InvalidTopicException, "Topic name is invalid: "),
        (2, "x", set, UnknownTopicOrPartition, "The topic 'x' does not exist."),
        (4, "x", set, InvalidRequest, "Unable to parse broker name as a base 10 number."),
        (4, "-1", set, InvalidRequest, "Invalid negative broker ID."),
        (
            4,
            "7",
            &[("log.roll.ms", SET, Some("6"))],
            BrokerIdNotRegistered,
            "No node with id 7 found.",
        ),
        (8, "1", set, UnsupportedVersion, "The log levels of a broker cannot be altered."),
        (16, "m", set, UnsupportedVersion, "Client metrics subscriptions cannot be altered."),
        (32, "g", set, UnsupportedVersion, "The configuration of a group cannot be altered."),
        (99, "g", set, InvalidRequest, "Unknown resource type 99"),
    ]);
}

#[test]
fn changes_that_are_refused() {
    let twice: &[Setting] = &[("segment.ms", SET, Some("6")), ("segment.ms", DELETE, None)];
    check_refusals(&[
        (
            2,
            "t",
            &[("nope", SET, Some("6"))],
            InvalidConfig,
            "Unknown topic config name: nope",
        ),
        (
            2,
            "t",
            &[("segment.ms", SET, Some("x"))],
            InvalidConfig,
            "Invalid value x for configuration segment.ms",
        ),
        (
            2,
            "t",
            &[("segment.ms", SET, None)],
            InvalidRequest,
            "Null value not supported for : segment.ms",
        ),
        (
            2,
            "t",
            &[("segment.ms", APPEND, Some("6"))],
            InvalidConfig,
            "Can't APPEND to key segment.ms because its type is not LIST.",
        ),
        (
            2,
            "t",
            &[("nope", SUBTRACT, Some("6"))],
            InvalidConfig,
            "Can't SUBTRACT to key nope because its type is not LIST.",
        ),
        (2, "t", &[("segment.ms", 9, Some("6"))], InvalidRequest, "Unknown operations type 9"),
        (2, "t", twice, InvalidRequest, "Error due to duplicate config keys"),
        (
            4,
            "1",
            &[("log.roll.mss", SET, Some("6"))],
            InvalidConfig,
            "Unknown broker config name: log.roll.mss",
        ),
    ]);
}

#[test]
fn a_resource_that_comes_twice_is_not_touched_and_validate_only_touches_nothing() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 1, 1);
    cluster.topic("u", 1, 1);
    let change = |name| resource(ConfigResource::TOPIC, name, &[("segment.ms", SET, Some("6"))]);
    let answers = incremental(&mut cluster, vec![change("t"), change("u"), change("t")], false);
    let codes: Vec<_> = answers.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [InvalidRequest, ErrorCode::None, InvalidRequest]);
    assert!(of_topic(&cluster).is_empty() && !cluster.image.topic_config("u").is_empty());
    assert_eq!(incremental(&mut cluster, vec![change("t")], true), [done()]);
    assert!(of_topic(&cluster).is_empty());
}

#[test]
fn broker_keys_are_altered_where_they_may_be() {
    let mut cluster = Cluster::of(1);
    let key = |name, dynamic| ConfigKey::new(name, ConfigKind::int_from(0), Some("1"), "For the test.").dynamic(dynamic);
    cluster.controller.broker_keys = vec![
        key("read.only", Dynamic::ReadOnly),
        key("per.broker", Dynamic::PerBroker),
        key("cluster.wide", Dynamic::ClusterWide),
    ];
    let table = [
        (
            "",
            "read.only",
            "2",
            InvalidRequest,
            "Cannot update these configs dynamically: Set(read.only)",
        ),
        (
            "",
            "per.broker",
            "2",
            InvalidRequest,
            "Cannot update these configs at default cluster level, broker id must be specified: Set(per.broker)",
        ),
        (
            "",
            "cluster.wide",
            "-2",
            InvalidRequest,
            "Invalid value -2 for configuration cluster.wide: it must be a whole number from 0 to 2147483647 (the largest there is).",
        ),
        (
            "1",
            "min.insync.replicas",
            "2",
            InvalidConfig,
            "Broker-level min.insync.replicas cannot be altered: it is the same for all brokers.",
        ),
        ("", "min.insync.replicas", "2", ErrorCode::None, ""),
        ("1", "per.broker", "2", ErrorCode::None, ""),
        ("", "cluster.wide", "3", ErrorCode::None, ""),
        ("", "log.retention.ms", "4000", ErrorCode::None, ""),
    ];
    for (name, config, value, code, message) in table {
        let answer = cluster.set_config(ConfigResource::BROKER, name, &[(config, SET, Some(value))]);
        assert_eq!(answer, (code, message.to_owned()));
    }
    assert_eq!(cluster.image.configs().broker(Some(BrokerId(1))).len(), 1);
    assert_eq!(cluster.image.configs().broker(None).len(), 3);
    let result = cluster.create(topic("t", 1, 1));
    let retention = result
        .configs
        .unwrap()
        .into_iter()
        .find(|config| config.name == "retention.ms")
        .unwrap();
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("4000"), 3));
}

#[test]
fn a_refusal_does_not_repeat_megabytes() {
    let mut cluster = Cluster::of(1);
    cluster.topic("t", 1, 1);
    let (code, message) = cluster.set_config(ConfigResource::TOPIC, "t", &[(&"é".repeat(1 << 20), SET, Some("1"))]);
    assert_eq!(code, InvalidConfig);
    assert!(message.len() <= 1003 && message.ends_with("éé..."), "{message}");
}
