//! What the cluster sets for all brokers.

use dohle_client::admin::configs::{ConfigEntry, Resource as Configured};
use serde::Serialize;
use utoipa::ToSchema;

use super::configs::{self, AlterConfigsRequest, ConfigData, UpdateConfigRequest};
use super::resource::{Collection, Kind, Resource};
use super::scope::Scope;
use crate::answer::{Answer, Segments, json};
use crate::body::RequestBody;
use crate::error::ErrorBody;

const OF: Configured = Configured::BrokerDefault;

#[derive(Serialize, ToSchema)]
struct ClusterConfigData {
    cluster_id: String,
    config_type: &'static str,
    #[serde(flatten)]
    config: ConfigData,
}

impl Kind for ClusterConfigData {
    const KIND: &'static str = "KafkaClusterConfig";
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/broker-configs",
    operation_id = "v3_cluster_configs_list",
    tag = "v3 configs",
    params(("cluster" = String, Path)),
    responses((status = 200, description = "What is set for all brokers", body = Collection<ClusterConfigData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(scope: Scope) -> Answer {
    let entries = configs::entries(&scope, &OF).await?;
    let shown = entries.into_iter().map(|entry| shown(&scope, entry));
    Ok(scope.place.all("broker-configs", shown.collect()))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/broker-configs/{name}",
    operation_id = "v3_cluster_configs_get",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("name" = String, Path)),
    responses((status = 200, description = "The entry", body = Resource<ClusterConfigData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn get(scope: Scope, Segments((_, name)): Segments<(String, String)>) -> Answer {
    let entry = configs::entry(&scope, &OF, &name).await?;
    Ok(json(&shown(&scope, entry)))
}

#[utoipa::path(
    put,
    path = "/v3/clusters/{cluster}/broker-configs/{name}",
    operation_id = "v3_cluster_configs_put",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("name" = String, Path)),
    request_body(content = UpdateConfigRequest, content_type = "application/json", description = "The value"),
    responses((status = 204, description = "The entry is set"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn put(scope: Scope, Segments((_, name)): Segments<(String, String)>, body: RequestBody) -> Answer {
    configs::put(&scope, &OF, name, &body).await
}

#[utoipa::path(
    delete,
    path = "/v3/clusters/{cluster}/broker-configs/{name}",
    operation_id = "v3_cluster_configs_reset",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("name" = String, Path)),
    responses((status = 204, description = "The entry is not set any more"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn reset(scope: Scope, Segments((_, name)): Segments<(String, String)>) -> Answer {
    configs::reset(&scope, &OF, name).await
}

#[utoipa::path(
    post,
    path = "/v3/clusters/{cluster}/broker-configs:alter",
    operation_id = "v3_cluster_configs_alter",
    tag = "v3 configs",
    params(("cluster" = String, Path)),
    request_body(content = AlterConfigsRequest, content_type = "application/json", description = "Entries to set or to reset"),
    responses((status = 204, description = "All are changed"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn alter(scope: Scope, body: RequestBody) -> Answer {
    configs::alter(&scope, &OF, &body).await
}

fn shown(scope: &Scope, entry: ConfigEntry) -> Resource<ClusterConfigData> {
    let config = ConfigData::from(entry);
    let place = scope.place.within("broker-configs", "broker-config", config.name());
    let data = ClusterConfigData {
        cluster_id: scope.cluster_id.clone(),
        config_type: "BROKER",
        config,
    };
    place.holds(data)
}
