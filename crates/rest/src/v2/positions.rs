//! Where an instance goes on reading.

use std::sync::Arc;

use axum::extract::State;
use dohle_client::TopicPartition;
use dohle_client::admin::offsets::at;
use dohle_client::consumer::{OffsetAndMetadata, Offsets};
use serde::Deserialize;
use utoipa::ToSchema;

use super::topics::offset_at;
use super::{PartitionName, Partitions};
use crate::answer::{Answer, Segments, no_content};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};
use crate::proxy::Proxy;
use crate::time_text;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SeekRequest {
    #[serde(default)]
    offsets: Vec<OffsetWish>,
    #[serde(default)]
    timestamps: Vec<TimeWish>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OffsetWish {
    topic: String,
    partition: i32,
    offset: i64,
    metadata: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TimeWish {
    topic: String,
    partition: i32,
    timestamp: String,
    metadata: Option<String>,
}

/// Where to go, if the partition is assigned.
enum Target {
    Offset(i64),
    Time(i64),
}

type Wishes = Vec<(TopicPartition, Target, String)>;

#[utoipa::path(
    post,
    path = "/consumers/{group}/instances/{instance}/positions",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    request_body(content = SeekRequest, content_type = "application/vnd.kafka.v2+json", description = "The request"),
    responses((status = 204, description = "Done"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn seek(State(proxy): State<Arc<Proxy>>, Segments(name): Segments<(String, String)>, body: RequestBody) -> Answer {
    let request: SeekRequest = body.parse()?;
    let mut wishes = Wishes::new();
    for wish in request.offsets {
        let tp = PartitionName {
            topic: wish.topic,
            partition: wish.partition,
        };
        if wish.offset < 0 {
            return Err(RestError::unprocessable("offset must be greater than or equal to 0"));
        }
        wishes.push((tp.checked()?, Target::Offset(wish.offset), wish.metadata.unwrap_or_default()));
    }
    for wish in request.timestamps {
        let tp = PartitionName {
            topic: wish.topic,
            partition: wish.partition,
        };
        let time_ms = time_text::parse_ms(&wish.timestamp)
            .ok_or_else(|| RestError::bad_request(format!("timestamp={} is not a time in ISO 8601.", wish.timestamp)))?;
        wishes.push((tp.checked()?, Target::Time(time_ms), wish.metadata.unwrap_or_default()));
    }
    go_to(&proxy, name, wishes).await
}

#[utoipa::path(
    post,
    path = "/consumers/{group}/instances/{instance}/positions/beginning",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    request_body(content = Partitions, content_type = "application/vnd.kafka.v2+json", description = "The request"),
    responses((status = 204, description = "Done"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn seek_to_beginning(
    State(proxy): State<Arc<Proxy>>,
    Segments(name): Segments<(String, String)>,
    body: RequestBody,
) -> Answer {
    go_to(&proxy, name, all_at(&body, at::EARLIEST)?).await
}

#[utoipa::path(
    post,
    path = "/consumers/{group}/instances/{instance}/positions/end",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    request_body(content = Partitions, content_type = "application/vnd.kafka.v2+json", description = "The request"),
    responses((status = 204, description = "Done"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn seek_to_end(State(proxy): State<Arc<Proxy>>, Segments(name): Segments<(String, String)>, body: RequestBody) -> Answer {
    go_to(&proxy, name, all_at(&body, at::LATEST)?).await
}

fn all_at(body: &RequestBody, time: i64) -> Result<Wishes, RestError> {
    let partitions = body.parse::<Partitions>()?.checked()?;
    Ok(partitions.into_iter().map(|tp| (tp, Target::Time(time), String::new())).collect())
}

async fn go_to(proxy: &Proxy, (group, id): (String, String), wishes: Wishes) -> Answer {
    let instance = proxy.instances.find(&group, &id)?;
    let mut visit = instance.visit(proxy).await?;
    // Asked first, so that a partition that nobody knows is not looked for.
    let partitions: Vec<TopicPartition> = wishes.iter().map(|(tp, _, _)| tp.clone()).collect();
    tokio::select! {
        had = visit.reader().must_have(&partitions) => had?,
        () = instance.closing() => return Err(RestError::no_instance()),
    }
    let mut offsets = Offsets::new();
    for (tp, target, metadata) in wishes {
        let offset = match target {
            Target::Offset(offset) => offset,
            Target::Time(time) => match offset_at(proxy, &tp, time).await? {
                -1 => offset_at(proxy, &tp, at::LATEST).await?,
                offset => offset,
            },
        };
        let metadata = OffsetAndMetadata {
            metadata,
            ..OffsetAndMetadata::new(offset)
        };
        offsets.insert(tp, metadata);
    }
    visit.reader().seek(offsets)?;
    Ok(no_content())
}
