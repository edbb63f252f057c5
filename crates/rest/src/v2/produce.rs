//! Records into a topic, or into one of its partitions.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dohle_client::ProducerRecord;
use dohle_client::producer::{Delivery, ProduceError, RecordMetadata};
use dohle_protocol::ErrorCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::answer::{Answer, Segments, check_topic, json};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};
use crate::format::Format;
use crate::limits::TOPIC_WAIT_MAX;
use crate::media::Media;
use crate::proxy::Proxy;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProduceRequest<R> {
    records: Vec<R>,
    #[serde(default)]
    key_schema: Option<String>,
    #[serde(default)]
    key_schema_id: Option<i64>,
    #[serde(default)]
    value_schema: Option<String>,
    #[serde(default)]
    value_schema_id: Option<i64>,
}

/// Null and nothing are the same.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicRecord<'a> {
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(default)]
    partition: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartitionRecord<'a> {
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

#[derive(Serialize, ToSchema)]
struct ProduceAnswer {
    offsets: Vec<RecordOutcome>,
    key_schema_id: Option<i64>,
    value_schema_id: Option<i64>,
}

#[derive(Serialize, ToSchema)]
struct RecordOutcome {
    partition: Option<i32>,
    offset: Option<i64>,
    error_code: Option<u32>,
    error: Option<String>,
}

