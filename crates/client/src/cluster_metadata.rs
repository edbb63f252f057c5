//! What the cluster said about itself: brokers, topics, leaders. A value; [`crate::Cluster`] keeps the newest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::describe_cluster::DescribeClusterResponse;
use dohle_protocol::messages::metadata::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
}

impl Broker {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[derive(Debug, Clone)]
pub struct Topic {
    pub name: Arc<str>,
    pub id: Uuid,
    pub is_internal: bool,
    pub error: ErrorCode,
    /// In order of their index.
    pub partitions: Vec<Partition>,
}

#[derive(Debug, Clone)]
pub struct Partition {
    pub index: i32,
    /// -1: none at present.
    pub leader: i32,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
}

/// Who leads one partition, and what a request to it must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    pub node: i32,
    pub epoch: i32,
    pub topic_id: Uuid,
}

#[derive(Debug, Clone)]
pub struct ClusterMetadata {
    pub cluster_id: Option<String>,
    pub controller_id: i32,
    pub brokers: BTreeMap<i32, Broker>,
    pub topics: BTreeMap<Arc<str>, Topic>,
    pub fetched_at: Instant,
}

impl ClusterMetadata {
    pub fn empty() -> ClusterMetadata {
        ClusterMetadata {
            cluster_id: None,
            controller_id: -1,
            brokers: BTreeMap::new(),
            topics: BTreeMap::new(),
            fetched_at: Instant::now(),
        }
    }

    /// Brokers and the topics that were asked for are replaced, the other topics stay, but for those that do not exist: whoever asks for
    /// many names must not fill the memory with them.
    pub fn updated(&self, response: MetadataResponse) -> ClusterMetadata {
        let brokers = response.brokers.into_iter().map(|b| {
            (
                b.node_id,
                Broker {
                    id: b.node_id,
                    host: b.host,
                    port: b.port,
                    rack: b.rack,
                },
            )
        });
        let usable = self.topics.iter().filter(|(_, topic)| topic.error == ErrorCode::None);
        let mut topics: BTreeMap<Arc<str>, Topic> = usable.map(|(name, topic)| (name.clone(), topic.clone())).collect();
        for topic in response.topics.into_iter().filter_map(read_topic) {
            topics.insert(topic.name.clone(), topic);
        }
        ClusterMetadata {
            cluster_id: response.cluster_id,
            controller_id: response.controller_id,
            brokers: brokers.collect(),
            topics,
            fetched_at: Instant::now(),
        }
    }

    /// The controllers take the place of the brokers; the topics are not known.
    pub fn of_controllers(response: DescribeClusterResponse) -> ClusterMetadata {
        let controllers = response.brokers.into_iter().map(|controller| {
            let id = controller.broker_id;
            let node = Broker {
                id,
                host: controller.host,
                port: controller.port,
                rack: controller.rack,
            };
            (id, node)
        });
        ClusterMetadata {
            cluster_id: Some(response.cluster_id),
            controller_id: response.controller_id,
            brokers: controllers.collect(),
            ..ClusterMetadata::empty()
        }
    }

    /// The topic, if it exists and can be used.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name).filter(|topic| topic.error == ErrorCode::None)
    }

    pub fn leader(&self, partition: &TopicPartition) -> Option<Leader> {
        let topic = self.topic(&partition.topic)?;
        let found = topic.partitions.iter().find(|p| p.index == partition.partition)?;
        (found.leader >= 0).then_some(Leader {
            node: found.leader,
            epoch: found.leader_epoch,
            topic_id: topic.id,
        })
    }

    pub fn topic_name(&self, id: &Uuid) -> Option<Arc<str>> {
        self.topics.values().find(|topic| topic.id == *id).map(|topic| topic.name.clone())
    }
}

fn read_topic(topic: MetadataResponseTopic) -> Option<Topic> {
    let mut partitions: Vec<Partition> = topic.partitions.into_iter().map(read_partition).collect();
    partitions.sort_by_key(|partition| partition.index);
    Some(Topic {
        name: Arc::from(topic.name?),
        id: topic.topic_id,
        is_internal: topic.is_internal,
        error: ErrorCode::from_code(topic.error_code),
        partitions,
    })
}

fn read_partition(partition: MetadataResponsePartition) -> Partition {
    Partition {
        index: partition.partition_index,
        leader: partition.leader_id,
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes,
        in_sync: partition.isr_nodes,
    }
}
