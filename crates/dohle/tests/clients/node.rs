//! What these tests ask of the node itself, past the clients: a topic to begin with, and the codec in which a batch lies in the log.

use crate::harness::Node;
use dohle_protocol::batch::batches;
use dohle_protocol::compression::Compression;
use dohle_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use dohle_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use std::collections::BTreeSet;

pub(crate) fn create_topic(node: &Node, name: &str, partitions: i32, configs: &[(&str, &str)]) {
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
        timeout_ms: 30_000,
        ..Default::default()
    };
    let answer = node.connect().call(5, &request).expect("an answer");
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
}

/// The codecs of the batches at the start of partition 0 of a topic.
pub(crate) fn codecs(node: &Node, topic: &str) -> BTreeSet<String> {
    let partition = FetchPartition {
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let request = FetchRequest {
        replica_id: -1,
        max_wait_ms: 1000,
        min_bytes: 1,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer = node.connect().call(12, &request).expect("an answer");
    let records = answer.responses[0].partitions[0].records.clone().expect("records");
    let codec = |compression: Compression| format!("{compression:?}").to_lowercase();
    batches(records)
        .filter_map(Result::ok)
        .map(|batch| codec(batch.header.compression().expect("a known codec")))
        .collect()
}
