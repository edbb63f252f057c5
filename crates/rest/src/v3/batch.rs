//! A few records, each with an id that its answer has too.

use std::collections::HashSet;
use std::sync::Arc;

use axum::http::StatusCode;
use dohle_client::producer::Delivery;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parse;
use super::record::{RecordRequest, Shape, WrittenRecord};
use super::scope::Scope;
use crate::answer::{Answer, Segments, check_topic, json};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};
use crate::limits::{BATCH_ENTRIES_MAX, BATCH_ID_BYTES_MAX};
use crate::v2::wait_for_topic;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchRequest<'a> {
    #[serde(borrow)]
    entries: Vec<RecordRequest<'a>>,
}

#[derive(Default, Serialize, ToSchema)]
struct BatchAnswer {
    successes: Vec<BatchSuccess>,
    failures: Vec<BatchFailure>,
}

#[derive(Serialize, ToSchema)]
struct BatchSuccess {
    id: String,
    #[serde(flatten)]
    record: WrittenRecord,
}

#[derive(Serialize, ToSchema)]
struct BatchFailure {
    id: String,
    error_code: u32,
    message: String,
}

#[utoipa::path(
    post,
    path = "/v3/clusters/{cluster}/topics/{topic}/records:batch",
    operation_id = "v3_batch_produce",
    tag = "v3 records",
    params(("cluster" = String, Path), ("topic" = String, Path)),
    request_body(content = Object, content_type = "application/json", description = "Records with ids, as entries"),
    responses((status = 207, description = "Which records are written, and which are not", body = BatchAnswer), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn produce(scope: Scope, Segments((_, topic)): Segments<(String, String)>, body: RequestBody) -> Answer {
    check_topic(&topic)?;
    let topic = Arc::from(topic);
    let request: BatchRequest = parse(&body)?;
    let ids = ids(&request)?;
    let decoded: Vec<_> = request.entries.iter().map(|entry| entry.decode(&topic, body.bytes())).collect();
    if decoded.iter().any(Result::is_ok) {
        wait_for_topic(&scope.proxy, &topic).await?;
    }
    let producer = scope.proxy.producer().await?;
    let mut sent: Vec<Result<(Delivery, Shape), RestError>> = Vec::with_capacity(decoded.len());
    for entry in decoded {
        sent.push(match entry {
            Ok((record, shape)) => {
                let delivery = producer.send(record).await;
                delivery.map(|delivery| (delivery, shape)).map_err(RestError::from)
            }
            Err(error) => Err(error),
        });
    }
    // From here on the producer's buffer counts the bytes.
    drop(body);
    let cluster_id = scope.cluster_id;
    let mut answer = BatchAnswer::default();
    for (id, sent) in ids.into_iter().zip(sent) {
        let outcome = match sent {
            Ok((delivery, shape)) => {
                let written = delivery.wait().await.map_err(RestError::from);
                written.map(|written| WrittenRecord::new(&cluster_id, &written, shape))
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(record) => answer.successes.push(BatchSuccess { id, record }),
            Err(error) => answer.failures.push(BatchFailure {
                id,
                error_code: error.code(),
                message: error.message().to_owned(),
            }),
        }
    }
    scope.proxy.metrics.produced.inc_by(answer.successes.len() as u64);
    scope.proxy.metrics.produce_failures.inc_by(answer.failures.len() as u64);
    let mut response = json(&answer);
    *response.status_mut() = StatusCode::MULTI_STATUS;
    Ok(response)
}

/// Of all entries; without them nobody could tell the answers apart.
fn ids(request: &BatchRequest<'_>) -> Result<Vec<String>, RestError> {
    match request.entries.len() {
        0 => return Err(RestError::batch("Empty batch.")),
        1..=BATCH_ENTRIES_MAX => {}
        _ => return Err(RestError::batch("Too many entries in batch.")),
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let mut ids = Vec::with_capacity(request.entries.len());
    for entry in &request.entries {
        let id = entry.id.clone().unwrap_or_default();
        if id.is_empty() || id.len() > BATCH_ID_BYTES_MAX || !id.bytes().all(legal) {
            return Err(RestError::batch(format!(
                "A batch entry ID has 1 to {BATCH_ID_BYTES_MAX} letters, digits, hyphens and underscores."
            )));
        }
        ids.push(id);
    }
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        return Err(RestError::batch("Batch entry IDs are not distinct."));
    }
    Ok(ids)
}
