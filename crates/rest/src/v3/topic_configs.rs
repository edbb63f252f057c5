//! Configurations of topics.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use dohle_client::admin::configs::{ConfigEntry, Resource as Configured};
use dohle_protocol::ErrorCode;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::configs::{self, AlterConfigsRequest, ConfigData, UpdateConfigRequest};
use super::resource::{Collection, Kind, Resource};
use super::scope::Scope;
use crate::answer::{Answer, Segments, check_topic, json};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};
use crate::limits::TOPICS_PER_PAGE;

#[derive(Serialize, ToSchema)]
struct TopicConfigData {
    cluster_id: String,
    topic_name: String,
    #[serde(flatten)]
    config: ConfigData,
}

impl Kind for TopicConfigData {
    const KIND: &'static str = "KafkaTopicConfig";
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics/-/configs",
    operation_id = "v3_topic_configs_list_all",
    tag = "v3 configs",
    params(("cluster" = String, Path)),
    responses((status = 200, description = "The configuration of all topics", body = Collection<TopicConfigData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list_all(scope: Scope) -> Answer {
    let topics = scope.admin.list_topics().await?;
    let names: Vec<String> = topics.iter().map(|topic| topic.name.to_string()).collect();
    let (head, tail) = scope.place.open::<TopicConfigData>("topics/-/configs");
    // Written while it is read: with many topics this is long.
    let pages: Vec<Vec<String>> = names.chunks(TOPICS_PER_PAGE).map(<[String]>::to_vec).collect();
    let scope = std::sync::Arc::new(scope);
    let pages = stream::iter(pages.into_iter().enumerate()).then(move |(number, names)| {
        let scope = scope.clone();
        async move { page(&scope, number, &names).await }
    });
    let ends = |text: String| stream::once(async { Ok(Bytes::from(text)) });
    Ok(Response::new(Body::from_stream(ends(head).chain(pages).chain(ends(tail)))))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics/{topic}/configs",
    operation_id = "v3_topic_configs_list",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("topic" = String, Path)),
    responses((status = 200, description = "Its configuration", body = Collection<TopicConfigData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(scope: Scope, Segments((_, topic)): Segments<(String, String)>) -> Answer {
    let entries = configs::entries(&scope, &configured(&topic)?).await?;
    let shown = entries.into_iter().map(|entry| shown(&scope, &topic, entry));
    Ok(scope.place.topic(&topic).all("configs", shown.collect()))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics/{topic}/configs/{name}",
    operation_id = "v3_topic_configs_get",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("topic" = String, Path), ("name" = String, Path)),
    responses((status = 200, description = "The entry", body = Resource<TopicConfigData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn get(scope: Scope, Segments((_, topic, name)): Segments<(String, String, String)>) -> Answer {
    let entry = configs::entry(&scope, &configured(&topic)?, &name).await?;
    Ok(json(&shown(&scope, &topic, entry)))
}

#[utoipa::path(
    put,
    path = "/v3/clusters/{cluster}/topics/{topic}/configs/{name}",
    operation_id = "v3_topic_configs_put",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("topic" = String, Path), ("name" = String, Path)),
    request_body(content = UpdateConfigRequest, content_type = "application/json", description = "The value"),
    responses((status = 204, description = "The entry is set"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn put(scope: Scope, Segments((_, topic, name)): Segments<(String, String, String)>, body: RequestBody) -> Answer {
    configs::put(&scope, &configured(&topic)?, name, &body).await
}

#[utoipa::path(
    delete,
    path = "/v3/clusters/{cluster}/topics/{topic}/configs/{name}",
    operation_id = "v3_topic_configs_reset",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("topic" = String, Path), ("name" = String, Path)),
    responses((status = 204, description = "The entry is the default again"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn reset(scope: Scope, Segments((_, topic, name)): Segments<(String, String, String)>) -> Answer {
    configs::reset(&scope, &configured(&topic)?, name).await
}

#[utoipa::path(
    post,
    path = "/v3/clusters/{cluster}/topics/{topic}/configs:alter",
    operation_id = "v3_topic_configs_alter",
    tag = "v3 configs",
    params(("cluster" = String, Path), ("topic" = String, Path)),
    request_body(content = AlterConfigsRequest, content_type = "application/json", description = "Entries to set or to reset"),
    responses((status = 204, description = "All are changed"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn alter(scope: Scope, Segments((_, topic)): Segments<(String, String)>, body: RequestBody) -> Answer {
    configs::alter(&scope, &configured(&topic)?, &body).await
}

fn configured(topic: &str) -> Result<Configured, RestError> {
    check_topic(topic)?;
    Ok(Configured::Topic(topic.to_owned()))
}

/// The entries of some topics, with a comma before each but the first of all. The connection is cut if they cannot be had.
async fn page(scope: &Scope, number: usize, names: &[String]) -> Result<Bytes, std::io::Error> {
    let mut text = Vec::new();
    let failed = |error: RestError| std::io::Error::other(error.message().to_owned());
    for (topic, entries) in described(scope, names).await.map_err(failed)? {
        for entry in entries {
            if number > 0 || !text.is_empty() {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &shown(scope, &topic, entry))?;
        }
    }
    Ok(Bytes::from(text))
}

async fn described(scope: &Scope, names: &[String]) -> Result<Vec<(String, Vec<ConfigEntry>)>, RestError> {
    let resources: Vec<Configured> = names.iter().cloned().map(Configured::Topic).collect();
    match scope.admin.describe_configs(&resources, true).await {
        Ok(described) => Ok(names.iter().cloned().zip(described).collect()),
        // One of them has been deleted since they were listed.
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
            let mut left = Vec::new();
            for (name, resource) in names.iter().zip(&resources) {
                match scope.admin.describe_configs(std::slice::from_ref(resource), true).await {
                    Ok(described) => left.push((name.clone(), described.into_iter().flatten().collect())),
                    Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(left)
        }
        Err(error) => Err(error.into()),
    }
}

fn shown(scope: &Scope, topic: &str, entry: ConfigEntry) -> Resource<TopicConfigData> {
    let config = ConfigData::from(entry);
    let place = scope.place.topic(topic).within("configs", "config", config.name());
    let data = TopicConfigData {
        cluster_id: scope.cluster_id.clone(),
        topic_name: topic.to_owned(),
        config,
    };
    place.holds(data)
}
