//! What the cluster consists of.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use dohle_client::TopicPartition;
use dohle_client::admin::configs::Resource;
use dohle_client::admin::offsets::at;
use dohle_client::admin::topics::{PartitionDescription, TopicDescription};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::{Answer, Segments, check_topic, json};
use crate::error::{ErrorBody, RestError};
use crate::limits::PARTITIONS_PER_PAGE;
use crate::offsets::offset_at;
use crate::proxy::Proxy;

#[derive(Serialize, ToSchema)]
struct Brokers {
    brokers: Vec<i32>,
}

#[derive(Serialize, ToSchema)]
struct Topic {
    name: String,
    configs: BTreeMap<String, String>,
    partitions: Vec<Partition>,
}

#[derive(Serialize, ToSchema)]
struct Partition {
    partition: i32,
    leader: i32,
    replicas: Vec<Replica>,
}

#[derive(Serialize, ToSchema)]
struct Replica {
    broker: i32,
    leader: bool,
    in_sync: bool,
}

#[derive(Serialize, ToSchema)]
struct Offsets {
    beginning_offset: i64,
    end_offset: i64,
}

#[utoipa::path(
    get,
    path = "/brokers",
    tag = "topics",
    responses((status = 200, description = "The ids of all brokers", body = Brokers), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn brokers(State(proxy): State<Arc<Proxy>>) -> Answer {
    let cluster = proxy.admin().await?.describe_cluster(false).await?;
    let brokers = cluster.brokers.iter().map(|described| described.broker.id).collect();
    Ok(json(&Brokers { brokers }))
}

#[utoipa::path(
    get,
    path = "/topics",
    tag = "topics",
    responses((status = 200, description = "The names of all topics", body = Vec<String>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(State(proxy): State<Arc<Proxy>>) -> Answer {
    let topics = proxy.admin().await?.list_topics().await?;
    let names: Vec<&str> = topics.iter().map(|topic| &*topic.name).collect();
    Ok(json(&names))
}

#[utoipa::path(
    get,
    path = "/topics/{topic}",
    tag = "topics",
    params(("topic" = String, Path)),
    responses((status = 200, description = "The topic", body = Topic), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn describe(State(proxy): State<Arc<Proxy>>, Segments(name): Segments<String>) -> Answer {
    let description = describe_topic(&proxy, &name).await?;
    let resource = [Resource::Topic(name.clone())];
    let configs = proxy.admin().await?.describe_configs(&resource, false).await?;
    let configs = configs.into_iter().flatten().filter_map(|entry| Some((entry.name, entry.value?)));
    Ok(json(&Topic {
        name,
        configs: configs.collect(),
        partitions: description.partitions.iter().map(shown).collect(),
    }))
}

#[utoipa::path(
    get,
    path = "/topics/{topic}/partitions",
    tag = "topics",
    params(("topic" = String, Path)),
    responses((status = 200, description = "Its partitions", body = Vec<Partition>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn partitions(State(proxy): State<Arc<Proxy>>, Segments(topic): Segments<String>) -> Answer {
    let description = describe_topic(&proxy, &topic).await?;
    Ok(json(&description.partitions.iter().map(shown).collect::<Vec<_>>()))
}

#[utoipa::path(
    get,
    path = "/topics/{topic}/partitions/{partition}",
    tag = "topics",
    params(("topic" = String, Path), ("partition" = i32, Path)),
    responses((status = 200, description = "The partition", body = Partition), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn partition(State(proxy): State<Arc<Proxy>>, Segments((topic, index)): Segments<(String, i32)>) -> Answer {
    let description = describe_topic(&proxy, &topic).await?;
    Ok(json(&shown(find(&description, index)?)))
}

#[utoipa::path(
    get,
    path = "/topics/{topic}/partitions/{partition}/offsets",
    tag = "topics",
    params(("topic" = String, Path), ("partition" = i32, Path)),
    responses((status = 200, description = "Its first and next offset", body = Offsets), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn offsets(State(proxy): State<Arc<Proxy>>, Segments((topic, index)): Segments<(String, i32)>) -> Answer {
    must_exist(&proxy, &topic, index).await?;
    let tp = TopicPartition::new(topic, index);
    let admin = proxy.admin().await?;
    Ok(json(&Offsets {
        beginning_offset: offset_at(&admin, &tp, at::EARLIEST).await?,
        end_offset: offset_at(&admin, &tp, at::LATEST).await?,
    }))
}

pub(super) async fn must_exist(proxy: &Proxy, topic: &str, index: i32) -> Result<(), RestError> {
    find(&describe_topic(proxy, topic).await?, index).map(|_| ())
}

async fn describe_topic(proxy: &Proxy, name: &str) -> Result<TopicDescription, RestError> {
    check_topic(name)?;
    let names = [name.to_owned()];
    let described = proxy.admin().await?.describe_topics(&names, PARTITIONS_PER_PAGE).await?;
    described.into_iter().next().ok_or_else(RestError::topic_not_hosted)
}

fn find(topic: &TopicDescription, index: i32) -> Result<&PartitionDescription, RestError> {
    let found = topic.partitions.iter().find(|partition| partition.index == index);
    found.ok_or_else(RestError::no_partition)
}

fn shown(partition: &PartitionDescription) -> Partition {
    let replicas = partition.replicas.iter().map(|&broker| Replica {
        broker,
        leader: broker == partition.leader,
        in_sync: partition.in_sync.contains(&broker),
    });
    Partition {
        partition: partition.index,
        leader: partition.leader,
        replicas: replicas.collect(),
    }
}
