//! Metadata: the brokers, and topics with their partitions and leaders. A topic that does not exist may be created by asking for it.
//!
//! Version 0 asks for all topics with an empty list, later ones with null. Versions 10 and 11 have a field for a topic's id, but may not use
//! it; 12 and later ask by name or by id.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_metadata::image::ClusterImage;
use dohle_metadata::image::topics::{PartitionImage, TopicImage};
use dohle_metadata::topic_name;
use dohle_protocol::id::{BrokerId, PartitionIndex, TopicId};
use dohle_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use dohle_protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use crate::cluster::suspicion::Suspicion;
use crate::cluster::{auto_create, endpoints};
use crate::dispatch::{ConnectionInfo, RequestContext};
use crate::handlers::authorized_operations;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: MetadataRequest) -> MetadataResponse {
    let asked = match request.topics {
        None => None,
        Some(topics) if topics.is_empty() && ctx.api_version == 0 => None,
        Some(topics) => Some(unique(topics)),
    };
    let mut create_errors = BTreeMap::new();
    if let Some(topics) = &asked
        && request.allow_auto_topic_creation
        && broker.settings.load().auto_create_topics
    {
        let image = broker.quorum.image();
        let by_name = topics
            .iter()
            .filter(|topic| topic.topic_id.is_nil())
            .filter_map(|topic| topic.name.as_deref());
        let missing: Vec<&str> = by_name.filter(|name| image.topic(name).is_none()).collect();
        create_errors = auto_create::create(broker, &missing).await;
    }
    broker.suspicion.settled(broker.quorum.watch()).await;
    let image = broker.quorum.image();
    let view = View {
        image: &image,
        connection: &ctx.connection,
        suspicion: &broker.suspicion,
        api_version: ctx.api_version,
    };
    let mut topics: Vec<MetadataResponseTopic> = match asked {
        None => image.topics().iter().map(|topic| view.topic(topic)).collect(),
        Some(topics) => topics.into_iter().map(|topic| view.asked_topic(topic, &create_errors)).collect(),
    };
    if request.include_topic_authorized_operations {
        for topic in &mut topics {
            topic.topic_authorized_operations = authorized_operations::TOPIC;
        }
    }
    broker.metrics.errors(ApiKey::Metadata, topics.iter().map(|topic| topic.error_code));
    MetadataResponse {
        brokers: view.brokers(),
        cluster_id: image.cluster_id().map(str::to_owned),
        controller_id: broker.config.node_id,
        topics,
        cluster_authorized_operations: authorized_operations::cluster(request.include_cluster_authorized_operations),
        ..MetadataResponse::default()
    }
}

/// Each topic once, in the order in which they are asked for.
fn unique(topics: Vec<MetadataRequestTopic>) -> Vec<MetadataRequestTopic> {
    let mut seen = std::collections::BTreeSet::new();
    topics
        .into_iter()
        .filter(|topic| seen.insert((topic.name.clone(), topic.topic_id)))
        .collect()
}

/// The cluster, as one client is to see it.
struct View<'a> {
    image: &'a ClusterImage,
    connection: &'a ConnectionInfo,
    suspicion: &'a Suspicion,
    api_version: i16,
}

impl View<'_> {
    fn brokers(&self) -> Vec<MetadataResponseBroker> {
        let brokers = self.image.brokers().iter();
        let active = brokers.filter(|broker| !broker.fenced || self.suspicion.is_listed(broker.id));
        let reached = active.filter_map(|broker| Some((broker, endpoints::reached_by(broker, self.connection)?)));
        reached
            .map(|(broker, endpoint)| MetadataResponseBroker {
                node_id: broker.id.0,
                host: endpoint.host,
                port: endpoint.port.into(),
                rack: broker.rack.clone(),
                ..MetadataResponseBroker::default()
            })
            .collect()
    }

    fn asked_topic(&self, asked: MetadataRequestTopic, create_errors: &BTreeMap<String, ErrorCode>) -> MetadataResponseTopic {
        let may_use_ids = self.api_version >= 12;
        match (asked.name, TopicId(asked.topic_id)) {
            (name, id) if !may_use_ids && (name.is_none() || !id.is_zero()) => {
                missing(Some(name.unwrap_or_default()), asked.topic_id, ErrorCode::InvalidRequest)
            }
            (None, id) if id.is_zero() => missing(None, Uuid::nil(), ErrorCode::InvalidRequest),
            (Some(name), id) if id.is_zero() => match self.image.topic(&name) {
                Some(topic) => self.topic(topic),
                None => {
                    let error = create_errors.get(&name).copied().unwrap_or_else(|| why_missing(&name));
                    missing(Some(name), Uuid::nil(), error)
                }
            },
            (_, id) => match self.image.topic_by_id(id) {
                Some(topic) => self.topic(topic),
                None => missing(None, id.0, ErrorCode::UnknownTopicId),
            },
        }
    }

    fn topic(&self, topic: &TopicImage) -> MetadataResponseTopic {
        MetadataResponseTopic {
            name: Some(topic.name.to_string()),
            topic_id: topic.id.0,
            is_internal: topic_name::is_internal(&topic.name),
            partitions: topic
                .partitions
                .iter()
                .map(|(index, partition)| self.partition(*index, partition))
                .collect(),
            ..MetadataResponseTopic::default()
        }
    }

    fn partition(&self, index: PartitionIndex, partition: &PartitionImage) -> MetadataResponsePartition {
        let leader = self.image.broker(partition.leader).filter(|broker| !broker.fenced);
        let error = match leader {
            Some(broker) if broker.endpoint(&self.connection.listener.name).is_some() => ErrorCode::None,
            Some(_) if self.api_version >= 6 => ErrorCode::ListenerNotFound,
            _ => ErrorCode::LeaderNotAvailable,
        };
        MetadataResponsePartition {
            error_code: error.code(),
            partition_index: index.0,
            leader_id: if error == ErrorCode::None {
                partition.leader.0
            } else {
                BrokerId::NONE.0
            },
            leader_epoch: partition.leader_epoch.0,
            replica_nodes: raw(&partition.replicas),
            isr_nodes: raw(&partition.isr),
            offline_replicas: offline_replicas(self.image, partition),
            ..MetadataResponsePartition::default()
        }
    }
}

pub(super) fn raw(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.0).collect()
}

/// Replicas on brokers that are not there.
pub(super) fn offline_replicas(image: &ClusterImage, partition: &PartitionImage) -> Vec<i32> {
    let is_offline = |id: &&BrokerId| image.broker(**id).is_none_or(|broker| broker.fenced);
    partition.replicas.iter().filter(is_offline).map(|id| id.0).collect()
}

/// The error for a topic that does not exist and was not to be created.
pub(super) fn why_missing(name: &str) -> ErrorCode {
    if topic_name::validate(name).is_err() {
        ErrorCode::InvalidTopicException
    } else {
        ErrorCode::UnknownTopicOrPartition
    }
}

fn missing(name: Option<String>, topic_id: Uuid, error: ErrorCode) -> MetadataResponseTopic {
    let is_internal = name.as_deref().is_some_and(topic_name::is_internal);
    MetadataResponseTopic {
        error_code: error.code(),
        name,
        topic_id,
        is_internal,
        ..MetadataResponseTopic::default()
    }
}
