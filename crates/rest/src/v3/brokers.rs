//! Brokers, and the replicas that each holds.

use dohle_client::cluster_metadata::Broker;
use serde::Serialize;
use utoipa::ToSchema;

use super::partitions::{ReplicaData, shown_replica};
use super::resource::{Collection, Kind, Related, Resource};
use super::scope::Scope;
use crate::answer::{Answer, Segments, json};
use crate::error::ErrorBody;

#[derive(Serialize, ToSchema)]
struct BrokerData {
    cluster_id: String,
    broker_id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    configs: Related,
    partition_replicas: Related,
}

impl Kind for BrokerData {
    const KIND: &'static str = "KafkaBroker";
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/brokers",
    operation_id = "v3_brokers_list",
    tag = "v3 brokers",
    params(("cluster" = String, Path)),
    responses((status = 200, description = "All brokers", body = Collection<BrokerData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(scope: Scope) -> Answer {
    let brokers = scope.brokers().await?;
    let shown = brokers.into_iter().map(|described| shown(&scope, described.broker));
    Ok(scope.place.all("brokers", shown.collect()))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/brokers/{broker}",
    operation_id = "v3_brokers_get",
    tag = "v3 brokers",
    params(("cluster" = String, Path), ("broker" = i32, Path)),
    responses((status = 200, description = "The broker", body = Resource<BrokerData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn get(scope: Scope, Segments((_, id)): Segments<(String, i32)>) -> Answer {
    Ok(json(&shown(&scope, scope.broker(id).await?.broker)))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/brokers/{broker}/partition-replicas",
    operation_id = "v3_brokers_partition_replicas",
    tag = "v3 brokers",
    params(("cluster" = String, Path), ("broker" = i32, Path)),
    responses((status = 200, description = "What the broker holds", body = Collection<ReplicaData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn partition_replicas(scope: Scope, Segments((_, id)): Segments<(String, i32)>) -> Answer {
    scope.broker(id).await?;
    let topics = scope.admin.list_topics().await?;
    let names: Vec<String> = topics.iter().map(|topic| topic.name.to_string()).collect();
    let mut shown = Vec::new();
    for topic in scope.topics(&names).await? {
        let held = topic.partitions.iter().filter(|partition| partition.replicas.contains(&id));
        shown.extend(held.map(|partition| shown_replica(&scope, &topic.name, partition, id)));
    }
    Ok(scope.place.broker(id).all("partition-replicas", shown))
}

fn shown(scope: &Scope, broker: Broker) -> Resource<BrokerData> {
    let place = scope.place.broker(broker.id);
    let data = BrokerData {
        cluster_id: scope.cluster_id.clone(),
        broker_id: broker.id,
        host: broker.host,
        port: broker.port,
        rack: broker.rack,
        configs: place.related_to("configs"),
        partition_replicas: place.related_to("partition-replicas"),
    };
    place.holds(data)
}
