//! Metadata, DescribeCluster and DescribeTopicPartitions: who is told what, in which version.

use dohle_broker::Broker;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_cluster::DescribeClusterRequest;
use dohle_protocol::messages::describe_topic_partitions::{Cursor, DescribeTopicPartitionsRequest, TopicRequest};
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponseTopic};
use uuid::Uuid;

use crate::node::{self, Client};

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic {
        name: Some(name.to_string()),
        ..MetadataRequestTopic::default()
    }
}

fn about(topics: Vec<MetadataRequestTopic>) -> MetadataRequest {
    MetadataRequest {
        topics: Some(topics),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    }
}

fn errors(topics: &[MetadataResponseTopic]) -> Vec<(Option<&str>, ErrorCode)> {
    topics
        .iter()
        .map(|topic| (topic.name.as_deref(), ErrorCode::from_code(topic.error_code)))
        .collect()
}

async fn with_topics(dir: &std::path::Path, settings: &[(&str, &str)]) -> (Broker, Client) {
    let broker = node::start(dir, settings).await;
    let mut client = Client::connect(&broker).await;
    assert_eq!(client.create("b", 3).await.error_code, 0);
    assert_eq!(client.create("a", 1).await.error_code, 0);
    (broker, client)
}

#[tokio::test]
async fn trap_40_all_topics_and_no_topics_by_version() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topics(dir.path(), &[]).await;
    let empty = MetadataRequest {
        topics: Some(Vec::new()),
        ..MetadataRequest::default()
    };
    let names = |topics: Vec<MetadataResponseTopic>| topics.into_iter().filter_map(|topic| topic.name).collect::<Vec<_>>();
    assert_eq!(names(client.call(0, &empty).await.topics), ["a", "b"]);
    for version in 1..=13 {
        assert_eq!(client.call(version, &empty).await.topics, [], "version {version}");
        let all = MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        let response = client.call(version, &all).await;
        assert_eq!(response.brokers.len(), 1);
        assert_eq!(response.controller_id, 1);
        assert_eq!(names(response.topics), ["a", "b"], "version {version}");
    }
}

#[tokio::test]
async fn trap_40_ids_and_null_names_are_for_version_12_and_later() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topics(dir.path(), &[]).await;
    let id = client.ask(&about(vec![named("a")])).await.topics[0].topic_id;
    assert!(!id.is_nil());
    let by_id = about(vec![MetadataRequestTopic {
        topic_id: id,
        name: None,
        ..MetadataRequestTopic::default()
    }]);
    for version in [10, 11] {
        let refused = client.call(version, &by_id).await.topics;
        assert_eq!(errors(&refused), [(Some(""), ErrorCode::InvalidRequest)], "version {version}");
        let with_name = about(vec![MetadataRequestTopic {
            topic_id: id,
            ..named("a")
        }]);
        assert_eq!(
            errors(&client.call(version, &with_name).await.topics),
            [(Some("a"), ErrorCode::InvalidRequest)]
        );
        assert_eq!(client.call(version, &about(vec![named("a")])).await.topics[0].topic_id, id);
    }
    for version in [12, 13] {
        assert_eq!(errors(&client.call(version, &by_id).await.topics), [(Some("a"), ErrorCode::None)]);
    }
}