#[utoipa::path(
    post,
    path = "/topics/{topic}",
    tag = "records",
    params(("topic" = String, Path)),
    request_body(content = Object, content_type = "application/vnd.kafka.json.v2+json", description = "Records; the content type names their format"),
    responses((status = 200, description = "What became of each record", body = ProduceAnswer), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn to_topic(State(proxy): State<Arc<Proxy>>, Segments(topic): Segments<String>, body: RequestBody) -> Answer {
    check_topic(&topic)?;
    must_hold_records(&body)?;
    let request: ProduceRequest<TopicRecord> = body.parse()?;
    let topic = Arc::from(topic);
    let records = decode(&topic, &body, &request)?;
    wait_for_topic(&proxy, &topic).await?;
    produce(&proxy, records, body).await
}

#[utoipa::path(
    post,
    path = "/topics/{topic}/partitions/{partition}",
    tag = "records",
    params(("topic" = String, Path), ("partition" = i32, Path)),
    request_body(content = Object, content_type = "application/vnd.kafka.json.v2+json", description = "Records; the content type names their format"),
    responses((status = 200, description = "What became of each record", body = ProduceAnswer), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn to_partition(
    State(proxy): State<Arc<Proxy>>,
    Segments((topic, partition)): Segments<(String, i32)>,
    body: RequestBody,
) -> Answer {
    check_topic(&topic)?;
    must_hold_records(&body)?;
    let request: ProduceRequest<PartitionRecord> = body.parse()?;
    let request = ProduceRequest {
        records: request
            .records
            .iter()
            .map(|record| TopicRecord {
                key: record.key,
                value: record.value,
                partition: Some(partition),
            })
            .collect(),
        key_schema: request.key_schema,
        key_schema_id: request.key_schema_id,
        value_schema: request.value_schema,
        value_schema_id: request.value_schema_id,
    };
    let topic = Arc::from(topic);
    let records = decode(&topic, &body, &request)?;
    let known = wait_for_topic(&proxy, &topic).await?;
    if usize::try_from(partition).is_ok_and(|index| index < known) {
        return produce(&proxy, records, body).await;
    }
    Err(RestError::no_partition())
}

/// The content type is refused whatever the body is.
fn must_hold_records(body: &RequestBody) -> Result<(), RestError> {
    match body.media() {
        Some(Media::Kafka) => Err(RestError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        _ => Ok(()),
    }
}

/// All or nothing: a record that cannot be decoded keeps the others from being written.
fn decode(topic: &Arc<str>, body: &RequestBody, request: &ProduceRequest<TopicRecord<'_>>) -> Result<Vec<ProducerRecord>, RestError> {
    let format = match body.media() {
        Some(Media::Embedded(format)) => format,
        Some(Media::Json) => Format::Json,
        Some(Media::Schema) => return Err(schema_refusal(request)),
        Some(Media::Kafka) | None => return Err(RestError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
    };
    if request.records.is_empty() {
        return Err(RestError::unprocessable("records may not be empty"));
    }
    let bytes = body.bytes();
    let decoded = request.records.iter().map(|record| {
        let decoded = ProducerRecord::new(
            topic.clone(),
            format.decode(record.key, bytes)?,
            format.decode(record.value, bytes)?,
        );
        match record.partition {
            Some(partition) if partition < 0 => Err(RestError::unprocessable("partition must be greater than or equal to 0")),
            partition => Ok(ProducerRecord { partition, ..decoded }),
        }
    });
    decoded.collect()
}

fn schema_refusal(request: &ProduceRequest<TopicRecord<'_>>) -> RestError {
    let has_key_schema = request.key_schema.is_some() || request.key_schema_id.is_some();
    let has_value_schema = request.value_schema.is_some() || request.value_schema_id.is_some();
    if request.records.iter().any(|record| record.key.is_some()) && !has_key_schema {
        return RestError::key_schema_missing();
    }
    if request.records.iter().any(|record| record.value.is_some()) && !has_value_schema {
        return RestError::value_schema_missing();
    }
    RestError::serialization("Records with schemas cannot be written: there is no schema registry.")
}

async fn produce(proxy: &Proxy, records: Vec<ProducerRecord>, body: RequestBody) -> Result<Response, RestError> {
    let producer = proxy.producer().await?;
    let mut sent: Vec<Result<Delivery, ProduceError>> = Vec::with_capacity(records.len());
    for record in records {
        sent.push(producer.send(record).await);
    }
    // From here on the producer's buffer counts the bytes.
    drop(body);
    let mut offsets = Vec::with_capacity(sent.len());
    let mut status = StatusCode::OK;
    let mut failures = 0;
    for delivery in sent {
        let outcome = match delivery {
            Ok(delivery) => delivery.wait().await,
            Err(error) => Err(error),
        };
        let outcome = shown(outcome);
        failures += u64::from(outcome.error_code.is_some());
        status = match outcome.error_code {
            Some(40101) => StatusCode::UNAUTHORIZED,
            Some(40301) => StatusCode::FORBIDDEN,
            _ => status,
        };
        offsets.push(outcome);
    }
    proxy.metrics.produce_failures.inc_by(failures);
    proxy.metrics.produced.inc_by(offsets.len() as u64 - failures);
    let mut response = json(&ProduceAnswer {
        offsets,
        key_schema_id: None,
        value_schema_id: None,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// The number of the topic's partitions; it is created if the cluster does so.
pub(crate) async fn wait_for_topic(proxy: &Proxy, topic: &Arc<str>) -> Result<usize, RestError> {
    let waited = proxy.cluster().await?.wait_for_topic(topic, true, TOPIC_WAIT_MAX).await;
    match waited {
        Ok(metadata) => Ok(metadata.topic(topic).map_or(0, |topic| topic.partitions.len())),
        Err(dohle_client::ClientError::Incomplete(_)) => Err(RestError::no_topic()),
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => Err(RestError::no_topic()),
        Err(error) => Err(error.into()),
    }
}

fn shown(outcome: Result<RecordMetadata, ProduceError>) -> RecordOutcome {
    let error = match outcome {
        Ok(written) => {
            return RecordOutcome {
                partition: Some(written.partition.partition),
                offset: Some(written.offset),
                error_code: None,
                error: None,
            };
        }
        Err(error) => error,
    };
    let text = error.to_string();
    RecordOutcome {
        partition: None,
        offset: None,
        error_code: Some(RestError::from(error).code_of_record()),
        error: Some(text),
    }
}
