//! Topics: list, create, describe, add partitions, delete.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use dohle_client::admin::topics::NewTopic;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parse;
use super::resource::{Collection, Kind, Related, Resource};
use super::scope::Scope;
use crate::answer::{Answer, Segments, check_topic, json, no_content};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};

#[derive(Serialize, ToSchema)]
struct TopicData {
    cluster_id: String,
    topic_name: String,
    is_internal: bool,
    replication_factor: i32,
    partitions_count: i32,
    partitions: Related,
    configs: Related,
    /// Empty: nobody is kept from anything.
    authorized_operations: Vec<String>,
}

impl Kind for TopicData {
    const KIND: &'static str = "KafkaTopic";
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateTopicRequest {
    topic_name: String,
    partitions_count: Option<i32>,
    replication_factor: Option<i16>,
    #[serde(default)]
    replicas_assignments: Vec<ReplicasAssignment>,
    #[serde(default)]
    configs: Vec<TopicConfigRequest>,
    #[serde(default)]
    validate_only: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplicasAssignment {
    partition_id: i32,
    broker_ids: Vec<i32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TopicConfigRequest {
    name: String,
    /// Null: the default.
    value: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateTopicRequest {
    partitions_count: i32,
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics",
    operation_id = "v3_topics_list",
    tag = "v3 topics",
    params(("cluster" = String, Path)),
    responses((status = 200, description = "All topics", body = Collection<TopicData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(scope: Scope) -> Answer {
    let topics = scope.admin.list_topics().await?;
    let shown = topics.iter().map(|topic| {
        let first = topic.partitions.first();
        let replicas = first.map_or(0, |partition| partition.replicas.len());
        shown(
            &scope,
            &topic.name,
            topic.is_internal,
            topic.partitions.len() as i32,
            replicas as i32,
        )
    });
    Ok(scope.place.all("topics", shown.collect()))
}

#[utoipa::path(
    post,
    path = "/v3/clusters/{cluster}/topics",
    operation_id = "v3_topics_create",
    tag = "v3 topics",
    params(("cluster" = String, Path)),
    request_body(content = CreateTopicRequest, content_type = "application/json", description = "The topic"),
    responses(
        (status = 201, description = "The new topic", body = Resource<TopicData>),
        (status = 200, description = "What would be created", body = Resource<TopicData>),
        (status = "default", description = "An error", body = ErrorBody)
    )
)]
pub(super) async fn create(scope: Scope, body: RequestBody) -> Answer {
    let request: CreateTopicRequest = parse(&body)?;
    let validate_only = request.validate_only;
    let topic = new_topic(request)?;
    let created = match validate_only {
        true => scope.admin.validate_topic(&topic).await?,
        false => scope.admin.create_topic(&topic).await?,
    };
    let replicas = i32::from(created.replication_factor);
    let mut response = json(&shown(&scope, &topic.name, false, created.partitions, replicas));
    *response.status_mut() = if validate_only { StatusCode::OK } else { StatusCode::CREATED };
    Ok(response)
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/topics/{topic}",
    operation_id = "v3_topics_get",
    tag = "v3 topics",
    params(("cluster" = String, Path), ("topic" = String, Path)),
    responses((status = 200, description = "The topic", body = Resource<TopicData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn get(scope: Scope, Segments((_, name)): Segments<(String, String)>) -> Answer {
    Ok(json(&described(&scope, &name).await?))
}

#[utoipa::path(
    patch,
    path = "/v3/clusters/{cluster}/topics/{topic}",
    operation_id = "v3_topics_update",
    tag = "v3 topics",
    params(("cluster" = String, Path), ("topic" = String, Path)),
    request_body(content = UpdateTopicRequest, content_type = "application/json", description = "The number of partitions, which can only grow"),
    responses((status = 200, description = "The topic", body = Resource<TopicData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn update(scope: Scope, Segments((_, name)): Segments<(String, String)>, body: RequestBody) -> Answer {
    check_topic(&name)?;
    let request: UpdateTopicRequest = parse(&body)?;
    scope.admin.create_partitions(&name, request.partitions_count, None).await?;
    Ok(json(&described(&scope, &name).await?))
}

#[utoipa::path(
    delete,
    path = "/v3/clusters/{cluster}/topics/{topic}",
    operation_id = "v3_topics_delete",
    tag = "v3 topics",
    params(("cluster" = String, Path), ("topic" = String, Path)),
    responses((status = 204, description = "The topic is gone"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn delete(scope: Scope, Segments((_, name)): Segments<(String, String)>) -> Answer {
    check_topic(&name)?;
    scope.admin.delete_topic(&name).await?;
    Ok(no_content())
}

fn new_topic(request: CreateTopicRequest) -> Result<NewTopic, RestError> {
    let by_hand = !request.replicas_assignments.is_empty();
    if by_hand && (request.partitions_count.is_some() || request.replication_factor.is_some()) {
        let reason = "replicas_assignments exclude partitions_count and replication_factor";
        return Err(RestError::invalid_request(reason));
    }
    let count = request.replicas_assignments.len();
    let assignments = request.replicas_assignments.into_iter();
    let assignments: BTreeMap<i32, Vec<i32>> = assignments.map(|one| (one.partition_id, one.broker_ids)).collect();
    if assignments.len() < count || !assignments.keys().copied().eq((0..).take(count)) {
        let reason = "replicas_assignments must name each partition once, beginning with 0";
        return Err(RestError::invalid_request(reason));
    }
    let configs = request.configs.into_iter();
    Ok(NewTopic {
        name: request.topic_name,
        partitions: request.partitions_count,
        replication_factor: request.replication_factor,
        assignment: assignments.into_values().collect(),
        configs: configs.filter_map(|config| Some((config.name, config.value?))).collect(),
    })
}

async fn described(scope: &Scope, name: &str) -> Result<Resource<TopicData>, RestError> {
    let topic = scope.topic(name).await?;
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    Ok(shown(
        scope,
        name,
        topic.is_internal,
        topic.partitions.len() as i32,
        replicas as i32,
    ))
}

fn shown(scope: &Scope, name: &str, is_internal: bool, partitions_count: i32, replication_factor: i32) -> Resource<TopicData> {
    let place = scope.place.topic(name);
    let data = TopicData {
        cluster_id: scope.cluster_id.clone(),
        topic_name: name.to_owned(),
        is_internal,
        replication_factor,
        partitions_count,
        partitions: place.related_to("partitions"),
        configs: place.related_to("configs"),
        authorized_operations: Vec::new(),
    };
    place.holds(data)
}
