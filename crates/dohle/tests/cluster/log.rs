//! One partition of a cluster, as clients write and read it.

use dohle_client::{ClientConfig, Connection};
use dohle_protocol::batch;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use dohle_protocol::messages::fetch::{self, FetchPartition, FetchRequest, FetchTopic};
use dohle_protocol::messages::find_coordinator::FindCoordinatorRequest;
use dohle_protocol::messages::metadata::MetadataResponsePartition;
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use dohle_protocol::messages::produce::{PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData};
use dohle_protocol::record::DecodeLimits;
use dohle_protocol::{ErrorCode, Request};

use crate::nodes::{Nodes, assert_created, until};

pub(crate) const NONE: i16 = 0;

/// The last version that names topics.
const NAMES_UP_TO: i16 = 12;

/// The only partition of a topic.
pub(crate) struct Log {
    topic: String,
}

impl Log {
    /// Returns when node `id` says who leads it.
    pub(crate) async fn create(nodes: &Nodes, id: i32, topic: &str, replicas: i16, configs: &[(&str, &str)]) -> Log {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            ..CreatableTopicConfig::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: topic.to_owned(),
                num_partitions: 1,
                replication_factor: replicas,
                configs: configs.iter().map(config).collect(),
                ..CreatableTopic::default()
            }],
            timeout_ms: 10_000,
            ..CreateTopicsRequest::default()
        };
        assert_created(&nodes.ask(id, &request).await.topics.remove(0));
        let log = Log::named(topic);
        until(true, async || log.leader(nodes, id).await != -1).await;
        let leader = log.leader(nodes, id).await;
        // The leader may hear of it a little later.
        until(leader, async || log.leader(nodes, leader).await).await;
        log
    }

    /// One that is still to be made.
    pub(crate) fn named(topic: &str) -> Log {
        Log { topic: topic.to_owned() }
    }

    async fn partition(&self, nodes: &Nodes, id: i32) -> Option<MetadataResponsePartition> {
        let topics = nodes.metadata(id).await.topics;
        let topic = topics.into_iter().find(|topic| topic.name.as_ref() == Some(&self.topic))?;
        topic.partitions.into_iter().next()
    }

    /// As node `id` says; -1 if nobody leads.
    pub(crate) async fn leader(&self, nodes: &Nodes, id: i32) -> i32 {
        self.partition(nodes, id).await.map_or(-1, |partition| partition.leader_id)
    }

    /// In order of the ids.
    pub(crate) async fn isr(&self, nodes: &Nodes, id: i32) -> Vec<i32> {
        let mut isr = self
            .partition(nodes, id)
            .await
            .map_or_else(Vec::new, |partition| partition.isr_nodes);
        isr.sort_unstable();
        isr
    }

    pub(crate) async fn replicas(&self, nodes: &Nodes, id: i32) -> Vec<i32> {
        self.partition(nodes, id)
            .await
            .map_or_else(Vec::new, |partition| partition.replica_nodes)
    }

    pub(crate) async fn produce(&self, nodes: &Nodes, id: i32, acks: i16, value: &str) -> PartitionProduceResponse {
        let mut batch = RecordBatchBuilder::new();
        batch.append(1, None, Some(value.as_bytes()), &[]);
        self.send(nodes, id, acks, batch).await
    }

    /// One record of an idempotent producer, which is its number; the error of the answer.
    pub(crate) async fn produce_numbered(&self, nodes: &Nodes, id: i32, producer_id: i64, sequence: i32) -> ErrorCode {
        let mut batch = RecordBatchBuilder::new().producer(ProducerId(producer_id), ProducerEpoch(0), sequence);
        batch.append(1, None, Some(sequence.to_string().as_bytes()), &[]);
        ErrorCode::from_code(self.send(nodes, id, -1, batch).await.error_code)
    }

    async fn send(&self, nodes: &Nodes, id: i32, acks: i16, batch: RecordBatchBuilder) -> PartitionProduceResponse {
        let request = ProduceRequest {
            acks,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: self.topic.clone(),
                partition_data: vec![PartitionProduceData {
                    records: Some(batch.build()),
                    ..PartitionProduceData::default()
                }],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        let mut response = call(nodes, id, &request, NAMES_UP_TO).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// To a broker that is about to lead.
    pub(crate) async fn produce_until_led(&self, nodes: &Nodes, id: i32, value: &str) -> PartitionProduceResponse {
        loop {
            let answer = self.produce(nodes, id, -1, value).await;
            if ErrorCode::from_code(answer.error_code) != ErrorCode::NotLeaderOrFollower {
                return answer;
            }
        }
    }

    pub(crate) async fn fetch(&self, nodes: &Nodes, id: i32, offset: i64, rack: &str) -> fetch::PartitionData {
        let request = FetchRequest {
            min_bytes: 1,
            max_bytes: 1 << 20,
            rack_id: rack.to_owned(),
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                partitions: vec![FetchPartition {
                    fetch_offset: offset,
                    partition_max_bytes: 1 << 20,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let mut response = call(nodes, id, &request, NAMES_UP_TO).await;
        response.responses.remove(0).partitions.remove(0)
    }

    /// All values that a consumer is given by node `id`, whether that leads or follows.
    pub(crate) async fn read(&self, nodes: &Nodes, id: i32) -> Vec<String> {
        let mut values = Vec::new();
        let mut next = 0;
        loop {
            let answer = self.fetch(nodes, id, next, "").await;
            let records = answer.records.unwrap_or_default();
            if records.is_empty() {
                return values;
            }
            for batch in batch::batches(records) {
                let batch = batch.unwrap();
                next = batch.header.next_offset().0;
                for record in batch
                    .records(DecodeLimits {
                        decompressed_bytes_max: 1 << 20,
                    })
                    .unwrap()
                {
                    values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
                }
            }
        }
    }

    /// Who coordinates a group, if node `id` knows.
    pub(crate) async fn coordinator(&self, nodes: &Nodes, id: i32, group: &str) -> Option<i32> {
        let request = FindCoordinatorRequest {
            coordinator_keys: vec![group.to_owned()],
            ..FindCoordinatorRequest::default()
        };
        let found = nodes.ask(id, &request).await.coordinators.remove(0);
        (found.error_code == NONE).then_some(found.node_id)
    }

    pub(crate) async fn commit(&self, nodes: &Nodes, id: i32, group: &str, offset: i64) -> i16 {
        let request = OffsetCommitRequest {
            group_id: group.to_owned(),
            topics: vec![OffsetCommitRequestTopic {
                name: self.topic.clone(),
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: offset,
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        call(nodes, id, &request, 9).await.topics[0].partitions[0].error_code
    }

    pub(crate) async fn committed(&self, nodes: &Nodes, id: i32, group: &str) -> Option<i64> {
        let request = OffsetFetchRequest {
            group_id: group.to_owned(),
            topics: Some(vec![OffsetFetchRequestTopic {
                name: self.topic.clone(),
                partition_indexes: vec![0],
                ..OffsetFetchRequestTopic::default()
            }]),
            ..OffsetFetchRequest::default()
        };
        let answer = call(nodes, id, &request, 7).await;
        (answer.error_code == NONE).then(|| answer.topics[0].partitions[0].committed_offset)
    }
}

async fn call<R: Request>(nodes: &Nodes, id: i32, request: &R, version_max: i16) -> R::Response {
    let address = nodes.address(id);
    let connection = Connection::open(&address, &ClientConfig::for_servers(&address).unwrap())
        .await
        .unwrap();
    connection.call_up_to(request, version_max).await.unwrap()
}
