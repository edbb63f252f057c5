//! Versions, metadata, topics, configurations, log directories, cluster and quorum.

use super::Definition;
use super::render::show;
use crate::peer::Peer;
use dohle_protocol::ApiKey;
use dohle_protocol::messages::alter_configs::{AlterConfigsRequest, AlterConfigsResource, AlterableConfig};
use dohle_protocol::messages::api_versions::ApiVersionsRequest;
use dohle_protocol::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic};
use dohle_protocol::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use dohle_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use dohle_protocol::messages::describe_cluster::DescribeClusterRequest;
use dohle_protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use dohle_protocol::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use dohle_protocol::messages::describe_quorum::{DescribeQuorumRequest, RequestPartitionData, RequestTopicData};
use dohle_protocol::messages::describe_topic_partitions::{Cursor, DescribeTopicPartitionsRequest, TopicRequest};
use dohle_protocol::messages::incremental_alter_configs as incremental;
use dohle_protocol::messages::list_config_resources::ListConfigResourcesRequest;
use dohle_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use dohle_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use uuid::Uuid;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

pub(super) const CASES: &[Definition] = &[
    ("api-versions", ApiKey::ApiVersions, api_versions),
    ("api-versions-bad-client", ApiKey::ApiVersions, api_versions_of_a_bad_client),
    ("metadata", ApiKey::Metadata, metadata),
    ("metadata-by-id", ApiKey::Metadata, metadata_by_id),
    ("create-topics", ApiKey::CreateTopics, create_topics),
    ("create-topics-configs", ApiKey::CreateTopics, create_topics_with_configs),
    ("delete-topics", ApiKey::DeleteTopics, delete_topics),
    ("create-partitions", ApiKey::CreatePartitions, create_partitions),
    ("describe-configs", ApiKey::DescribeConfigs, describe_configs),
    ("alter-configs", ApiKey::AlterConfigs, alter_configs),
    (
        "incremental-alter-configs",
        ApiKey::IncrementalAlterConfigs,
        incremental_alter_configs,
    ),
    ("describe-log-dirs", ApiKey::DescribeLogDirs, describe_log_dirs),
    ("describe-cluster", ApiKey::DescribeCluster, describe_cluster),
    (
        "describe-topic-partitions",
        ApiKey::DescribeTopicPartitions,
        describe_topic_partitions,
    ),
    ("describe-quorum", ApiKey::DescribeQuorum, describe_quorum),
    ("list-config-resources", ApiKey::ListConfigResources, list_config_resources),
];

/// Creates a topic; false if it was there already.
pub(super) fn create_topic(peer: &mut Peer, name: &str, partitions: i32, configs: &[(&str, &str)]) -> bool {
    let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
        ..Default::default()
    });
    let topic = CreatableTopic {
        configs: configs.collect(),
        ..plain(name, partitions, 1)
    };
    let answer = peer.call(5, &request_for(vec![topic])).expect("an answer");
    match answer.topics[0].error_code {
        0 => {
            wait_until_served(peer, name, partitions);
            true
        }
        36 => false,
        code => panic!("{name}: error {code}"),
    }
}

