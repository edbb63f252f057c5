//! Version 2 of the API. One file per subject; this is the list of its endpoints.

use std::sync::Arc;

use dohle_client::TopicPartition;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{check_topic, json};
use crate::error::{ErrorBody, RestError};
use crate::proxy::Proxy;

mod consumers;
mod offsets;
mod partition_records;
mod positions;
mod produce;
mod records;
mod subscriptions;
mod topics;

pub(crate) use produce::wait_for_topic;

pub(crate) fn routes() -> OpenApiRouter<Arc<Proxy>> {
    OpenApiRouter::new()
        .routes(routes!(root, root_posted))
        .routes(routes!(topics::brokers))
        .routes(routes!(topics::list))
        .routes(routes!(topics::describe, produce::to_topic))
        .routes(routes!(topics::partitions))
        .routes(routes!(topics::partition, produce::to_partition))
        .routes(routes!(topics::offsets))
        .routes(routes!(partition_records::read))
        .routes(routes!(consumers::create))
        .routes(routes!(consumers::delete))
        .routes(routes!(
            subscriptions::subscription,
            subscriptions::subscribe,
            subscriptions::unsubscribe
        ))
        .routes(routes!(subscriptions::assignments, subscriptions::assign))
        .routes(routes!(records::read))
        .routes(routes!(offsets::committed, offsets::commit))
        .routes(routes!(positions::seek))
        .routes(routes!(positions::seek_to_beginning))
        .routes(routes!(positions::seek_to_end))
}

/// Says that somebody is there.
#[utoipa::path(
    get,
    path = "/",
    tag = "operations",
    responses((status = 200, description = "Somebody is there", body = Object), (status = "default", description = "An error", body = ErrorBody))
)]
async fn root() -> axum::response::Response {
    json(&std::collections::BTreeMap::<(), ()>::new())
}

#[utoipa::path(
    post,
    path = "/",
    tag = "operations",
    responses((status = 200, description = "Somebody is there", body = Object), (status = "default", description = "An error", body = ErrorBody))
)]
async fn root_posted() -> axum::response::Response {
    root().await
}

/// `{"topic":"t","partition":0}`, in requests and answers alike.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PartitionName {
    topic: String,
    partition: i32,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Partitions {
    partitions: Vec<PartitionName>,
}

impl Partitions {
    fn checked(self) -> Result<Vec<TopicPartition>, RestError> {
        self.partitions.into_iter().map(PartitionName::checked).collect()
    }
}

impl PartitionName {
    fn checked(self) -> Result<TopicPartition, RestError> {
        check_topic(&self.topic)?;
        Ok(TopicPartition::new(self.topic, self.partition))
    }
}

impl From<&TopicPartition> for PartitionName {
    fn from(tp: &TopicPartition) -> PartitionName {
        PartitionName {
            topic: tp.topic.to_string(),
            partition: tp.partition,
        }
    }
}

/// Numbers and booleans that many clients write as strings.
fn plain_text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}
