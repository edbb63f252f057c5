//! Describing and altering configuration.

use dohle_broker::Broker;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::alter_configs::{self, AlterConfigsRequest};
use dohle_protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult};
use dohle_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest};
use dohle_protocol::messages::list_config_resources::ListConfigResourcesRequest;
use dohle_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use crate::node::{self, Client};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;

async fn describe(client: &mut Client, resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: name.to_string(),
        configuration_keys: keys.map(|keys| keys.iter().map(ToString::to_string).collect()),
        ..DescribeConfigsResource::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        ..DescribeConfigsRequest::default()
    };
    client.ask(&request).await.results.remove(0)
}

/// Value and source of one key.
async fn value(client: &mut Client, resource_type: i8, name: &str, key: &str) -> (String, i8) {
    let mut result = describe(client, resource_type, name, Some(&[key])).await;
    assert_eq!((result.error_code, result.configs.len()), (0, 1), "{:?}", result.error_message);
    let config = result.configs.remove(0);
    (config.value.unwrap_or_default(), config.config_source)
}

async fn alter(client: &mut Client, resource_type: i8, name: &str, key: &str, operation: i8, to: Option<&str>) -> (i16, String) {
    let config = AlterableConfig {
        name: key.to_string(),
        config_operation: operation,
        value: to.map(str::to_string),
        ..AlterableConfig::default()
    };
    let resource = AlterConfigsResource {
        resource_type,
        resource_name: name.to_string(),
        configs: vec![config],
        ..AlterConfigsResource::default()
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource],
        ..IncrementalAlterConfigsRequest::default()
    };
    let response = client.ask(&request).await.responses.remove(0);
    (response.error_code, response.error_message.unwrap_or_default())
}

async fn produce(client: &mut Client, topic: &str, bytes: usize) -> i16 {
    let mut records = dohle_protocol::builder::RecordBatchBuilder::new();
    records.append(1, None, Some(&vec![b'x'; bytes]), &[]);
    let partition = PartitionProduceData {
        index: 0,
        records: Some(records.build()),
        ..PartitionProduceData::default()
    };
    let data = TopicProduceData {
        name: topic.to_string(),
        partition_data: vec![partition],
        ..TopicProduceData::default()
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 5000,
        topic_data: vec![data],
        ..ProduceRequest::default()
    };
    client.call(9, &request).await.responses[0].partition_responses[0].error_code
}

async fn with_topic(dir: &std::path::Path, settings: &[(&str, &str)]) -> (Broker, Client) {
    let broker = node::start(dir, settings).await;
    let mut client = Client::connect(&broker).await;
    assert_eq!(client.create("t", 1).await.error_code, 0);
    (broker, client)
}

#[tokio::test]
async fn a_topic_shows_where_its_values_come_from() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topic(dir.path(), &[("log.segment.bytes", "2000000")]).await;
    assert_eq!(value(&mut client, TOPIC, "t", "segment.bytes").await, ("2000000".to_string(), 4));
    assert_eq!(value(&mut client, TOPIC, "t", "flush.policy").await, ("commit".to_string(), 5));
    assert_eq!(alter(&mut client, TOPIC, "t", "segment.bytes", SET, Some("3000000")).await.0, 0);
    assert_eq!(value(&mut client, TOPIC, "t", "segment.bytes").await, ("3000000".to_string(), 1));
    let shown = describe(&mut client, TOPIC, "t", Some(&["segment.bytes"])).await.configs.remove(0);
    let synonyms: Vec<_> = shown
        .synonyms
        .iter()
        .map(|synonym| (synonym.name.as_str(), synonym.value.as_deref().unwrap(), synonym.source))
        .collect();
    let expected = [
        ("segment.bytes", "3000000", 1),
        ("log.segment.bytes", "2000000", 4),
        ("log.segment.bytes", "1073741824", 5),
    ];
    assert_eq!(synonyms, expected);
    assert!(!shown.read_only && shown.config_type == 3 && shown.documentation.is_none());
    let all = describe(&mut client, TOPIC, "t", None).await.configs;
    assert!(all.len() > 30 && all.iter().any(|config| config.name == "cleanup.policy"));
}

#[tokio::test]
async fn every_version_describes_and_documentation_comes_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topic(dir.path(), &[]).await;
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: "t".to_string(),
        ..DescribeConfigsResource::default()
    };
    for version in 1..=4 {
        let request = DescribeConfigsRequest {
            resources: vec![resource.clone()],
            include_documentation: version >= 3,
            ..DescribeConfigsRequest::default()
        };
        let configs = client.call(version, &request).await.results.remove(0).configs;
        assert!(configs.iter().all(|config| config.synonyms.is_empty()));
        assert!(
            configs
                .iter()
                .all(|config| config.documentation.as_ref().is_some_and(|doc| doc.len() > 20) == (version >= 3))
        );
    }
}

#[tokio::test]
async fn what_cannot_be_described_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topic(dir.path(), &[]).await;
    for (kind, name, expected) in [
        (TOPIC, "nowhere", ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "a b", ErrorCode::InvalidTopicException),
        (BROKER, "7", ErrorCode::InvalidRequest),
        (BROKER, "one", ErrorCode::InvalidRequest),
        (99, "x", ErrorCode::InvalidRequest),
    ] {
        let result = describe(&mut client, kind, name, None).await;
        assert_eq!(ErrorCode::from_code(result.error_code), expected, "{kind} {name}");
        assert!(result.configs.is_empty() && result.error_message.is_some());
    }
}