/// A real node answers before its broker half has seen the topic, and shows it in Metadata before it leads the partitions.
pub(super) fn wait_until_served(peer: &mut Peer, name: &str, partitions: i32) {
    let partitions = (0..partitions).map(|partition_index| ListOffsetsPartition {
        partition_index,
        current_leader_epoch: -1,
        timestamp: -1,
        ..Default::default()
    });
    let topic = ListOffsetsTopic {
        name: name.into(),
        partitions: partitions.collect(),
        ..Default::default()
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let is_served = |peer: &mut Peer| {
        let answer = peer.call(5, &request).expect("an answer");
        answer.topics[0].partitions.iter().all(|partition| partition.error_code == 0)
    };
    while topic_id(peer, name).is_none() || !is_served(peer) {
        std::thread::yield_now();
    }
}

pub(super) fn topic_id(peer: &mut Peer, name: &str) -> Option<Uuid> {
    let answer = peer.call(12, &metadata_of(&[name])).expect("an answer");
    let topic = &answer.topics[0];
    (topic.error_code == 0 && topic.partitions.iter().all(|partition| partition.error_code == 0)).then_some(topic.topic_id)
}

fn metadata_of(names: &[&str]) -> MetadataRequest {
    let topics = names.iter().map(|name| MetadataRequestTopic {
        name: Some((*name).into()),
        ..Default::default()
    });
    MetadataRequest {
        topics: Some(topics.collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

fn plain(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor,
        ..Default::default()
    }
}

fn request_for(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest {
        topics,
        timeout_ms: 30_000,
        ..Default::default()
    }
}

/// Not the table itself: we serve less, and newer versions. That ours covers the real one is checked before any case.
fn api_versions(peer: &mut Peer, version: i16) -> String {
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    let answer = peer.call(version, &request).expect("an answer");
    format!("{} {}", answer.error_code, answer.api_keys.is_empty())
}

fn api_versions_of_a_bad_client(peer: &mut Peer, version: i16) -> String {
    let request = ApiVersionsRequest {
        client_software_name: "b a d".into(),
        client_software_version: "".into(),
        ..Default::default()
    };
    let answer = peer.call(version, &request).expect("an answer");
    answer.error_code.to_string()
}

fn metadata(peer: &mut Peer, version: i16) -> String {
    create_topic(peer, "metadata", 3, &[]);
    let mut answers = String::new();
    for names in [&["metadata"][..], &["metadata", "nowhere"], &["a/b"]] {
        let mut request = metadata_of(names);
        request.allow_auto_topic_creation = version < 4;
        answers += &show(&peer.call(version, &request));
    }
    if version >= 1 {
        let none = MetadataRequest {
            topics: Some(Vec::new()),
            ..Default::default()
        };
        answers += &show(&peer.call(version, &none));
    }
    if version >= 8 {
        let mut request = metadata_of(&["metadata"]);
        request.include_topic_authorized_operations = true;
        request.include_cluster_authorized_operations = version <= 10;
        answers += &show(&peer.call(version, &request));
    }
    answers
}

fn metadata_by_id(peer: &mut Peer, version: i16) -> String {
    create_topic(peer, "metadata", 3, &[]);
    if version < 12 {
        return String::new();
    }
    let known = topic_id(peer, "metadata").expect("the topic exists");
    let mut answers = String::new();
    for topic_id in [known, Uuid::from_u128(99)] {
        let topics = Some(vec![MetadataRequestTopic {
            topic_id,
            name: None,
            ..Default::default()
        }]);
        answers += &show(&peer.call(
            version,
            &MetadataRequest {
                topics,
                allow_auto_topic_creation: false,
                ..Default::default()
            },
        ));
    }
    answers
}

fn create_topics(peer: &mut Peer, version: i16) -> String {
    let name = format!("create-topics-{version}");
    let assigned = CreatableTopic {
        assignments: vec![
            CreatableReplicaAssignment {
                partition_index: 0,
                broker_ids: vec![1],
                ..Default::default()
            },
            CreatableReplicaAssignment {
                partition_index: 1,
                broker_ids: vec![1],
                ..Default::default()
            },
        ],
        ..plain(&format!("create-assigned-{version}"), -1, -1)
    };
    let unknown_broker = CreatableTopic {
        assignments: vec![CreatableReplicaAssignment {
            partition_index: 0,
            broker_ids: vec![42],
            ..Default::default()
        }],
        ..plain("create-elsewhere", -1, -1)
    };
    let gap = CreatableTopic {
        assignments: vec![CreatableReplicaAssignment {
            partition_index: 3,
            broker_ids: vec![1],
            ..Default::default()
        }],
        ..plain("create-gap", -1, -1)
    };
    let mut questions = vec![
        plain(&name, 2, 1),
        plain(&name, 2, 1),
        plain("create-none", 0, 1),
        plain("create-negative", -5, 1),
        plain("create-three-times", 1, 3),
        plain("create-no-replica", 1, 0),
        plain("a/b", 1, 1),
        plain("..", 1, 1),
        plain("", 1, 1),
        plain(&"x".repeat(250), 1, 1),
        plain(&name.replace('-', "."), 1, 1),
        plain(&name.replace('-', "_"), 1, 1),
        assigned,
        unknown_broker,
        gap,
    ];
    if version >= 4 {
        questions.push(plain(&format!("create-default-{version}"), -1, -1));
    }
    let mut answers = String::new();
    for topic in questions {
        let validated = CreateTopicsRequest {
            validate_only: true,
            ..request_for(vec![topic.clone()])
        };
        answers += &show_created(peer, version, &validated);
        answers += &show_created(peer, version, &request_for(vec![topic]));
    }
    let twice = request_for(vec![
        plain("create-twice", 1, 1),
        plain("create-twice", 1, 1),
        plain("create-once", 1, 0),
    ]);
    answers + &show_created(peer, version, &twice)
}

/// Configurations in the answer are compared by `create-topics-configs`, and the order of topics is not defined.
fn show_created(peer: &mut Peer, version: i16, request: &CreateTopicsRequest) -> String {
    let mut answer = peer.call(version, request);
    if let Some(answer) = &mut answer {
        answer.topics.sort_by(|a, b| a.name.cmp(&b.name));
        for topic in &mut answer.topics {
            topic.configs = None;
        }
    }
    show(&answer)
}

fn create_topics_with_configs(peer: &mut Peer, version: i16) -> String {
    let set = [
        ("retention.ms", "5000"),
        ("cleanup.policy", "compact"),
        ("max.message.bytes", "12345"),
        ("compression.type", "zstd"),
    ];
    let wrong = [
        ("retention.ms", "soon"),
        ("no.such.key", "1"),
        ("segment.bytes", "-1"),
        ("cleanup.policy", "shred"),
    ];
    let topic = |name: &str, configs: &[(&str, &str)]| {
        let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: (*name).into(),
            value: Some((*value).into()),
            ..Default::default()
        });
        CreatableTopic {
            configs: configs.collect(),
            ..plain(name, 1, 1)
        }
    };
    let mut answer = peer
        .call(version, &request_for(vec![topic(&format!("create-configs-{version}"), &set)]))
        .expect("an answer");
    for config in answer.topics.iter_mut().flat_map(|topic| &mut topic.configs) {
        config.retain(|config| !VARYING.contains(&config.name.as_str()));
        config.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let mut answers = show(&Some(answer));
    for (key, value) in wrong {
        answers += &show_created(peer, version, &request_for(vec![topic("create-wrong", &[(key, value)])]));
    }
    answers
}

/// Keys that differ on purpose: our own, a default and a key of old tools, of which docs/config.md tells; and the cluster-wide value that a
/// real node notes for eligible leader replicas.
const VARYING: &[&str] = &[
    "flush.policy",
    "strict.validation",
    "index.interval.bytes",
    "message.downconversion.enable",
    "min.insync.replicas",
    "flush.ms",
];

fn delete_topics(peer: &mut Peer, version: i16) -> String {
    let name = format!("delete-topics-{version}");
    create_topic(peer, &name, 1, &[]);
    let mut answers = String::new();
    for wanted in [name.as_str(), &name, "nowhere"] {
        let request = DeleteTopicsRequest {
            topics: if version >= 6 {
                vec![DeleteTopicState {
                    name: Some(wanted.into()),
                    ..Default::default()
                }]
            } else {
                Vec::new()
            },
            topic_names: if version < 6 { vec![wanted.into()] } else { Vec::new() },
            timeout_ms: 30_000,
            ..Default::default()
        };
        answers += &show(&peer.call(version, &request));
    }
    if version >= 6 {
        let topics = vec![DeleteTopicState {
            name: None,
            topic_id: Uuid::from_u128(55),
            ..Default::default()
        }];
        answers += &show(&peer.call(
            version,
            &DeleteTopicsRequest {
                topics,
                timeout_ms: 30_000,
                ..Default::default()
            },
        ));
    }
    answers
}

fn create_partitions(peer: &mut Peer, version: i16) -> String {
    let topic = format!("create-partitions-{version}");
    create_topic(peer, &topic, 2, &[]);
    let wanted = |name: &str, count, brokers: Option<i32>| CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: brokers.map(|id| {
            vec![CreatePartitionsAssignment {
                broker_ids: vec![id],
                ..Default::default()
            }]
        }),
        ..Default::default()
    };
    let mut answers = String::new();
    for question in [
        wanted(&topic, 3, None),
        wanted(&topic, 3, None),
        wanted(&topic, 1, None),
        wanted(&topic, 4, Some(1)),
        wanted(&topic, 5, Some(42)),
        wanted(&topic, 9, Some(1)),
        wanted("nowhere", 5, None),
    ] {
        let request = CreatePartitionsRequest {
            topics: vec![question],
            timeout_ms: 30_000,
            ..Default::default()
        };
        answers += &show(&peer.call(version, &request));
    }
    answers
}

fn describe(peer: &mut Peer, version: i16, resource: (i8, &str), keys: Option<&[&str]>) -> String {
    let (resource_type, resource_name) = resource;
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: resource_name.into(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).into()).collect()),
        ..Default::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        ..Default::default()
    };
    let mut answer = peer.call(version, &request);
    if let Some(answer) = &mut answer {
        for result in &mut answer.results {
            result.configs.retain(|config| !VARYING.contains(&config.name.as_str()));
            result.configs.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
    show(&answer)
}

fn describe_configs(peer: &mut Peer, version: i16) -> String {
    create_topic(peer, "described", 1, &[("retention.ms", "777"), ("cleanup.policy", "compact")]);
    let keys = [
        "message.max.bytes",
        "log.retention.ms",
        "log.segment.bytes",
        "num.partitions",
        "auto.create.topics.enable",
    ];
    describe(peer, version, (TOPIC, "described"), None)
        + &describe(peer, version, (TOPIC, "described"), Some(&["retention.ms", "no.such.key"]))
        + &describe(peer, version, (TOPIC, "nowhere"), None)
        + &describe(peer, version, (TOPIC, "a/b"), None)
        + &describe(peer, version, (BROKER, "1"), Some(&keys))
        + &describe(peer, version, (BROKER, "2"), None)
        + &describe(peer, version, (BROKER, "one"), None)
}

fn alter_configs(peer: &mut Peer, version: i16) -> String {
    let topic = format!("altered-{version}");
    create_topic(peer, &topic, 1, &[("retention.ms", "777")]);
    let mut answers = String::new();
    for (resource_type, name, key, value) in [
        (TOPIC, topic.as_str(), "segment.ms", "60000"),
        (TOPIC, &topic, "segment.ms", "never"),
        (TOPIC, &topic, "no.such.key", "1"),
        (TOPIC, "nowhere", "segment.ms", "60000"),
        (BROKER, "1", "process.roles", "broker"),
        (3, "what", "segment.ms", "1"),
    ] {
        let config = AlterableConfig {
            name: key.into(),
            value: Some(value.into()),
            ..Default::default()
        };
        let resource = AlterConfigsResource {
            resource_type,
            resource_name: name.into(),
            configs: vec![config],
            ..Default::default()
        };
        answers += &show(&peer.call(
            version,
            &AlterConfigsRequest {
                resources: vec![resource],
                ..Default::default()
            },
        ));
    }
    answers + &describe(peer, 4, (TOPIC, &topic), Some(&["retention.ms", "segment.ms"]))
}

fn incremental_alter_configs(peer: &mut Peer, version: i16) -> String {
    let topic = format!("incremental-{version}");
    create_topic(peer, &topic, 1, &[("retention.ms", "777")]);
    let mut answers = String::new();
    for (name, key, config_operation, value) in [
        (topic.as_str(), "segment.ms", 0, Some("60000")),
        (&topic, "cleanup.policy", 2, Some("compact")),
        (&topic, "cleanup.policy", 3, Some("delete")),
        (&topic, "segment.ms", 2, Some("1")),
        (&topic, "segment.ms", 9, Some("1")),
        (&topic, "segment.ms", 0, Some("never")),
        (&topic, "retention.ms", 1, None),
        (&topic, "no.such.key", 0, Some("1")),
        ("nowhere", "segment.ms", 0, Some("1")),
    ] {
        let config = incremental::AlterableConfig {
            name: key.into(),
            config_operation,
            value: value.map(Into::into),
            ..Default::default()
        };
        let resource = incremental::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: name.into(),
            configs: vec![config],
            ..Default::default()
        };
        let request = incremental::IncrementalAlterConfigsRequest {
            resources: vec![resource],
            ..Default::default()
        };
        answers += &show(&peer.call(version, &request));
    }
    answers + &describe(peer, 4, (TOPIC, &topic), Some(&["retention.ms", "segment.ms", "cleanup.policy"]))
}

