//! Creating, growing and deleting topics.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use dohle_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest};
use dohle_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use dohle_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use crate::node::{self, Client};

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_string(),
        num_partitions,
        replication_factor,
        ..CreatableTopic::default()
    }
}

async fn create(client: &mut Client, topics: Vec<CreatableTopic>) -> Vec<CreatableTopicResult> {
    client
        .ask(&CreateTopicsRequest {
            topics,
            ..CreateTopicsRequest::default()
        })
        .await
        .topics
}

fn outcome(result: &CreatableTopicResult) -> (ErrorCode, &str) {
    (
        ErrorCode::from_code(result.error_code),
        result.error_message.as_deref().unwrap_or_default(),
    )
}

#[tokio::test]
async fn w18_names_that_are_no_topic_names() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[]).await;
    let mut client = Client::connect(&broker).await;
    let long = "x".repeat(250);
    for name in ["../../etc/x", ".", "..", "", long.as_str(), "a/b", "a\0", "토픽"] {
        let results = create(&mut client, vec![topic(name, 1, 1)]).await;
        let (code, message) = outcome(&results[0]);
        assert_eq!(code, ErrorCode::InvalidTopicException, "{name}");
        assert!(message.contains("Topic name is invalid"), "{message}");
    }
    assert_eq!(
        outcome(&create(&mut client, vec![topic(&"x".repeat(249), 1, 1)]).await[0]).0,
        ErrorCode::None
    );
    assert!(!dir.path().parent().unwrap().join("etc").exists());
}

#[tokio::test]
async fn w19_names_that_metrics_would_confuse() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[]).await;
    let mut client = Client::connect(&broker).await;
    assert_eq!(client.create("a.b", 1).await.error_code, 0);
    let collision = client.create("a_b", 1).await;
    assert_eq!(outcome(&collision).0, ErrorCode::InvalidTopicException);
    assert!(outcome(&collision).1.contains("a.b"));
}

#[tokio::test]
async fn w20_partitions_that_do_not_exist_and_topics_that_are_internal() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[]).await;
    let mut client = Client::connect(&broker).await;
    client.create("a", 1).await;
    let mut records = dohle_protocol::builder::RecordBatchBuilder::new();
    records.append(1, None, Some(b"x"), &[]);
    let records = records.build();
    for (name, index, expected) in [("a", -1, 3), ("a", 999_999, 3), ("a", 0, 0), ("__consumer_offsets", 0, 17)] {
        let partition = PartitionProduceData {
            index,
            records: Some(records.clone()),
            ..PartitionProduceData::default()
        };
        let data = TopicProduceData {
            name: name.to_string(),
            partition_data: vec![partition],
            ..TopicProduceData::default()
        };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 5000,
            topic_data: vec![data],
            ..ProduceRequest::default()
        };
        let response = client.call(9, &request).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, expected, "{name}-{index}");
    }
}

#[tokio::test]
async fn c2_trap_27_counts_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[("num.partitions", "5")]).await;
    let mut client = Client::connect(&broker).await;
    for (partitions, replicas, expected) in [(0, 1, 37), (-2, 1, 37), (1, 3, 38), (1, 0, 38)] {
        let results = create(&mut client, vec![topic("t", partitions, replicas)]).await;
        assert_eq!(results[0].error_code, expected, "{partitions} partitions, {replicas} replicas");
        assert!(results[0].error_message.is_some());
    }
    let results = create(&mut client, vec![topic("three", 1, 3)]).await;
    assert!(
        outcome(&results[0]).1.contains("only 1 broker(s) are registered"),
        "{}",
        outcome(&results[0]).1
    );
    let defaults = create(&mut client, vec![topic("defaults", -1, -1)]).await;
    assert_eq!(
        (defaults[0].error_code, defaults[0].num_partitions, defaults[0].replication_factor),
        (0, 5, 1)
    );
}

#[tokio::test]
async fn c3_what_exists_is_not_created_again_and_does_not_shrink() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[]).await;
    let mut client = Client::connect(&broker).await;
    client.create("t", 3).await;
    assert_eq!(outcome(&client.create("t", 3).await).0, ErrorCode::TopicAlreadyExists);
    for (count, expected, text) in [(1, 37, "would not be an increase"), (3, 37, "already has 3"), (5, 0, "")] {
        let topics = vec![CreatePartitionsTopic {
            name: "t".to_string(),
            count,
            ..CreatePartitionsTopic::default()
        }];
        let request = CreatePartitionsRequest {
            topics,
            timeout_ms: 5000,
            ..CreatePartitionsRequest::default()
        };
        for version in 0..3 {
            let validate = CreatePartitionsRequest {
                validate_only: true,
                ..request.clone()
            };
            assert_eq!(client.call(version, &validate).await.results[0].error_code, expected);
        }
        let result = client.ask(&request).await.results.remove(0);
        assert_eq!(result.error_code, expected);
        assert!(result.error_message.unwrap_or_default().contains(text));
    }
    assert!((0..5).all(|index| dir.path().join(format!("t-{index}")).is_dir()));
}

