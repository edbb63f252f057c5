//! The few requests that nearly every test makes, each in one version.

use super::Connection;
use bytes::Bytes;
use dohle_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use dohle_protocol::messages::delete_topics::DeleteTopicsRequest;
use dohle_protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use dohle_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use dohle_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest};
use dohle_protocol::messages::init_producer_id::InitProducerIdRequest;
use dohle_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic};
use dohle_protocol::messages::produce::{PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData};

const TIMEOUT_MS: i32 = 30_000;
pub(crate) const FETCH_BYTES_MAX: i32 = 1 << 20;
pub(crate) const EARLIEST: i64 = -2;
pub(crate) const LATEST: i64 = -1;
const TOPIC: i8 = 2;

impl Connection {
    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: (*name).into(),
            value: Some((*value).into()),
            ..Default::default()
        });
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: TIMEOUT_MS,
            ..Default::default()
        };
        let answer = self.call(5, &request).expect("an answer");
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    }

    pub(crate) fn delete_topic(&mut self, name: &str) {
        let request = DeleteTopicsRequest {
            topic_names: vec![name.into()],
            timeout_ms: TIMEOUT_MS,
            ..Default::default()
        };
        let answer = self.call(4, &request).expect("an answer");
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    }

    /// Appends batches to a partition with acks=all.
    pub(crate) fn produce(&mut self, topic: &str, partition: i32, records: Bytes) -> PartitionProduceResponse {
        let partition = PartitionProduceData {
            index: partition,
            records: Some(records),
            ..Default::default()
        };
        let topic = TopicProduceData {
            name: topic.into(),
            partition_data: vec![partition],
            ..Default::default()
        };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![topic],
            ..Default::default()
        };
        let mut answer = self.call(9, &request).expect("an answer");
        answer.responses.remove(0).partition_responses.remove(0)
    }

    /// What is in a partition from an offset on, without waiting.
    pub(crate) fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> PartitionData {
        self.fetch_isolated(topic, partition, offset, 0)
    }

    /// The same with an isolation level: 1 is `read_committed`.
    pub(crate) fn fetch_isolated(&mut self, topic: &str, partition: i32, offset: i64, isolation_level: i8) -> PartitionData {
        let request = FetchRequest {
            isolation_level,
            ..fetch_request(topic, partition, offset)
        };
        let mut answer = self.call(12, &request).expect("an answer");
        answer.responses.remove(0).partitions.remove(0)
    }

    /// The offset at a time, or at one of the special ones.
    pub(crate) fn list_offset(&mut self, topic: &str, partition: i32, timestamp: i64) -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition {
            partition_index: partition,
            timestamp,
            ..Default::default()
        };
        let topic = ListOffsetsTopic {
            name: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let mut answer = self.call(6, &request).expect("an answer");
        answer.topics.remove(0).partitions.remove(0)
    }

    /// A new id for an idempotent producer.
    pub(crate) fn producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest {
            transaction_timeout_ms: TIMEOUT_MS,
            ..Default::default()
        };
        let answer = self.call(4, &request).expect("an answer");
        assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
        answer.producer_id
    }

    pub(crate) fn topic_config(&mut self, topic: &str, key: &str) -> String {
        let resource = DescribeConfigsResource {
            resource_type: TOPIC,
            resource_name: topic.into(),
            configuration_keys: Some(vec![key.into()]),
            ..Default::default()
        };
        let mut answer = self
            .call(
                4,
                &DescribeConfigsRequest {
                    resources: vec![resource],
                    ..Default::default()
                },
            )
            .expect("an answer");
        answer.results.remove(0).configs.remove(0).value.expect("a value")
    }

    pub(crate) fn set_topic_config(&mut self, topic: &str, key: &str, value: &str) {
        let config = AlterableConfig {
            name: key.into(),
            value: Some(value.into()),
            ..Default::default()
        };
        let resource = AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: topic.into(),
            configs: vec![config],
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource],
            ..Default::default()
        };
        let answer = self.call(1, &request).expect("an answer");
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    }
}

/// A fetch of one partition that does not wait.
pub(crate) fn fetch_request(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    let partition = FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: FETCH_BYTES_MAX,
        ..Default::default()
    };
    FetchRequest {
        replica_id: -1,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}
