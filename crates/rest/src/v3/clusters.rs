//! The cluster: a proxy knows one.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::resource::{Collection, Kind, Related, Resource, all_clusters};
use super::scope::Scope;
use crate::answer::{Answer, json};
use crate::error::{ErrorBody, RestError};
use crate::proxy::Proxy;

#[derive(Serialize, ToSchema)]
struct ClusterData {
    cluster_id: String,
    controller: Option<Related>,
    brokers: Related,
    broker_configs: Related,
    consumer_groups: Related,
    topics: Related,
}

impl Kind for ClusterData {
    const KIND: &'static str = "KafkaCluster";
}

#[utoipa::path(
    get,
    path = "/v3/clusters",
    operation_id = "v3_clusters_list",
    tag = "v3 clusters",
    responses((status = 200, description = "The cluster, alone", body = Collection<ClusterData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(State(proxy): State<Arc<Proxy>>) -> Answer {
    let scope = Scope::own(&proxy).await?;
    Ok(all_clusters(&proxy.config.advertised, vec![shown(&scope).await?]))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}",
    operation_id = "v3_clusters_get",
    tag = "v3 clusters",
    params(("cluster" = String, Path)),
    responses((status = 200, description = "The cluster", body = Resource<ClusterData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn get(scope: Scope) -> Answer {
    Ok(json(&shown(&scope).await?))
}

async fn shown(scope: &Scope) -> Result<Resource<ClusterData>, RestError> {
    let controller = scope.admin.describe_cluster(false).await?.controller_id;
    let place = &scope.place;
    let data = ClusterData {
        cluster_id: scope.cluster_id.clone(),
        controller: (controller >= 0).then(|| place.broker(controller).related()),
        brokers: place.related_to("brokers"),
        broker_configs: place.related_to("broker-configs"),
        consumer_groups: place.related_to("consumer-groups"),
        topics: place.related_to("topics"),
    };
    Ok(place.clone().holds(data))
}