#[tokio::test]
async fn an_altered_broker_key_holds_at_once_for_all_topics_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, mut client) = with_topic(dir.path(), &[("message.max.bytes", "5000")]).await;
    assert_eq!(produce(&mut client, "t", 6000).await, ErrorCode::MessageTooLarge.code());
    assert_eq!(alter(&mut client, BROKER, "", "message.max.bytes", SET, Some("10000")).await.0, 0);
    assert_eq!(produce(&mut client, "t", 6000).await, 0);
    assert_eq!(alter(&mut client, BROKER, "1", "message.max.bytes", SET, Some("500")).await.0, 0);
    assert_eq!(produce(&mut client, "t", 6000).await, ErrorCode::MessageTooLarge.code());
    assert_eq!(value(&mut client, BROKER, "1", "message.max.bytes").await, ("500".to_string(), 2));
    let for_all = describe(&mut client, BROKER, "", None).await.configs;
    assert_eq!(for_all.len(), 1);
    assert_eq!((for_all[0].value.as_deref(), for_all[0].config_source), (Some("10000"), 3));
    broker.shutdown().await;

    let broker = node::start(dir.path(), &[("message.max.bytes", "5000")]).await;
    let mut client = Client::connect(&broker).await;
    assert_eq!(value(&mut client, TOPIC, "t", "max.message.bytes").await, ("500".to_string(), 2));
    assert_eq!(produce(&mut client, "t", 600).await, ErrorCode::MessageTooLarge.code());
    assert_eq!(alter(&mut client, BROKER, "1", "message.max.bytes", DELETE, None).await.0, 0);
    assert_eq!(alter(&mut client, BROKER, "", "message.max.bytes", DELETE, None).await.0, 0);
    assert_eq!(value(&mut client, BROKER, "1", "message.max.bytes").await, ("5000".to_string(), 4));
    assert_eq!(produce(&mut client, "t", 600).await, 0);
}

#[tokio::test]
async fn what_cannot_be_altered_says_why_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topic(dir.path(), &[]).await;
    for (kind, name, key, to, expected) in [
        (TOPIC, "t", "retention.msec", "1", ErrorCode::InvalidConfig),
        (TOPIC, "t", "segment.bytes", "-1", ErrorCode::InvalidConfig),
        (TOPIC, "nowhere", "retention.ms", "1", ErrorCode::UnknownTopicOrPartition),
        (BROKER, "1", "log.dirs", "/elsewhere", ErrorCode::InvalidRequest),
        (BROKER, "", "no.such.key", "1", ErrorCode::InvalidConfig),
        (BROKER, "7", "max.connections", "1", ErrorCode::BrokerIdNotRegistered),
        (8, "1", "root", "DEBUG", ErrorCode::UnsupportedVersion),
    ] {
        let (code, message) = alter(&mut client, kind, name, key, SET, Some(to)).await;
        assert_eq!(ErrorCode::from_code(code), expected, "{kind} {name} {key}: {message}");
        assert!(!message.is_empty());
    }
    assert_eq!(value(&mut client, TOPIC, "t", "segment.bytes").await.1, 5);
}

#[tokio::test]
async fn replacing_a_configuration_removes_what_is_not_named() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topic(dir.path(), &[]).await;
    alter(&mut client, TOPIC, "t", "retention.ms", SET, Some("1000")).await;
    for version in 0..=2 {
        let to = (60_000 + i64::from(version)).to_string();
        let config = alter_configs::AlterableConfig {
            name: "segment.ms".to_string(),
            value: Some(to.clone()),
            ..Default::default()
        };
        let resource = alter_configs::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t".to_string(),
            configs: vec![config],
            ..Default::default()
        };
        let mut request = AlterConfigsRequest {
            resources: vec![resource],
            validate_only: true,
            ..AlterConfigsRequest::default()
        };
        assert_eq!(client.call(version, &request).await.responses[0].error_code, 0);
        assert_ne!(value(&mut client, TOPIC, "t", "segment.ms").await.0, to);
        request.validate_only = false;
        assert_eq!(client.call(version, &request).await.responses[0].error_code, 0);
        assert_eq!(value(&mut client, TOPIC, "t", "segment.ms").await, (to, 1));
        assert_eq!(value(&mut client, TOPIC, "t", "retention.ms").await.1, 5);
    }
}

#[tokio::test]
async fn resources_with_a_configuration_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topic(dir.path(), &[]).await;
    let mut request = ListConfigResourcesRequest::default();
    assert!(client.call(0, &request).await.config_resources.is_empty());
    let listed = client.call(1, &request).await.config_resources;
    let names: Vec<_> = listed
        .iter()
        .map(|resource| (resource.resource_type, resource.resource_name.as_str()))
        .collect();
    assert_eq!(names, [(TOPIC, "t"), (BROKER, "1")]);
    request.resource_types = vec![BROKER];
    assert_eq!(client.call(1, &request).await.config_resources.len(), 1);
    request.resource_types = vec![99];
    assert_eq!(client.call(1, &request).await.error_code, ErrorCode::UnsupportedVersion.code());
}
