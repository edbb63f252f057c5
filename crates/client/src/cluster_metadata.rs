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

impl Topic {
    /// A broker may lag behind the one that was asked before, and tell of leaders that are none any more.
    fn keep_newer_leaders(&mut self, known: &Topic) {
        if self.id.is_nil() || self.id != known.id {
            return;
        }
        for partition in &mut self.partitions {
            let known = known.partitions.iter().find(|known| known.index == partition.index);
            if let Some(newer) = known.filter(|known| known.leader_epoch > partition.leader_epoch) {
                *partition = newer.clone();
            }
        }
    }
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
        for mut topic in response.topics.into_iter().filter_map(read_topic) {
            if let Some(known) = self.topics.get(&topic.name) {
                topic.keep_newer_leaders(known);
            }
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

    /// With what a node says of a leader, which need not be news: then there is nothing (KIP-951).
    pub(crate) fn with_leader(&self, partition: &TopicPartition, leader: i32, epoch: i32, nodes: &[Broker]) -> Option<ClusterMetadata> {
        let mut newer = self.clone();
        newer.brokers.extend(nodes.iter().map(|node| (node.id, node.clone())));
        let is_reachable = newer.brokers.contains_key(&leader);
        let topic = newer.topics.get_mut(&partition.topic)?;
        let known = topic.partitions.iter_mut().find(|p| p.index == partition.partition)?;
        if epoch <= known.leader_epoch || !is_reachable {
            return None;
        }
        (known.leader, known.leader_epoch) = (leader, epoch);
        Some(newer)
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

#[cfg(test)]
mod tests {
    use dohle_protocol::messages::metadata::MetadataResponseBroker;

    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn told(id: Uuid, leader: i32, epoch: i32) -> MetadataResponse {
        let partition = MetadataResponsePartition {
            leader_id: leader,
            leader_epoch: epoch,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("t".into()),
            topic_id: id,
            partitions: vec![partition],
            ..Default::default()
        };
        let broker = |node_id| MetadataResponseBroker {
            node_id,
            host: "h".into(),
            ..Default::default()
        };
        MetadataResponse {
            brokers: vec![broker(1), broker(2)],
            topics: vec![topic],
            ..Default::default()
        }
    }

    fn leader(metadata: &ClusterMetadata) -> i32 {
        metadata.leader(&TopicPartition::new("t", 0)).unwrap().node
    }

    #[test]
    fn a_broker_that_lags_behind_does_not_bring_an_old_leader_back() {
        let known = ClusterMetadata::empty().updated(told(ID, 2, 5));
        assert_eq!(leader(&known.updated(told(ID, 1, 4))), 2);
        assert_eq!(leader(&known.updated(told(ID, 1, 5))), 1);
        assert_eq!(leader(&known.updated(told(ID, 1, 6))), 1);
        let created_anew = Uuid::from_u128(8);
        assert_eq!(leader(&known.updated(told(created_anew, 1, 0))), 1);
    }

    #[test]
    fn a_hint_counts_if_it_is_news_and_the_leader_can_be_reached() {
        let known = ClusterMetadata::empty().updated(told(ID, 1, 5));
        let tp = TopicPartition::new("t", 0);
        assert_eq!(leader(&known.with_leader(&tp, 2, 6, &[]).unwrap()), 2);
        assert!(known.with_leader(&tp, 2, 5, &[]).is_none());
        assert!(known.with_leader(&TopicPartition::new("t", 1), 2, 6, &[]).is_none());
        assert!(known.with_leader(&tp, 3, 6, &[]).is_none());
        let third = Broker {
            id: 3,
            host: "h".into(),
            port: 3,
            rack: None,
        };
        let newer = known.with_leader(&tp, 3, 6, std::slice::from_ref(&third)).unwrap();
        assert_eq!((leader(&newer), newer.brokers.get(&3)), (3, Some(&third)));
    }
}
