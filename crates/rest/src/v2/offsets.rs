//! What an instance's group has committed.

use std::sync::Arc;

use axum::extract::State;
use dohle_client::consumer::{OffsetAndMetadata, Offsets};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PartitionName, Partitions};
use crate::answer::{Answer, Parameters, Segments, json};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};
use crate::proxy::Proxy;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CommitRequest {
    offsets: Vec<CommitWish>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CommitWish {
    topic: String,
    partition: i32,
    /// Of the last record that is done with: the next one is committed.
    offset: i64,
    metadata: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CommitParameters {
    r#async: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Committed {
    offsets: Vec<CommittedOffset>,
}

#[derive(Serialize, ToSchema)]
struct CommittedOffset {
    topic: String,
    partition: i32,
    offset: i64,
    metadata: String,
}

#[utoipa::path(
    post,
    path = "/consumers/{group}/instances/{instance}/offsets",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path), ("async" = Option<String>, Query)),
    request_body(content = Option<CommitRequest>, content_type = "application/vnd.kafka.v2+json", description = "The request"),
    responses((status = 200, description = "Committed", body = Vec<Object>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn commit(
    State(proxy): State<Arc<Proxy>>,
    Segments((group, id)): Segments<(String, String)>,
    Parameters(parameters): Parameters<CommitParameters>,
    body: RequestBody,
) -> Answer {
    let instance = proxy.instances.find(&group, &id)?;
    let offsets = if body.is_empty() { None } else { Some(wanted(body.parse()?)?) };
    let wait = parameters.r#async.as_deref() != Some("true");
    let mut visit = instance.visit(&proxy).await?;
    let seen = visit.seen();
    instance.unless_closed(visit.reader().commit(offsets, wait, seen)).await?;
    Ok(json(&[(); 0]))
}

fn wanted(request: CommitRequest) -> Result<Offsets, RestError> {
    let wishes = request.offsets.into_iter().map(|wish| {
        let tp = PartitionName {
            topic: wish.topic,
            partition: wish.partition,
        };
        let next = wish.offset.checked_add(1).filter(|next| *next > 0);
        let next = next.ok_or_else(|| RestError::unprocessable("offset must be greater than or equal to 0"))?;
        let offset = OffsetAndMetadata {
            metadata: wish.metadata.unwrap_or_default(),
            ..OffsetAndMetadata::new(next)
        };
        Ok((tp.checked()?, offset))
    });
    wishes.collect()
}

/// The partitions stand in the body; those without a committed offset are left out of the answer.
#[utoipa::path(
    get,
    path = "/consumers/{group}/instances/{instance}/offsets",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    request_body(content = Partitions, content_type = "application/vnd.kafka.v2+json", description = "The request"),
    responses((status = 200, description = "What is committed", body = Committed), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn committed(
    State(proxy): State<Arc<Proxy>>,
    Segments((group, id)): Segments<(String, String)>,
    body: RequestBody,
) -> Answer {
    let instance = proxy.instances.find(&group, &id)?;
    if body.is_empty() {
        return Err(RestError::no_partition());
    }
    let partitions = body.parse::<Partitions>()?.checked()?;
    let committed = instance.visit(&proxy).await?.reader().committed(&partitions);
    let committed = committed.await?.into_iter().map(|(tp, committed)| CommittedOffset {
        topic: tp.topic.to_string(),
        partition: tp.partition,
        offset: committed.offset,
        metadata: committed.metadata,
    });
    Ok(json(&Committed {
        offsets: committed.collect(),
    }))
}
