//! What is answered: the handshake of a client with one broker and one topic of any name.

use anyhow::{Context, Result};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use dohle_protocol::messages::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use dohle_protocol::messages::init_producer_id::InitProducerIdResponse;
use dohle_protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use dohle_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use dohle_protocol::messages::produce::{PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::log::Log;

/// Topics are named, not identified: the versions with topic ids are left out.
pub(crate) const VERSIONS: &[(ApiKey, RangeInclusive<i16>)] = &[
    (ApiKey::Produce, 3..=11),
    (ApiKey::Fetch, 4..=12),
    (ApiKey::ListOffsets, 1..=7),
    (ApiKey::Metadata, 0..=9),
    (ApiKey::ApiVersions, 0..=3),
    (ApiKey::InitProducerId, 0..=4),
];

const EARLIEST: i64 = -2;

static NEXT_PRODUCER_ID: AtomicI64 = AtomicI64::new(0);

pub(crate) fn api_versions(error_code: i16) -> ApiVersionsResponse {
    let api_keys = VERSIONS.iter().map(|(key, versions)| ApiVersion {
        api_key: key.code(),
        // Clients compress only for brokers that claim to know the first versions of Produce (KAFKA-18659).
        min_version: if *key == ApiKey::Produce { 0 } else { *versions.start() },
        max_version: *versions.end(),
        ..ApiVersion::default()
    });
    ApiVersionsResponse {
        error_code,
        api_keys: api_keys.collect(),
        ..ApiVersionsResponse::default()
    }
}

pub(crate) fn metadata(request: MetadataRequest, address: SocketAddr) -> MetadataResponse {
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| MetadataResponseTopic {
        name: topic.name,
        partitions: vec![MetadataResponsePartition {
            replica_nodes: vec![0],
            isr_nodes: vec![0],
            leader_epoch: 0,
            ..MetadataResponsePartition::default()
        }],
        ..MetadataResponseTopic::default()
    });
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            host: address.ip().to_string(),
            port: address.port().into(),
            ..MetadataResponseBroker::default()
        }],
        cluster_id: Some("floor".to_owned()),
        topics: topics.collect(),
        ..MetadataResponse::default()
    }
}

pub(crate) fn producer_id() -> InitProducerIdResponse {
    InitProducerIdResponse {
        producer_id: NEXT_PRODUCER_ID.fetch_add(1, Ordering::Relaxed),
        ..InitProducerIdResponse::default()
    }
}

pub(crate) fn offsets(request: ListOffsetsRequest, log: &Log) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name,
        partitions: vec![ListOffsetsPartitionResponse {
            timestamp: -1,
            offset: match topic.partitions.first() {
                Some(partition) if partition.timestamp == EARLIEST => 0,
                _ => log.end_offset(),
            },
            ..ListOffsetsPartitionResponse::default()
        }],
        ..ListOffsetsTopicResponse::default()
    });
    ListOffsetsResponse {
        topics: topics.collect(),
        ..ListOffsetsResponse::default()
    }
}

pub(crate) fn produce(request: ProduceRequest, log: &Log) -> Result<ProduceResponse> {
    let mut responses = Vec::with_capacity(1);
    for topic in request.topic_data {
        let mut partition_responses = Vec::with_capacity(1);
        for partition in topic.partition_data {
            let records = partition.records.context("no records")?;
            partition_responses.push(PartitionProduceResponse {
                base_offset: log.append(&records)?,
                log_append_time_ms: -1,
                log_start_offset: 0,
                ..PartitionProduceResponse::default()
            });
        }
        responses.push(TopicProduceResponse {
            name: topic.name,
            partition_responses,
            ..TopicProduceResponse::default()
        });
    }
    Ok(ProduceResponse {
        responses,
        ..ProduceResponse::default()
    })
}

/// Also how many bytes of records the response holds.
pub(crate) fn fetch(request: &FetchRequest, log: &Log) -> Result<(FetchResponse, usize)> {
    let mut responses = Vec::with_capacity(1);
    let mut bytes = 0;
    for topic in &request.topics {
        for partition in &topic.partitions {
            let records = log.read(
                partition.fetch_offset,
                partition.partition_max_bytes.max(0).cast_unsigned() as usize,
            )?;
            bytes += records.len();
            let end = log.end_offset();
            responses.push(FetchableTopicResponse {
                topic: topic.topic.clone(),
                partitions: vec![PartitionData {
                    high_watermark: end,
                    last_stable_offset: end,
                    log_start_offset: 0,
                    records: Some(records),
                    ..PartitionData::default()
                }],
                ..FetchableTopicResponse::default()
            });
        }
    }
    let response = FetchResponse {
        responses,
        ..FetchResponse::default()
    };
    Ok((response, bytes))
}
