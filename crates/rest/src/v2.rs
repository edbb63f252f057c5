//! Version 2 of the API. One file per subject; this is the list of its endpoints.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use dohle_client::TopicPartition;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer::{check_topic, json};
use crate::error::RestError;
use crate::proxy::Proxy;

mod consumers;
mod offsets;
mod partition_records;
mod positions;
mod produce;
mod records;
mod subscriptions;
mod topics;

pub(crate) fn routes() -> Router<Arc<Proxy>> {
    const INSTANCE: &str = "/consumers/{group}/instances/{instance}";
    let instance = Router::new()
        .route("/", axum::routing::delete(consumers::delete))
        .route(
            "/subscription",
            get(subscriptions::subscription)
                .post(subscriptions::subscribe)
                .delete(subscriptions::unsubscribe),
        )
        .route("/assignments", get(subscriptions::assignments).post(subscriptions::assign))
        .route("/records", get(records::read))
        .route("/offsets", get(offsets::committed).post(offsets::commit))
        .route("/positions", post(positions::seek))
        .route("/positions/beginning", post(positions::seek_to_beginning))
        .route("/positions/end", post(positions::seek_to_end));
    Router::new()
        .route("/", get(root).post(root))
        .route("/brokers", get(topics::brokers))
        .route("/topics", get(topics::list))
        .route("/topics/{topic}", get(topics::describe).post(produce::to_topic))
        .route("/topics/{topic}/partitions", get(topics::partitions))
        .route(
            "/topics/{topic}/partitions/{partition}",
            get(topics::partition).post(produce::to_partition),
        )
        .route("/topics/{topic}/partitions/{partition}/offsets", get(topics::offsets))
        .route("/topics/{topic}/partitions/{partition}/records", get(partition_records::read))
        .route("/consumers/{group}", post(consumers::create))
        .nest(INSTANCE, instance)
}

/// Says that somebody is there.
async fn root() -> axum::response::Response {
    json(&std::collections::BTreeMap::<(), ()>::new())
}

/// `{"topic":"t","partition":0}`, in requests and answers alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartitionName {
    topic: String,
    partition: i32,
}

#[derive(Serialize, Deserialize)]
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