fn describe_log_dirs(peer: &mut Peer, version: i16) -> String {
    create_topic(peer, "log-dirs", 2, &[]);
    let topics = |name: &str, partitions| {
        Some(vec![DescribableLogDirTopic {
            topic: name.into(),
            partitions,
            ..Default::default()
        }])
    };
    let known = DescribeLogDirsRequest {
        topics: topics("log-dirs", vec![1]),
        ..Default::default()
    };
    let unknown = DescribeLogDirsRequest {
        topics: topics("nowhere", vec![0]),
        ..Default::default()
    };
    show(&peer.call(version, &known)) + &show(&peer.call(version, &unknown))
}

fn describe_cluster(peer: &mut Peer, version: i16) -> String {
    let mut answers = show(&peer.call(version, &DescribeClusterRequest::default()));
    let operations = DescribeClusterRequest {
        include_cluster_authorized_operations: true,
        ..Default::default()
    };
    answers += &show(&peer.call(version, &operations));
    if version >= 1 {
        let controllers = DescribeClusterRequest {
            endpoint_type: 2,
            ..Default::default()
        };
        answers += &show(&peer.call(version, &controllers));
    }
    answers
}

fn describe_topic_partitions(peer: &mut Peer, version: i16) -> String {
    create_topic(peer, "described-a", 3, &[]);
    create_topic(peer, "described-b", 3, &[]);
    let named = |names: &[&str]| {
        names
            .iter()
            .map(|name| TopicRequest {
                name: (*name).into(),
                ..Default::default()
            })
            .collect()
    };
    let whole = DescribeTopicPartitionsRequest {
        topics: named(&["described-b", "described-a", "nowhere"]),
        ..Default::default()
    };
    let mut answers = show(&peer.call(version, &whole));
    let first = DescribeTopicPartitionsRequest {
        topics: named(&["described-a", "described-b"]),
        response_partition_limit: 4,
        ..Default::default()
    };
    answers += &show(&peer.call(version, &first));
    let cursor = Cursor {
        topic_name: "described-b".into(),
        partition_index: 1,
        ..Default::default()
    };
    answers
        + &show(&peer.call(
            version,
            &DescribeTopicPartitionsRequest {
                cursor: Some(cursor),
                ..first
            },
        ))
}

