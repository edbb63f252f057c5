//! Creating and deleting topics.

use super::*;
use crate::delta::Delta;
use dohle_protocol::id::PartitionIndex;
use dohle_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};

#[test]
fn a_topic_is_created_and_described() {
    let mut cluster = Cluster::of(3);
    let result = cluster.create(with_configs(topic("orders", 4, 2), &[("retention.ms", Some(" 1000 "))]));
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (0, 4, 2));
    let created = cluster.image.topic("orders").unwrap().clone();
    assert_eq!(created.id.0, result.topic_id);
    assert_eq!(result.topic_id.get_version_num(), 4);
    assert_eq!(created.partitions.keys().map(|index| index.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    for partition in created.partitions.values() {
        assert_eq!(
            (partition.replicas.len(), &partition.isr, partition.leader),
            (2, &partition.replicas, partition.replicas[0])
        );
        assert_eq!((partition.leader_epoch.0, partition.partition_epoch), (0, 0));
    }
    assert_eq!(
        cluster.image.topic_config("orders").get("retention.ms").map(String::as_str),
        Some("1000")
    );
    let configs = result.configs.unwrap();
    let described = |name: &str| {
        configs
            .iter()
            .find(|config| config.name == name)
            .map(|config| (config.value.as_deref(), config.config_source))
    };
    assert_eq!(described("retention.ms"), Some((Some("1000"), 1)));
    assert_eq!(described("segment.bytes"), Some((Some("1073741824"), 5)));
}

#[test]
fn trap_27_minus_one_is_the_default_of_the_cluster() {
    let mut cluster = Cluster::of(2);
    let result = cluster.create(topic("plain", -1, -1));
    assert_eq!((result.num_partitions, result.replication_factor), (1, 1));
    cluster.controller.file = BTreeMap::from([
        ("num.partitions".to_owned(), "3".to_owned()),
        ("default.replication.factor".to_owned(), "2".to_owned()),
    ]);
    let result = cluster.create(topic("configured", -1, -1));
    assert_eq!((result.num_partitions, result.replication_factor), (3, 2));
}

#[test]
fn c2_numbers_that_are_refused() {
    let mut cluster = Cluster::of(1);
    let table = [
        (
            1,
            3,
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 broker(s) are registered.",
        ),
        (
            1,
            0,
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            1,
            -2,
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            0,
            1,
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            -5,
            1,
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            i32::MAX,
            1,
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request; 10000 are allowed.",
        ),
        (
            1,
            i16::MAX,
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 32767 time(s): The target replication factor of 32767 cannot be reached because only 1 broker(s) are registered.",
        ),
    ];
    for (partitions, replication_factor, code, message) in table {
        let result = cluster.create(topic("t", partitions, replication_factor));
        assert_eq!(error_of(result.error_code, &result.error_message), (code, message));
    }
    assert!(cluster.image.topics().is_empty());
}

#[test]
fn a_request_may_create_ten_thousand_partitions() {
    let mut cluster = Cluster::of(1);
    let before = cluster.image.clone();
    let results = cluster.create_all(vec![topic("a", 9_999, 1), topic("b", 2, 1), topic("c", 1, 1)], false);
    let codes: Vec<_> = results.iter().map(|result| ErrorCode::from_code(result.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::PolicyViolation, ErrorCode::None]);
    assert_eq!(Delta::between(&before, &cluster.image).partitions.len(), 10_000);
}

#[test]
fn w18_w19_names_that_are_refused() {
    let mut cluster = Cluster::of(1);
    cluster.topic("a.b", 1, 1);
    let table = [
        ("a.b", ErrorCode::TopicAlreadyExists, "Topic 'a.b' already exists."),
        (
            "a_b",
            ErrorCode::InvalidTopicException,
            "Topic 'a_b' collides with existing topic: a.b",
        ),
        ("..", ErrorCode::InvalidTopicException, "Topic name is invalid: '..' is not allowed"),
        (
            "",
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: the empty string is not allowed",
        ),
        (
            "a/b",
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            "__cluster_metadata",
            ErrorCode::InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
    ];
    for (name, code, message) in table {
        let result = cluster.create(topic(name, 1, 1));
        assert_eq!(error_of(result.error_code, &result.error_message), (code, message));
    }
    cluster.topic("__consumer_offsets", 1, 1);
}

#[test]
fn w19_names_collide_within_one_request_and_no_more_after_a_deletion() {
    let mut cluster = Cluster::of(1);
    let results = cluster.create_all(vec![topic("x.y", 1, 1), topic("x_y", 1, 1)], false);
    assert_eq!(
        [results[0].error_code, results[1].error_code],
        [0, ErrorCode::InvalidTopicException.code()]
    );
    delete(&mut cluster, vec![by_name("x.y")]);
    cluster.topic("x_y", 1, 1);
}

#[test]
fn a_name_that_comes_twice_is_answered_once_and_not_created() {
    let mut cluster = Cluster::of(1);
    let results = cluster.create_all(vec![topic("x", 1, 1), topic("y", 1, 1), topic("x", 2, 1)], false);
    let answers: Vec<_> = results.iter().map(|result| (result.name.as_str(), result.error_code)).collect();
    assert_eq!(answers, [("x", ErrorCode::InvalidRequest.code()), ("y", 0)]);
    assert_eq!(results[0].error_message.as_deref(), Some("Duplicate topic name."));
    assert!(cluster.image.topic("x").is_none());
}

#[test]
fn validate_only_answers_and_changes_nothing() {
    let mut cluster = Cluster::of(1);
    let before = cluster.image.clone();
    let results = cluster.create_all(vec![topic("x", 2, 1), topic("x2", 0, 1)], true);
    assert_eq!(
        (results[0].num_partitions, results[1].error_code),
        (2, ErrorCode::InvalidPartitions.code())
    );
    assert_eq!(cluster.image, before);
}

#[test]
fn configurations_that_are_refused() {
    let mut cluster = Cluster::of(1);
    type Row<'a> = (&'a [(&'a str, Option<&'a str>)], &'a str);
    let table: [Row; 4] = [
        (&[("nonsense", Some("1"))], "Unknown topic config name: nonsense"),
        (
            &[("segment.bytes", None), ("segment.ms", None)],
            "Null value not supported for topic configs: segment.bytes,segment.ms",
        ),
        (
            &[("min.insync.replicas", Some("0"))],
            "Invalid value 0 for configuration min.insync.replicas",
        ),
        (
            &[("remote.storage.enable", Some("true"))],
            "Tiered Storage functionality is disabled in the broker.",
        ),
    ];
    for (configs, start) in table {
        let result = cluster.create(with_configs(topic("t", 1, 1), configs));
        let (code, message) = error_of(result.error_code, &result.error_message);
        assert_eq!(code, ErrorCode::InvalidConfig);
        assert!(message.starts_with(start), "{message}");
    }
}

#[test]
fn replicas_can_be_chosen() {
    let mut cluster = Cluster::of(3);
    let result = cluster.create(with_replicas(topic("t", -1, -1), &[(1, &[3, 1]), (0, &[2, 3])]));
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (0, 2, 2));
    assert_eq!(
        cluster.image.partition("t", PartitionIndex(1)).unwrap().replicas,
        [BrokerId(3), BrokerId(1)]
    );
}

#[test]
fn replicas_that_cannot_be_chosen() {
    let mut cluster = Cluster::of(3);
    let epoch = cluster.epoch(3);
    cluster.beat(3, epoch, true, false).unwrap();
    type Row<'a> = (&'a [(i32, &'a [i32])], &'a str);
    let table: [Row; 7] = [
        (&[(0, &[])], "The manual partition assignment includes an empty replica list."),
        (
            &[(0, &[9])],
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            &[(0, &[1, 1])],
            "The manual partition assignment includes the broker 1 more than once.",
        ),
        (
            &[(0, &[1, 2]), (1, &[1])],
            "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, which have 2 replica(s).",
        ),
        (
            &[(0, &[1]), (0, &[2])],
            "Found multiple manual partition assignments for partition 0",
        ),
        (
            &[(0, &[1]), (2, &[2])],
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            &[(0, &[3])],
            "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown.",
        ),
    ];
    for (assignments, expected) in table {
        let result = cluster.create(with_replicas(topic("t", -1, -1), assignments));
        assert_eq!(
            error_of(result.error_code, &result.error_message),
            (ErrorCode::InvalidReplicaAssignment, expected)
        );
    }
    for (partitions, replication_factor) in [(1, -1), (-1, 1)] {
        let result = cluster.create(with_replicas(topic("t", partitions, replication_factor), &[(0, &[1])]));
        assert_eq!(result.error_code, ErrorCode::InvalidRequest.code());
    }
}

#[test]
fn without_an_active_broker_no_topic_is_created() {
    let mut cluster = Cluster::of(1);
    let epoch = cluster.epoch(1);
    cluster.beat(1, epoch, true, false).unwrap();
    let result = cluster.create(topic("t", 1, 1));
    let expected = "Unable to replicate the partition 1 time(s): All brokers are currently fenced or in controlled shutdown.";
    assert_eq!(
        error_of(result.error_code, &result.error_message),
        (ErrorCode::InvalidReplicationFactor, expected)
    );
}

#[test]
fn placement_is_balanced_and_prefers_active_brokers() {
    let mut cluster = Cluster::of(5);
    let epoch = cluster.epoch(5);
    cluster.beat(5, epoch, true, false).unwrap();
    cluster.topic("t", 40, 3);
    let mut leaders = BTreeMap::<i32, usize>::new();
    let mut replicas = BTreeMap::<i32, usize>::new();
    for partition in cluster.image.topic("t").unwrap().partitions.values() {
        *leaders.entry(partition.leader.0).or_default() += 1;
        partition.replicas.iter().for_each(|id| *replicas.entry(id.0).or_default() += 1);
        assert_eq!(partition.replicas.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    }
    assert_eq!(leaders, BTreeMap::from([(1, 10), (2, 10), (3, 10), (4, 10)]));
    assert_eq!(replicas, BTreeMap::from([(1, 30), (2, 30), (3, 30), (4, 30)]));

    cluster.topic("all", 1, 5);
    let partition = cluster.image.partition("all", PartitionIndex(0)).unwrap();
    assert_eq!((partition.replicas[4], partition.isr.len()), (BrokerId(5), 4));
}

fn by_name(name: &str) -> DeleteTopicState {
    DeleteTopicState {
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

fn by_id(topic_id: Uuid) -> DeleteTopicState {
    DeleteTopicState {
        topic_id,
        ..Default::default()
    }
}

fn delete(cluster: &mut Cluster, topics: Vec<DeleteTopicState>) -> Vec<(Option<String>, ErrorCode, String)> {
    let request = DeleteTopicsRequest {
        topics,
        ..Default::default()
    };
    let ControllerReply::DeleteTopics(response) = cluster.ask(ControllerRequest::DeleteTopics(request)) else {
        unreachable!()
    };
    let to_answer = |result: dohle_protocol::messages::delete_topics::DeletableTopicResult| {
        (
            result.name,
            ErrorCode::from_code(result.error_code),
            result.error_message.unwrap_or_default(),
        )
    };
    response.responses.into_iter().map(to_answer).collect()
}

#[test]
fn topics_are_deleted_by_name_and_by_id_with_their_configuration() {
    let mut cluster = Cluster::of(1);
    for name in ["a", "b", "c"] {
        cluster.create(with_configs(topic(name, 1, 1), &[("segment.ms", Some("5"))]));
    }
    let id = cluster.image.topic("b").unwrap().id;
    let answers = delete(&mut cluster, vec![by_name("a"), by_id(id.0)]);
    assert_eq!(
        answers,
        [
            (Some("a".to_owned()), ErrorCode::None, String::new()),
            (Some("b".to_owned()), ErrorCode::None, String::new())
        ]
    );
    assert_eq!(
        cluster
            .image
            .topics()
            .iter()
            .map(|topic| topic.name.to_string())
            .collect::<Vec<_>>(),
        ["c"]
    );
    assert!(cluster.image.topic_config("a").is_empty() && !cluster.image.topic_config("c").is_empty());
    assert!(cluster.image.topic_by_id(id).is_none());

    let old_version = DeleteTopicsRequest {
        topic_names: vec!["c".to_owned()],
        ..Default::default()
    };
    cluster.ask(ControllerRequest::DeleteTopics(old_version));
    assert!(cluster.image.topics().is_empty());
}

#[test]
fn deletions_that_are_refused() {
    let mut cluster = Cluster::of(1);
    cluster.topic("a", 1, 1);
    let id = cluster.image.topic("a").unwrap().id.0;
    let both = DeleteTopicState {
        topic_id: id,
        ..by_name("a")
    };
    let code_of = |cluster: &mut Cluster, states| delete(cluster, states).into_iter().map(|(_, code, _)| code).collect::<Vec<_>>();
    assert_eq!(code_of(&mut cluster, vec![by_name("x")]), [ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(code_of(&mut cluster, vec![by_id(Uuid::from_u128(9))]), [ErrorCode::UnknownTopicId]);
    assert_eq!(code_of(&mut cluster, vec![by_id(Uuid::nil())]), [ErrorCode::InvalidRequest]);
    assert_eq!(code_of(&mut cluster, vec![both]), [ErrorCode::InvalidRequest]);
    assert_eq!(code_of(&mut cluster, vec![by_name("a"), by_name("a")]), [ErrorCode::InvalidRequest]);
    assert!(cluster.image.topic("a").is_some());
    assert_eq!(
        code_of(&mut cluster, vec![by_name("a"), by_id(id)]),
        [ErrorCode::None, ErrorCode::InvalidRequest]
    );
    assert!(cluster.image.topic("a").is_none());
}
