//! Configurations of single brokers.

use dohle_client::admin::configs::{ConfigEntry, Resource as Configured};
use serde::Serialize;
use utoipa::ToSchema;

use super::configs::{self, AlterConfigsRequest, ConfigData, UpdateConfigRequest};
use super::resource::{Collection, Kind, Resource};
use super::scope::Scope;
use crate::answer::{Answer, Segments, json};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};

#[derive(Serialize, ToSchema)]
struct BrokerConfigData {
    cluster_id: String,
    broker_id: i32,
    #[serde(flatten)]
    config: ConfigData,
}

impl Kind for BrokerConfigData {
    const KIND: &'static str = "KafkaBrokerConfig";
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/brokers/-/configs",
    operation_id = "v3_broker_configs_list_all",
    tag = "v3 configs",
    params(("cluster" = String, Path)),
    responses((status = 200, description = "The configuration of all brokers", body = Collection<BrokerConfigData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list_all(scope: Scope) -> Answer {
    let mut all = Vec::new();
    for described in scope.brokers().await? {
        let id = described.broker.id;
        let entries = configs::entries(&scope, &Configured::Broker(id)).await?;
        all.extend(entries.into_iter().map(|entry| shown(&scope, id, entry)));
    }
    Ok(scope.place.all("brokers/-/configs", all))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/brokers/{broker}/configs",
    operation_id = "v3_broker_configs_list",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("broker" = i32, Path)),
    responses((status = 200, description = "Its configuration", body = Collection<BrokerConfigData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(scope: Scope, Segments((_, broker)): Segments<(String, i32)>) -> Answer {
    let entries = configs::entries(&scope, &configured(&scope, broker).await?).await?;
    let shown = entries.into_iter().map(|entry| shown(&scope, broker, entry));
    Ok(scope.place.broker(broker).all("configs", shown.collect()))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/brokers/{broker}/configs/{name}",
    operation_id = "v3_broker_configs_get",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("broker" = i32, Path), ("name" = String, Path)),
    responses((status = 200, description = "The entry", body = Resource<BrokerConfigData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn get(scope: Scope, Segments((_, broker, name)): Segments<(String, i32, String)>) -> Answer {
    let entry = configs::entry(&scope, &configured(&scope, broker).await?, &name).await?;
    Ok(json(&shown(&scope, broker, entry)))
}

#[utoipa::path(
    put,
    path = "/v3/clusters/{cluster}/brokers/{broker}/configs/{name}",
    operation_id = "v3_broker_configs_put",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("broker" = i32, Path), ("name" = String, Path)),
    request_body(content = UpdateConfigRequest, content_type = "application/json", description = "The value"),
    responses((status = 204, description = "The entry is set"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn put(scope: Scope, Segments((_, broker, name)): Segments<(String, i32, String)>, body: RequestBody) -> Answer {
    configs::put(&scope, &configured(&scope, broker).await?, name, &body).await
}

#[utoipa::path(
    delete,
    path = "/v3/clusters/{cluster}/brokers/{broker}/configs/{name}",
    operation_id = "v3_broker_configs_reset",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("broker" = i32, Path), ("name" = String, Path)),
    responses((status = 204, description = "The entry is the default again"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn reset(scope: Scope, Segments((_, broker, name)): Segments<(String, i32, String)>) -> Answer {
    configs::reset(&scope, &configured(&scope, broker).await?, name).await
}

#[utoipa::path(
    post,
    path = "/v3/clusters/{cluster}/brokers/{broker}/configs:alter",
    operation_id = "v3_broker_configs_alter",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("broker" = i32, Path)),
    request_body(content = AlterConfigsRequest, content_type = "application/json", description = "Entries to set or to reset"),
    responses((status = 204, description = "All are changed"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn alter(scope: Scope, Segments((_, broker)): Segments<(String, i32)>, body: RequestBody) -> Answer {
    configs::alter(&scope, &configured(&scope, broker).await?, &body).await
}

/// One that does not exist would be waited for.
async fn configured(scope: &Scope, broker: i32) -> Result<Configured, RestError> {
    scope.broker(broker).await?;
    Ok(Configured::Broker(broker))
}

fn shown(scope: &Scope, broker: i32, entry: ConfigEntry) -> Resource<BrokerConfigData> {
    let config = ConfigData::from(entry);
    let place = scope.place.broker(broker).within("configs", "config", config.name());
    let data = BrokerConfigData {
        cluster_id: scope.cluster_id.clone(),
        broker_id: broker,
        config,
    };
    place.holds(data)
}