/// Offsets, epochs and addresses are each node's own; the shape and the members must agree.
fn describe_quorum(peer: &mut Peer, version: i16) -> String {
    let partition = RequestPartitionData {
        partition_index: 0,
        ..Default::default()
    };
    let topic = |name: &str| RequestTopicData {
        topic_name: name.into(),
        partitions: vec![partition.clone()],
        ..Default::default()
    };
    let known = peer.call(
        version,
        &DescribeQuorumRequest {
            topics: vec![topic("__cluster_metadata")],
            ..Default::default()
        },
    );
    let known = known.expect("an answer");
    let metadata = &known.topics[0].partitions[0];
    let voters: Vec<_> = metadata.current_voters.iter().map(|voter| voter.replica_id).collect();
    let unknown = peer.call(
        version,
        &DescribeQuorumRequest {
            topics: vec![topic("nowhere")],
            ..Default::default()
        },
    );
    let observers = metadata.observers.len();
    format!(
        "{} {} {voters:?} {observers} {}",
        known.error_code,
        metadata.leader_id,
        show(&unknown)
    )
}

fn list_config_resources(peer: &mut Peer, version: i16) -> String {
    if version == 0 {
        return show(&peer.call(version, &ListConfigResourcesRequest::default()));
    }
    let mut answers = String::new();
    for resource_type in [BROKER, 8, 16, 32, 3] {
        let request = ListConfigResourcesRequest {
            resource_types: vec![resource_type],
            ..Default::default()
        };
        let mut answer = peer.call(version, &request);
        if let Some(answer) = &mut answer {
            answer.config_resources.sort_by(|a, b| a.resource_name.cmp(&b.resource_name));
        }
        answers += &show(&answer);
    }
    answers
}
