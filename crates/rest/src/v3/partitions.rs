//! Partitions, their replicas, and where their records begin and end.

use dohle_client::TopicPartition;
use dohle_client::admin::offsets::at;
use dohle_client::admin::topics::PartitionDescription;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resource::{Collection, Kind, Related, Resource};
use super::scope::Scope;
use crate::answer::{Answer, Parameters, Segments, json};
use crate::error::{ErrorBody, RestError};
use crate::offsets::offset_at;

#[derive(Serialize, ToSchema)]
struct PartitionData {
    cluster_id: String,
    topic_name: String,
    partition_id: i32,
    leader: Option<Related>,
    replicas: Related,
}

impl Kind for PartitionData {
    const KIND: &'static str = "KafkaPartition";
}

#[derive(Serialize, ToSchema)]
pub(super) struct ReplicaData {
    cluster_id: String,
    topic_name: String,
    partition_id: i32,
    broker_id: i32,
    is_leader: bool,
    is_in_sync: bool,
    broker: Related,
}

impl Kind for ReplicaData {
    const KIND: &'static str = "KafkaReplica";
}

#[derive(Serialize, ToSchema)]
struct PartitionOffsetsData {
    cluster_id: String,
    topic_name: String,
    partition_id: i32,
    earliest_offset: Option<i64>,
    latest_offset: Option<i64>,
}

impl Kind for PartitionOffsetsData {
    const KIND: &'static str = "KafkaPartitionOffset";
}

#[derive(Deserialize)]
pub(super) struct OffsetQuery {
    offset_type: Option<String>,
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics/{topic}/partitions",
    operation_id = "v3_partitions_list",
    tag = "v3 partitions",
    params(("cluster" = String, Path), ("topic" = String, Path)),
    responses((status = 200, description = "Its partitions", body = Collection<PartitionData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(scope: Scope, Segments((_, topic)): Segments<(String, String)>) -> Answer {
    let described = scope.topic(&topic).await?;
    let shown = described.partitions.iter().map(|partition| shown(&scope, &topic, partition));
    Ok(scope.place.topic(&topic).all("partitions", shown.collect()))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics/{topic}/partitions/{partition}",
    operation_id = "v3_partitions_get",
    tag = "v3 partitions",
    params(("cluster" = String, Path), ("topic" = String, Path), ("partition" = i32, Path)),
    responses((status = 200, description = "The partition", body = Resource<PartitionData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn get(scope: Scope, Segments((_, topic, index)): Segments<(String, String, i32)>) -> Answer {
    let partition = scope.partition(&topic, index).await?;
    Ok(json(&shown(&scope, &topic, &partition)))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics/{topic}/partitions/{partition}/offset",
    operation_id = "v3_partitions_offset",
    tag = "v3 partitions",
    params(
        ("cluster" = String, Path),
        ("topic" = String, Path),
        ("partition" = i32, Path),
        ("offset_type" = Option<String>, Query, description = "earliest, latest or earliest_and_latest (which nothing means too)")
    ),
    responses((status = 200, description = "Its first and next offset", body = Resource<PartitionOffsetsData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn offset(
    scope: Scope,
    Segments((_, topic, index)): Segments<(String, String, i32)>,
    Parameters(query): Parameters<OffsetQuery>,
) -> Answer {
    let offset_type = query.offset_type.as_deref().unwrap_or("earliest_and_latest");
    let (earliest, latest) = match offset_type {
        "earliest" => (true, false),
        "latest" => (false, true),
        "earliest_and_latest" => (true, true),
        other => return Err(RestError::bad_request(format!("There is no offset_type {other:?}."))),
    };
    scope.partition(&topic, index).await?;
    let place = scope.place.partition(&topic, index).view("offset", "offset_type", offset_type);
    let tp = TopicPartition::new(topic.as_str(), index);
    let data = PartitionOffsetsData {
        cluster_id: scope.cluster_id.clone(),
        topic_name: topic,
        partition_id: index,
        earliest_offset: if earliest {
            Some(offset_at(&scope.admin, &tp, at::EARLIEST).await?)
        } else {
            None
        },
        latest_offset: if latest {
            Some(offset_at(&scope.admin, &tp, at::LATEST).await?)
        } else {
            None
        },
    };
    Ok(json(&place.holds(data)))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics/{topic}/partitions/{partition}/replicas",
    operation_id = "v3_partitions_replicas",
    tag = "v3 partitions",
    params(("cluster" = String, Path), ("topic" = String, Path), ("partition" = i32, Path)),
    responses((status = 200, description = "Its replicas", body = Collection<ReplicaData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn replicas(scope: Scope, Segments((_, topic, index)): Segments<(String, String, i32)>) -> Answer {
    let partition = scope.partition(&topic, index).await?;
    let shown = partition
        .replicas
        .iter()
        .map(|&broker| shown_replica(&scope, &topic, &partition, broker));
    Ok(scope.place.partition(&topic, index).all("replicas", shown.collect()))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics/{topic}/partitions/{partition}/replicas/{broker}",
    operation_id = "v3_partitions_replica",
    tag = "v3 partitions",
    params(("cluster" = String, Path), ("topic" = String, Path), ("partition" = i32, Path), ("broker" = i32, Path)),
    responses((status = 200, description = "The replica", body = Resource<ReplicaData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn replica(scope: Scope, Segments((_, topic, index, broker)): Segments<(String, String, i32, i32)>) -> Answer {
    let partition = scope.partition(&topic, index).await?;
    if !partition.replicas.contains(&broker) {
        return Err(RestError::not_found(format!("Broker {broker} has no replica of the partition.")));
    }
    Ok(json(&shown_replica(&scope, &topic, &partition, broker)))
}

fn shown(scope: &Scope, topic: &str, partition: &PartitionDescription) -> Resource<PartitionData> {
    let place = scope.place.partition(topic, partition.index);
    let leader = (partition.leader >= 0).then(|| place.within("replicas", "replica", &partition.leader).related());
    let data = PartitionData {
        cluster_id: scope.cluster_id.clone(),
        topic_name: topic.to_owned(),
        partition_id: partition.index,
        leader,
        replicas: place.related_to("replicas"),
    };
    place.holds(data)
}

pub(super) fn shown_replica(scope: &Scope, topic: &str, partition: &PartitionDescription, broker: i32) -> Resource<ReplicaData> {
    let data = ReplicaData {
        cluster_id: scope.cluster_id.clone(),
        topic_name: topic.to_owned(),
        partition_id: partition.index,
        broker_id: broker,
        is_leader: partition.leader == broker,
        is_in_sync: partition.in_sync.contains(&broker),
        broker: scope.place.broker(broker).related(),
    };
    let place = scope.place.partition(topic, partition.index);
    place.within("replicas", "replica", &broker).holds(data)
}
