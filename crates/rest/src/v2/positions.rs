//! Where an instance goes on reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use dohle_client::TopicPartition;
use dohle_client::admin::offsets::at;
use dohle_client::consumer::OffsetAndMetadata;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{PartitionName, Partitions};
use crate::answer::{Answer, Segments, no_content};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};
use crate::offsets::offsets_at;
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
            // Before 1970 they mean other things.
            .filter(|&ms| ms >= 0)
            .ok_or_else(|| RestError::bad_request(format!("timestamp={} is not a time in ISO 8601 since 1970.", wish.timestamp)))?;
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
    instance
        .unless_closed(async {
            // Asked first, so that a partition that nobody knows is not looked for.
            let partitions: Vec<TopicPartition> = wishes.iter().map(|(tp, _, _)| tp.clone()).collect();
            visit.reader().must_have(&partitions).await?;
            let times = found_times(proxy, &wishes).await?;
            let offsets = wishes.into_iter().map(|(tp, target, metadata)| {
                let offset = match target {
                    Target::Offset(offset) => offset,
                    Target::Time(_) => times[&tp],
                };
                let offset = OffsetAndMetadata {
                    metadata,
                    ..OffsetAndMetadata::new(offset)
                };
                (tp, offset)
            });
            visit.reader().seek(offsets.collect())
        })
        .await?;
    Ok(no_content())
}

/// The offsets of all that is wished for by time; the end where no record is that late.
async fn found_times(proxy: &Proxy, wishes: &Wishes) -> Result<BTreeMap<TopicPartition, i64>, RestError> {
    let times = wishes.iter().filter_map(|(tp, target, _)| match target {
        Target::Time(time) => Some((tp.clone(), *time)),
        Target::Offset(_) => None,
    });
    let admin = proxy.admin().await?;
    let mut found = offsets_at(&admin, &times.collect()).await?;
    let too_late = found.iter().filter(|(_, offset)| **offset == -1);
    let ends = too_late.map(|(tp, _)| (tp.clone(), at::LATEST)).collect();
    found.extend(offsets_at(&admin, &ends).await?);
    Ok(found)
}
