//! One record of version 3: as it is asked for, and what is said of it when it is written.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dohle_client::ProducerRecord;
use dohle_client::producer::RecordMetadata;
use dohle_protocol::record::Header;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::error::RestError;
use crate::format::Format;
use crate::time_text;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordRequest<'a> {
    /// Of an entry in a batch.
    pub(super) id: Option<String>,
    partition_id: Option<i32>,
    #[serde(default)]
    headers: Vec<HeaderRequest>,
    #[serde(borrow)]
    key: Option<DataRequest<'a>>,
    #[serde(borrow)]
    value: Option<DataRequest<'a>>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderRequest {
    name: String,
    value: Option<String>,
}

/// Null and nothing are the same everywhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataRequest<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject: Option<String>,
    subject_name_strategy: Option<String>,
    schema_id: Option<i64>,
    schema_version: Option<i64>,
    schema: Option<String>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// What of a record is said again in the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    key: Option<DataShape>,
    value: Option<DataShape>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct DataShape {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Bytes as they are stored.
    size: usize,
}

#[derive(Serialize, ToSchema)]
pub(super) struct WrittenRecord {
    cluster_id: String,
    topic_name: String,
    partition_id: i32,
    offset: i64,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<DataShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<DataShape>,
}

impl WrittenRecord {
    pub(super) fn new(cluster_id: &str, written: &RecordMetadata, shape: Shape) -> WrittenRecord {
        WrittenRecord {
            cluster_id: cluster_id.to_owned(),
            topic_name: written.partition.topic.to_string(),
            partition_id: written.partition.partition,
            offset: written.offset,
            timestamp: time_text::of_ms(written.timestamp_ms),
            key: shape.key,
            value: shape.value,
        }
    }
}

impl RecordRequest<'_> {
    /// `body` is what the request was parsed from.
    pub(super) fn decode(&self, topic: &Arc<str>, body: &Bytes) -> Result<(ProducerRecord, Shape), RestError> {
        if self.partition_id.is_some_and(|partition| partition < 0) {
            return Err(RestError::unprocessable("partition_id must be greater than or equal to 0"));
        }
        let (key, key_shape) = decode_data(self.key.as_ref(), body)?;
        let (value, value_shape) = decode_data(self.value.as_ref(), body)?;
        let record = ProducerRecord {
            partition: self.partition_id,
            timestamp_ms: self.timestamp.map(decode_timestamp).transpose()?,
            headers: self.headers.iter().map(HeaderRequest::decode).collect::<Result<_, _>>()?,
            ..ProducerRecord::new(topic.clone(), key, value)
        };
        let shape = Shape {
            key: key_shape,
            value: value_shape,
        };
        Ok((record, shape))
    }
}

impl HeaderRequest {
    fn decode(&self) -> Result<Header, RestError> {
        let bad = |text: &str| RestError::bad_request(format!("header value={text} is not a valid base64 string."));
        let decode = |text: &String| STANDARD.decode(text.as_bytes()).map_err(|_| bad(text));
        Ok(Header {
            key: Bytes::from(self.name.clone()),
            value: self.value.as_ref().map(decode).transpose()?.map(Bytes::from),
        })
    }
}

fn decode_data(data: Option<&DataRequest<'_>>, body: &Bytes) -> Result<(Option<Bytes>, Option<DataShape>), RestError> {
    let Some(data) = data else { return Ok((None, None)) };
    let by_number = data.schema_id.is_some() || data.schema_version.is_some();
    let by_name = data.subject.is_some() || data.subject_name_strategy.is_some() || data.schema.is_some();
    let (format, kind) = match data.kind.as_deref() {
        Some("AVRO" | "JSONSCHEMA" | "PROTOBUF") => return Err(no_registry()),
        _ if by_number || by_name => return Err(no_registry()),
        Some("BINARY") => (Format::Binary, "BINARY"),
        Some("JSON") => (Format::Json, "JSON"),
        Some("STRING") => (Format::Text, "STRING"),
        Some(other) => return Err(RestError::bad_request(format!("There is no type {other:?}."))),
        None => return Err(RestError::payload("Without a schema the type must be BINARY, JSON or STRING.")),
    };
    let bytes = format.decode(data.data, body)?;
    let size = bytes.as_ref().map_or(0, Bytes::len);
    Ok((bytes, Some(DataShape { kind, size })))
}

fn no_registry() -> RestError {
    RestError::payload("Schema Registry must be configured when using schemas.")
}

/// ISO 8601 text, or milliseconds since 1970.
fn decode_timestamp(value: &RawValue) -> Result<i64, RestError> {
    let text = value.get();
    let ms = match serde_json::from_str::<String>(text) {
        Ok(text) => time_text::parse_ms(&text),
        Err(_) => text.parse().ok(),
    };
    let ms = ms.filter(|&ms| ms >= 0);
    ms.ok_or_else(|| RestError::bad_request(format!("timestamp={text} is not a time such as \"2024-02-29T12:00:00.5Z\".")))
}
