//! How far consumer groups are behind.

use std::collections::BTreeMap;

use dohle_client::TopicPartition;
use dohle_client::admin::group_offsets::GroupOffsets;
use dohle_client::admin::groups::{GroupDescription, MemberDescription};
use dohle_client::admin::offsets::at;
use dohle_client::config::IsolationLevel;
use serde::Serialize;
use utoipa::ToSchema;

use super::groups::describe;
use super::resource::{Collection, Kind, Related, Resource};
use super::scope::Scope;
use crate::answer::{Answer, Segments, json};
use crate::error::{ErrorBody, RestError};

#[derive(Serialize, ToSchema)]
struct ConsumerLagData {
    cluster_id: String,
    consumer_group_id: String,
    topic_name: String,
    partition_id: i32,
    current_offset: i64,
    log_end_offset: i64,
    lag: i64,
    /// Empty, as is `client_id`: no member reads the partition.
    consumer_id: String,
    instance_id: Option<String>,
    client_id: String,
}

impl Kind for ConsumerLagData {
    const KIND: &'static str = "KafkaConsumerLag";
}

#[derive(Serialize, ToSchema)]
struct ConsumerGroupLagSummaryData {
    cluster_id: String,
    consumer_group_id: String,
    max_lag_consumer_id: String,
    max_lag_instance_id: Option<String>,
    max_lag_client_id: String,
    max_lag_topic_name: String,
    max_lag_partition_id: i32,
    max_lag: i64,
    total_lag: i64,
    max_lag_consumer: Related,
    max_lag_partition: Related,
}

impl Kind for ConsumerGroupLagSummaryData {
    const KIND: &'static str = "KafkaConsumerGroupLagSummary";
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/consumer-groups/{group}/lag-summary",
    operation_id = "v3_lags_summary",
    tag = "v3 consumer groups",
    params(("cluster" = String, Path), ("group" = String, Path)),
    responses((status = 200, description = "The largest lag, and the sum", body = Resource<ConsumerGroupLagSummaryData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn summary(scope: Scope, Segments((_, group)): Segments<(String, String)>) -> Answer {
    let lags = lags_of(&scope, &group, |_| true).await?;
    let total_lag = lags.iter().map(|lag| lag.lag).sum();
    // The first of several that are as large.
    let largest = lags.into_iter().rev().max_by_key(|lag| lag.lag);
    let largest = largest.ok_or_else(|| RestError::not_found(format!("Consumer group {group} has committed nothing.")))?;
    let place = scope.place.group(&group);
    let data = ConsumerGroupLagSummaryData {
        max_lag_consumer: place.within("consumers", "consumer", &largest.consumer_id).related(),
        max_lag_partition: scope.place.partition(&largest.topic_name, largest.partition_id).related(),
        cluster_id: largest.cluster_id,
        consumer_group_id: group,
        max_lag_consumer_id: largest.consumer_id,
        max_lag_instance_id: largest.instance_id,
        max_lag_client_id: largest.client_id,
        max_lag_topic_name: largest.topic_name,
        max_lag_partition_id: largest.partition_id,
        max_lag: largest.lag,
        total_lag,
    };
    Ok(json(&place.only("lag-summary").holds(data)))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/consumer-groups/{group}/lags",
    operation_id = "v3_lags_list",
    tag = "v3 consumer groups",
    params(("cluster" = String, Path), ("group" = String, Path)),
    responses((status = 200, description = "The lag of each partition", body = Collection<ConsumerLagData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(scope: Scope, Segments((_, group)): Segments<(String, String)>) -> Answer {
    let lags = lags_of(&scope, &group, |_| true).await?;
    let shown = lags.into_iter().map(|lag| shown(&scope, lag));
    Ok(scope.place.group(&group).all("lags", shown.collect()))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/consumer-groups/{group}/lags/{topic}/partitions/{partition}",
    operation_id = "v3_lags_get",
    tag = "v3 consumer groups",
    params(("cluster" = String, Path), ("group" = String, Path), ("topic" = String, Path), ("partition" = i32, Path)),
    responses((status = 200, description = "The lag", body = Resource<ConsumerLagData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn get(scope: Scope, Segments((_, group, topic, index)): Segments<(String, String, String, i32)>) -> Answer {
    let wanted = TopicPartition::new(topic, index);
    let found = lags_of(&scope, &group, |tp| *tp == wanted).await?.into_iter().next();
    let lag = found.ok_or_else(|| RestError::not_found(format!("Consumer group {group} has committed nothing for {wanted}.")))?;
    Ok(json(&shown(&scope, lag)))
}

/// Of each partition that the group has committed an offset for, in their order.
async fn lags_of(scope: &Scope, group: &str, wanted: impl Fn(&TopicPartition) -> bool) -> Result<Vec<ConsumerLagData>, RestError> {
    let description = describe(scope, group).await?;
    let mut committed = scope.admin.list_group_offsets(&[group.to_owned()]).await?;
    let mut committed: GroupOffsets = committed.remove(group).ok_or_else(RestError::no_group)??;
    committed.retain(|tp, _| wanted(tp));
    let ends: BTreeMap<TopicPartition, i64> = committed.keys().map(|tp| (tp.clone(), at::LATEST)).collect();
    let ends = scope.admin.list_offsets(&ends, IsolationLevel::ReadUncommitted).await?;
    let mut lags = Vec::with_capacity(committed.len());
    for (tp, committed) in committed {
        // A topic that is deleted has no end to be behind.
        let Some(Ok(end)) = ends.get(&tp) else { continue };
        let member = reader_of(&description, &tp);
        lags.push(ConsumerLagData {
            cluster_id: scope.cluster_id.clone(),
            consumer_group_id: group.to_owned(),
            topic_name: tp.topic.to_string(),
            partition_id: tp.partition,
            current_offset: committed.offset,
            log_end_offset: end.offset,
            lag: (end.offset - committed.offset).max(0),
            consumer_id: member.map_or_else(String::new, |member| member.id.clone()),
            instance_id: member.and_then(|member| member.instance_id.clone()),
            client_id: member.map_or_else(String::new, |member| member.client_id.clone()),
        });
    }
    Ok(lags)
}

fn reader_of<'a>(description: &'a GroupDescription, tp: &TopicPartition) -> Option<&'a MemberDescription> {
    description
        .members
        .iter()
        .find(|member| member.assignment.binary_search(tp).is_ok())
}

fn shown(scope: &Scope, lag: ConsumerLagData) -> Resource<ConsumerLagData> {
    let place = scope.place.group(&lag.consumer_group_id);
    place.lag(&lag.topic_name, lag.partition_id).holds(lag)
}