#[tokio::test]
async fn trap_33_an_unknown_id_is_not_an_unknown_name_and_a_new_topic_has_a_new_id() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topics(dir.path(), &[]).await;
    let first = client.create("again", 1).await.topic_id;
    let by_id = |topic_id: Uuid| {
        about(vec![MetadataRequestTopic {
            topic_id,
            name: None,
            ..MetadataRequestTopic::default()
        }])
    };
    let delete = dohle_protocol::messages::delete_topics::DeleteTopicsRequest {
        topics: vec![dohle_protocol::messages::delete_topics::DeleteTopicState {
            topic_id: first,
            ..Default::default()
        }],
        timeout_ms: 5000,
        ..Default::default()
    };
    let deleted = client.ask(&delete).await.responses;
    assert_eq!((deleted[0].error_code, deleted[0].name.as_deref()), (0, Some("again")));
    let gone = client.ask(&by_id(first)).await.topics;
    assert_eq!(errors(&gone), [(None, ErrorCode::UnknownTopicId)]);
    assert_eq!(gone[0].topic_id, first);
    let second = client.create("again", 1).await.topic_id;
    assert_ne!(first, second);
    assert_eq!(errors(&client.ask(&by_id(second)).await.topics), [(Some("again"), ErrorCode::None)]);
}

#[tokio::test]
async fn trap_10_operations_that_were_not_asked_for_are_i32_min() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topics(dir.path(), &[]).await;
    let mut request = about(vec![named("a")]);
    let silent = client.call(10, &request).await;
    assert_eq!(
        (silent.cluster_authorized_operations, silent.topics[0].topic_authorized_operations),
        (i32::MIN, i32::MIN)
    );
    request.include_cluster_authorized_operations = true;
    request.include_topic_authorized_operations = true;
    let told = client.call(10, &request).await;
    assert_eq!(
        (told.cluster_authorized_operations, told.topics[0].topic_authorized_operations),
        (8096, 3576)
    );
}

#[tokio::test]
async fn trap_40_brokers_are_told_by_the_listener_that_the_client_used() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("listeners", "DIRECT://127.0.0.1:0,OUTSIDE://127.0.0.1:0"),
        ("listener.security.protocol.map", "DIRECT:PLAINTEXT,OUTSIDE:PLAINTEXT"),
        ("advertised.listeners", "OUTSIDE://kafka.example.com:443"),
    ];
    let broker = node::start(dir.path(), &settings).await;
    for (name, address) in broker.listeners() {
        let mut client = Client::connect_to(*address).await;
        let told = client.ask(&about(Vec::new())).await.brokers.remove(0);
        let described = client.ask(&DescribeClusterRequest::default()).await.brokers.remove(0);
        let expected = match name.as_str() {
            "DIRECT" => ("127.0.0.1".to_string(), i32::from(address.port())),
            _ => ("kafka.example.com".to_string(), 443),
        };
        assert_eq!((told.host, told.port), expected);
        assert_eq!((described.host, described.port), expected);
    }
}

#[tokio::test]
async fn a_node_on_localhost_is_reached_by_ipv4_and_ipv6_and_tells_each_client_the_address_it_dialled() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[("listeners", "PLAINTEXT://localhost:0")]).await;
    for (_, address) in broker.listeners() {
        let mut client = Client::connect_to(*address).await;
        let told = client.ask(&about(Vec::new())).await.brokers.remove(0);
        assert_eq!((told.host, told.port), (address.ip().to_string(), i32::from(address.port())));
    }
}

#[tokio::test]
async fn asking_for_a_topic_creates_it_if_client_and_broker_want_that() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, mut client) = with_topics(dir.path(), &[("num.partitions", "4")]).await;
    assert_eq!(
        errors(&client.ask(&about(vec![named("new")])).await.topics),
        [(Some("new"), ErrorCode::UnknownTopicOrPartition)]
    );
    let mut request = about(vec![named("new"), named("a"), named("new")]);
    request.allow_auto_topic_creation = true;
    let topics = client.ask(&request).await.topics;
    assert_eq!(errors(&topics), [(Some("new"), ErrorCode::None), (Some("a"), ErrorCode::None)]);
    assert_eq!(topics[0].partitions.len(), 4);
    assert!(
        topics[0]
            .partitions
            .iter()
            .all(|partition| partition.error_code == 0 && partition.leader_id == 1)
    );
    request.topics = Some(vec![named("__consumer_offsets"), named("a b")]);
    let refused = client.ask(&request).await.topics;
    let expected = [
        (Some("__consumer_offsets"), ErrorCode::UnknownTopicOrPartition),
        (Some("a b"), ErrorCode::InvalidTopicException),
    ];
    assert_eq!(errors(&refused), expected);
    assert!(refused[0].is_internal);
    broker.shutdown().await;

    let broker = node::start(dir.path(), &[("auto.create.topics.enable", "false")]).await;
    let mut client = Client::connect(&broker).await;
    request.topics = Some(vec![named("newer"), named("new")]);
    let topics = client.ask(&request).await.topics;
    assert_eq!(
        errors(&topics),
        [(Some("newer"), ErrorCode::UnknownTopicOrPartition), (Some("new"), ErrorCode::None)]
    );
}

