//! Committed offsets: by name and by id, of many groups, of topics that go.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::delete_groups::DeleteGroupsRequest;
use dohle_protocol::messages::delete_topics::DeleteTopicsRequest;
use dohle_protocol::messages::list_groups::ListGroupsRequest;
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use dohle_protocol::messages::offset_commit::OffsetCommitRequest;
use dohle_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use uuid::Uuid;

use crate::groups_client::{Member, commit, commit_request, committed, describe, find, position, ready, start};
use crate::harness::{TestBroker, error_of, produce_request};

#[tokio::test(flavor = "multi_thread")]
async fn trap_41_the_topic_of_groups_is_created_when_somebody_looks_for_a_coordinator() {
    let broker = TestBroker::start_with(&[("offsets.topic.num.partitions", "3")]).await;
    let mut client = broker.connect().await;
    assert_eq!(committed(&mut client, "g").await, Err(ErrorCode::NotCoordinator));
    assert_eq!(find(&mut client, "g").await, ErrorCode::CoordinatorNotAvailable);
    ready(&broker).await;
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("__consumer_offsets".to_string()),
            ..MetadataRequestTopic::default()
        }]),
        ..MetadataRequest::default()
    };
    let topic = client.call(12, &request).await.topics.remove(0);
    assert!(topic.is_internal);
    assert_eq!(topic.partitions.len(), 3);
    // The default of 3 replicas is more than there are brokers.
    assert_eq!(topic.partitions[0].replica_nodes.len(), 1);
    let written = client
        .produce_with(
            9,
            &produce_request(-1, "__consumer_offsets", 0, Some(crate::harness::batch_of(&["garbage"]))),
        )
        .await;
    assert_eq!(error_of(written.error_code), ErrorCode::InvalidTopicException);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_45_offsets_and_their_text_come_back_and_what_was_not_committed_is_no_error() {
    let broker = start().await;
    let mut client = broker.connect().await;
    let request = commit_request(
        "g",
        &[("t", 0, 5, "where I was"), ("t", 1, 7, ""), ("nowhere", 0, 1, ""), ("t", 9, 1, "")],
    );
    let answer = client.call(9, &request).await;
    let errors: Vec<_> = (answer.topics.iter())
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|partition| (&*topic.name, partition.partition_index, partition.error_code))
        })
        .collect();
    // As in Kafka, what is refused comes first, and each topic once.
    assert_eq!(errors, [("nowhere", 0, 3), ("t", 9, 3), ("t", 0, 0), ("t", 1, 0)]);
    let expected = [
        ("t".to_string(), 0, 5, "where I was".to_string()),
        ("t".to_string(), 1, 7, String::new()),
    ];
    assert_eq!(committed(&mut client, "g").await.unwrap(), expected);
    assert_eq!(position(&mut client, "another").await, -1);
    assert_eq!(committed(&mut client, "another").await.unwrap(), []);
    assert_eq!(describe(&mut client, "g").await.group_state, "Empty");
    assert_eq!(describe(&mut client, "another").await.group_state, "Dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_named_by_id_from_version_10_on() {
    let broker = start().await;
    let mut client = broker.connect().await;
    let metadata = client.call(12, &MetadataRequest::default()).await;
    let id = metadata
        .topics
        .iter()
        .find(|topic| topic.name.as_deref() == Some("t"))
        .unwrap()
        .topic_id;
    let stranger = Uuid::from_u128(77);
    let mut request = commit_request("g", &[("", 0, 3, ""), ("", 0, 4, "")]);
    request.topics[0].topic_id = stranger;
    request.topics[1].topic_id = id;
    let answer = client.call(10, &request).await;
    let errors: Vec<_> = answer
        .topics
        .iter()
        .map(|topic| (topic.topic_id, topic.partitions[0].error_code))
        .collect();
    assert_eq!(errors, [(stranger, ErrorCode::UnknownTopicId.code()), (id, 0)]);

    let topic = |topic_id| OffsetFetchRequestTopics {
        topic_id,
        partition_indexes: vec![0],
        ..OffsetFetchRequestTopics::default()
    };
    for topics in [Some(vec![topic(stranger), topic(id)]), None] {
        let is_all = topics.is_none();
        let group = OffsetFetchRequestGroup {
            group_id: "g".to_string(),
            topics,
            ..OffsetFetchRequestGroup::default()
        };
        let request = OffsetFetchRequest {
            groups: vec![group],
            ..OffsetFetchRequest::default()
        };
        let answer = client.call(10, &request).await.groups.remove(0);
        let found: Vec<_> = (answer.topics.iter())
            .map(|topic| (topic.topic_id, topic.partitions[0].committed_offset, topic.partitions[0].error_code))
            .collect();
        let unknown = (stranger, -1, ErrorCode::UnknownTopicId.code());
        let expected = if is_all { vec![(id, 4, 0)] } else { vec![(id, 4, 0), unknown] };
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_many_shards_are_asked_for_listed_and_deleted_together() {
    let broker = TestBroker::start_with(&[("group.initial.rebalance.delay.ms", "0")]).await;
    ready(&broker).await;
    let mut client = broker.connect().await;
    let names: Vec<String> = (0..20).map(|number| format!("group {number}")).collect();
    for (number, name) in (0..).zip(&names) {
        assert_eq!(commit(&mut client, name, 0, number).await, ErrorCode::None);
    }
    let group = |group_id: &String| OffsetFetchRequestGroup {
        group_id: group_id.clone(),
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest {
        groups: names.iter().map(group).collect(),
        ..OffsetFetchRequest::default()
    };
    let answer = client.call(8, &request).await;
    let offsets: Vec<i64> = answer
        .groups
        .iter()
        .map(|group| group.topics[0].partitions[0].committed_offset)
        .collect();
    assert_eq!(offsets, (0..20).collect::<Vec<i64>>());

    let _member = Member::alone(&broker, "group 3").await;
    let request = DeleteGroupsRequest {
        groups_names: names[..5].to_vec(),
        ..DeleteGroupsRequest::default()
    };
    let answer = client.call(2, &request).await;
    let codes: Vec<i16> = answer.results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [0, 0, 0, ErrorCode::NonEmptyGroup.code(), 0]);
    let list = |state: &[&str]| ListGroupsRequest {
        states_filter: state.iter().map(ToString::to_string).collect(),
        ..ListGroupsRequest::default()
    };
    assert_eq!(client.call(5, &list(&[])).await.groups.len(), 16);
    let stable = client.call(5, &list(&["Stable"])).await;
    assert_eq!(stable.groups.iter().map(|group| &*group.group_id).collect::<Vec<_>>(), ["group 3"]);
    assert_eq!(committed(&mut client, "group 0").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_sent_ahead_are_decided_in_their_order() {
    let broker = start().await;
    let mut client = broker.connect().await;
    let mut sent = Vec::new();
    for offset in 0..200 {
        sent.push(client.send(9, &commit_request("g", &[("t", 0, offset, "")])).await);
    }
    for id in sent {
        let answer = client.receive::<OffsetCommitRequest>(9, id).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    }
    assert_eq!(position(&mut client, "g").await, 199);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_go_with_their_topic_and_when_they_are_deleted() {
    let broker = start().await;
    let mut client = broker.connect().await;
    broker.create_topic("gone", 1, &[]).await;
    let request = commit_request("g", &[("t", 0, 1, ""), ("t", 1, 2, ""), ("gone", 0, 3, "")]);
    client.call(9, &request).await;
    let request = DeleteTopicsRequest {
        topic_names: vec!["gone".to_string()],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    assert_eq!(client.call(5, &request).await.responses[0].error_code, 0);
    assert_eq!(committed(&mut client, "g").await.unwrap().len(), 2);

    let request = OffsetDeleteRequest {
        group_id: "g".to_string(),
        topics: vec![OffsetDeleteRequestTopic {
            name: "t".to_string(),
            partitions: [1, 5]
                .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
                .into(),
        }],
    };
    let answer = client.call(0, &request).await;
    let codes: Vec<_> = answer.topics[0]
        .partitions
        .iter()
        .map(|partition| (partition.partition_index, partition.error_code))
        .collect();
    assert_eq!((answer.error_code, codes), (0, vec![(5, 3), (1, 0)]));
    let left = [("t".to_string(), 0, 1, String::new())];
    assert_eq!(committed(&mut client, "g").await.unwrap(), left);
    let broker = broker.restart().await;
    assert_eq!(committed(&mut broker.connect().await, "g").await.unwrap(), left);
}

/// The answers of the versions before many groups, before an error of the answer, and before null for all topics.
#[tokio::test(flavor = "multi_thread")]
async fn older_versions_of_offset_fetch_have_another_shape() {
    use dohle_protocol::messages::offset_fetch::OffsetFetchRequestTopic;
    let broker = TestBroker::start_with(&[("offsets.topic.num.partitions", "1")]).await;
    let mut client = broker.connect().await;
    let request = OffsetFetchRequest {
        group_id: "g".to_string(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "t".to_string(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopic::default()
        }]),
        ..OffsetFetchRequest::default()
    };
    let refused = client.call(1, &request).await;
    assert_eq!(error_of(refused.topics[0].partitions[0].error_code), ErrorCode::NotCoordinator);
    assert_eq!(error_of(client.call(2, &request).await.error_code), ErrorCode::NotCoordinator);
    ready(&broker).await;
    commit(&mut client, "g", 0, 42).await;
    for version in [1, 2, 5, 7] {
        let answer = client.call(version, &request).await;
        assert_eq!(answer.topics[0].partitions[0].committed_offset, 42, "version {version}");
    }
    let all = OffsetFetchRequest { topics: None, ..request };
    assert_eq!(client.call(7, &all).await.topics[0].partitions[0].committed_offset, 42);
}
