//! Reading a partition from an offset, without an instance, a group, or anything that lives between requests.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use dohle_client::consumer::{ConsumeError, StartAt};
use dohle_client::{ConsumerConfig, ConsumerRecord, TopicPartition};
use serde::Deserialize;
use tokio::time::Instant;

use super::records::{Include, render};
use super::topics::must_exist;
use crate::answer::{Answer, Parameters, Segments, records};
use crate::error::{ErrorBody, RestError};
use crate::format::Format;
use crate::limits::{FETCH_BYTES_MAX, POLL_RECORDS_MAX, READ_BYTES_MAX, READ_RECORDS_MAX, READ_TIMEOUT_MAX};
use crate::media::Accepted;
use crate::proxy::Proxy;
use crate::reader::size_of;

#[derive(Deserialize)]
pub(super) struct PartitionReadParameters {
    /// Of the first record wanted; without it the first there is.
    offset: Option<i64>,
    count: Option<usize>,
    /// Milliseconds.
    timeout: Option<u64>,
    include: Option<String>,
}

#[utoipa::path(
    get,
    operation_id = "read_partition",
    path = "/topics/{topic}/partitions/{partition}/records",
    tag = "records",
    params(("topic" = String, Path), ("partition" = i32, Path), ("offset" = Option<i64>, Query), ("count" = Option<u32>, Query), ("timeout" = Option<u64>, Query), ("include" = Option<String>, Query)),
    responses((status = 200, description = "Records from an offset on", body = Vec<Object>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn read(
    State(proxy): State<Arc<Proxy>>,
    Segments((topic, index)): Segments<(String, i32)>,
    Parameters(parameters): Parameters<PartitionReadParameters>,
    Extension(accepted): Extension<Arc<Accepted>>,
) -> Answer {
    let formats = [Format::Binary, Format::Json, Format::Text];
    let format = formats.into_iter().find_map(|format| Some((format, accepted.records(format)?)));
    let (format, content_type) = format.ok_or_else(RestError::format_mismatch)?;
    let include = Include::of(parameters.include.as_deref().unwrap_or_default())?;
    if parameters.offset.is_some_and(|offset| offset < 0) {
        return Err(RestError::unprocessable("offset must be greater than or equal to 0"));
    }
    must_exist(&proxy, &topic, index).await?;
    let read = proxy.begin_read()?;
    let start = parameters.offset.map_or(StartAt::Earliest, StartAt::Offset);
    let tp = TopicPartition::new(topic, index);
    let gathered = gather(&proxy, tp, start, &parameters).await?;
    let bytes = proxy.answers.take(gathered.iter().map(size_of).sum())?;
    let mut body = vec![b'['];
    for (position, record) in gathered.iter().enumerate() {
        match render(record, format, include, &mut body) {
            Ok(()) => proxy.metrics.consumed.inc(),
            Err(error) if position == 0 => return Err(error),
            // The next request begins with it, and is told.
            Err(_) => break,
        };
    }
    body.push(b']');
    Ok(records(body, content_type, [read, bytes]))
}

/// Waits for the first record, and takes what has arrived along with it.
async fn gather(
    proxy: &Proxy,
    tp: TopicPartition,
    start: StartAt,
    parameters: &PartitionReadParameters,
) -> Result<Vec<ConsumerRecord>, RestError> {
    let count = parameters.count.unwrap_or(POLL_RECORDS_MAX).min(READ_RECORDS_MAX);
    let timeout = parameters.timeout.map_or(proxy.config.request_timeout, Duration::from_millis);
    let deadline = Instant::now() + timeout.min(READ_TIMEOUT_MAX);
    let mut properties = proxy.client_properties();
    properties.set("auto.offset.reset", "none");
    properties.set("max.poll.records", count.clamp(1, POLL_RECORDS_MAX).to_string());
    properties.set_default("fetch.max.bytes", FETCH_BYTES_MAX.to_string());
    let config = ConsumerConfig::from_properties(&properties).map_err(RestError::kafka)?;
    let mut consumer = proxy.consumer(config).await?;
    consumer.assign([(tp, start)]);
    let mut records: Vec<ConsumerRecord> = Vec::new();
    let mut bytes = 0;
    while records.len() < count && bytes < READ_BYTES_MAX {
        let wait = if records.is_empty() {
            deadline.saturating_duration_since(Instant::now())
        } else {
            Duration::ZERO
        };
        let more = match consumer.poll(wait).await {
            Ok(more) => more,
            Err(error @ ConsumeError::OutOfRange { .. }) => return Err(RestError::out_of_range(error)),
            Err(_) if !records.is_empty() => break,
            Err(error) => return Err(error.into()),
        };
        if more.is_empty() {
            break;
        }
        bytes += more.iter().map(size_of).sum::<usize>();
        records.extend(more);
    }
    records.truncate(count);
    Ok(records)
}