#[tokio::test]
async fn topics_are_described_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topics(dir.path(), &[]).await;
    client.create("c", 2).await;
    let mut request = DescribeTopicPartitionsRequest {
        response_partition_limit: 2,
        ..DescribeTopicPartitionsRequest::default()
    };
    let mut pages = Vec::new();
    loop {
        let response = client.ask(&request).await;
        let page = response.topics.iter().map(|topic| {
            let indexes: Vec<i32> = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            (topic.name.clone().unwrap(), indexes)
        });
        pages.push(page.collect::<Vec<_>>());
        request.cursor = response.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    let page = |topics: &[(&str, &[i32])]| {
        topics
            .iter()
            .map(|(name, indexes)| (name.to_string(), indexes.to_vec()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        pages,
        [page(&[("a", &[0]), ("b", &[0])]), page(&[("b", &[1, 2])]), page(&[("c", &[0, 1])])]
    );
}

#[tokio::test]
async fn a_page_says_which_topics_are_missing_and_refuses_a_cursor_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topics(dir.path(), &[]).await;
    let topics = ["b", "nowhere", "a b"]
        .map(|name| TopicRequest {
            name: name.to_string(),
            ..TopicRequest::default()
        })
        .to_vec();
    let mut request = DescribeTopicPartitionsRequest {
        topics,
        ..DescribeTopicPartitionsRequest::default()
    };
    let found = client.ask(&request).await.topics;
    let outcomes: Vec<_> = found
        .iter()
        .map(|topic| (topic.name.as_deref().unwrap(), topic.error_code, topic.partitions.len()))
        .collect();
    assert_eq!(outcomes, [("a b", 17, 0), ("b", 0, 3), ("nowhere", 3, 0)]);
    request.cursor = Some(Cursor {
        topic_name: "c".to_string(),
        partition_index: 0,
        ..Cursor::default()
    });
    assert!(
        client
            .ask(&request)
            .await
            .topics
            .iter()
            .all(|topic| topic.error_code == ErrorCode::InvalidRequest.code())
    );
}

#[tokio::test]
async fn a_cluster_of_brokers_is_described_and_controllers_are_not_described_here() {
    let dir = tempfile::tempdir().unwrap();
    let (_broker, mut client) = with_topics(dir.path(), &[("broker.rack", "cellar")]).await;
    for version in 0..=2 {
        let mut request = DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            ..DescribeClusterRequest::default()
        };
        let response = client.call(version, &request).await;
        assert_eq!(
            (response.error_code, response.controller_id, response.cluster_authorized_operations),
            (0, 1, 8096)
        );
        assert_eq!(response.cluster_id.len(), 22);
        assert_eq!(
            (response.brokers[0].broker_id, response.brokers[0].rack.as_deref()),
            (1, Some("cellar"))
        );
        if version > 0 {
            request.endpoint_type = 2;
            assert_eq!(
                client.call(version, &request).await.error_code,
                ErrorCode::MismatchedEndpointType.code()
            );
            request.endpoint_type = 9;
            assert_eq!(
                client.call(version, &request).await.error_code,
                ErrorCode::UnsupportedEndpointType.code()
            );
        }
    }
}