#[tokio::test]
async fn a_topic_can_be_written_to_when_its_creation_is_answered_in_every_version() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[]).await;
    let mut client = Client::connect(&broker).await;
    for version in 2..=7 {
        let mut wanted = topic(&format!("v{version}"), 2, 1);
        wanted.configs = vec![CreatableTopicConfig {
            name: "retention.ms".into(),
            value: Some("60000".into()),
            ..Default::default()
        }];
        let mut request = CreateTopicsRequest {
            topics: vec![wanted],
            validate_only: true,
            ..CreateTopicsRequest::default()
        };
        assert_eq!(client.call(version, &request).await.topics[0].error_code, 0);
        assert!(!dir.path().join(format!("v{version}-0")).exists());
        request.validate_only = false;
        let created = client.call(version, &request).await.topics.remove(0);
        assert_eq!(created.error_code, 0);
        assert!(dir.path().join(format!("v{version}-1")).is_dir());
        if version >= 5 {
            let configs = created.configs.unwrap();
            let retention = configs.iter().find(|config| config.name == "retention.ms").unwrap();
            assert_eq!(
                (retention.value.as_deref(), retention.config_source, created.num_partitions),
                (Some("60000"), 1, 2)
            );
        }
        assert_eq!(created.topic_id.is_nil(), version < 7);
    }
}

#[tokio::test]
async fn topics_are_deleted_by_name_in_every_version_and_their_names_are_free_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[("log.segment.delete.delay.ms", "0")]).await;
    let mut client = Client::connect(&broker).await;
    for version in 1..=6 {
        assert_eq!(client.create("t", 1).await.error_code, 0, "version {version}");
        let by_name = DeleteTopicState {
            name: Some("t".to_string()),
            ..DeleteTopicState::default()
        };
        let request = DeleteTopicsRequest {
            topics: if version == 6 { vec![by_name] } else { Vec::new() },
            topic_names: if version < 6 { vec!["t".to_string()] } else { Vec::new() },
            timeout_ms: 5000,
            ..DeleteTopicsRequest::default()
        };
        assert_eq!(client.call(version, &request).await.responses[0].error_code, 0);
        assert!(!dir.path().join("t-0").exists());
        assert_eq!(
            client.call(version, &request).await.responses[0].error_code,
            ErrorCode::UnknownTopicOrPartition.code()
        );
    }
}

#[tokio::test]
async fn deletion_can_be_forbidden() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[("delete.topic.enable", "false")]).await;
    let mut client = Client::connect(&broker).await;
    client.create("t", 1).await;
    let request = DeleteTopicsRequest {
        topic_names: vec!["t".to_string()],
        timeout_ms: 5000,
        ..DeleteTopicsRequest::default()
    };
    assert_eq!(
        client.call(2, &request).await.responses[0].error_code,
        ErrorCode::InvalidRequest.code()
    );
    assert_eq!(
        client.call(3, &request).await.responses[0].error_code,
        ErrorCode::TopicDeletionDisabled.code()
    );
    assert!(dir.path().join("t-0").exists());
}

#[tokio::test]
async fn ten_thousand_partitions_are_created_in_seconds_and_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[]).await;
    let mut client = Client::connect(&broker).await;
    let topics = (0..100).map(|number| topic(&format!("t{number:02}"), 100, 1)).collect();
    let begun = std::time::Instant::now();
    let results = create(&mut client, topics).await;
    assert!(results.iter().all(|result| result.error_code == 0));
    // Generous: this is a debug build next to other tests.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    broker.shutdown().await;
    let broker = node::start(dir.path(), &[]).await;
    let mut client = Client::connect(&broker).await;
    let all = dohle_protocol::messages::metadata::MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let topics = client.ask(&all).await.topics;
    assert_eq!(topics.iter().map(|topic| topic.partitions.len()).sum::<usize>(), 10_000);
    assert!(
        topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .all(|partition| partition.leader_id == 1)
    );
    broker.shutdown().await;
}
