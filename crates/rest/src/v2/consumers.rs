//! Consumer instances come and go.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::plain_text;
use crate::answer::{Answer, Segments, check_name, escaped, json, no_content};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};
use crate::format::Format;
use crate::instance::InstanceSettings;
use crate::proxy::Proxy;

const FETCH_BYTES_MIN: std::ops::RangeInclusive<i64> = -1..=10_000_000;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateRequest<'a> {
    id: Option<String>,
    name: Option<String>,
    format: Option<String>,
    #[serde(rename = "auto.offset.reset")]
    offset_reset: Option<String>,
    #[serde(rename = "auto.commit.enable", borrow, default)]
    #[schema(value_type = Option<String>)]
    auto_commit: Option<&'a RawValue>,
    #[serde(rename = "fetch.min.bytes", borrow, default)]
    #[schema(value_type = Option<String>)]
    fetch_bytes_min: Option<&'a RawValue>,
    #[serde(rename = "consumer.request.timeout.ms", borrow, default)]
    #[schema(value_type = Option<String>)]
    request_timeout_ms: Option<&'a RawValue>,
}

#[derive(Serialize, ToSchema)]
struct Created<'a> {
    instance_id: &'a str,
    base_uri: String,
}

#[utoipa::path(
    post,
    path = "/consumers/{group}",
    tag = "consumers",
    params(("group" = String, Path)),
    request_body(content = CreateRequest, content_type = "application/vnd.kafka.v2+json", description = "The request"),
    responses((status = 200, description = "The new instance", body = Created), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn create(State(proxy): State<Arc<Proxy>>, Segments(group): Segments<String>, body: RequestBody) -> Answer {
    check_name(&group)?;
    let request = if body.is_empty() { CreateRequest::default() } else { body.parse()? };
    let settings = settings(&group, &request)?;
    let id = match request.id.or(request.name) {
        Some(id) => id,
        None => {
            let server = proxy.config.id.as_ref().map(|id| format!("{id}-")).unwrap_or_default();
            format!("rest-consumer-{server}{}", Uuid::new_v4())
        }
    };
    check_name(&id)?;
    proxy.instances.create(&group, &id, settings)?;
    let base_uri = format!(
        "{}/consumers/{}/instances/{}",
        proxy.config.advertised,
        escaped(&group),
        escaped(&id)
    );
    Ok(json(&Created {
        instance_id: &id,
        base_uri,
    }))
}

fn settings(group: &str, request: &CreateRequest<'_>) -> Result<InstanceSettings, RestError> {
    let format = match request.format.as_deref().unwrap_or("binary") {
        schema @ ("avro" | "jsonschema" | "protobuf") => {
            return Err(RestError::invalid_consumer_config(format!(
                "the format {schema} needs a schema registry, and there is none"
            )));
        }
        name => Format::of(name).ok_or_else(|| RestError::unprocessable(format!("Invalid format type: {name}")))?,
    };
    let offset_reset = request.offset_reset.as_deref().unwrap_or("latest");
    if !matches!(offset_reset, "earliest" | "latest" | "none") {
        return Err(RestError::invalid_consumer_config(format!(
            "Invalid value {offset_reset} for configuration auto.offset.reset: String must be one of: latest, earliest, none"
        )));
    }
    let auto_commit = match request.auto_commit.map(plain_text).as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(other) => {
            return Err(RestError::invalid_consumer_config(format!(
                "Invalid value {other} for configuration enable.auto.commit: Expected value to be either true or false"
            )));
        }
    };
    let fetch_bytes_min = number("fetch.min.bytes", request.fetch_bytes_min, FETCH_BYTES_MIN)?.unwrap_or(-1);
    let request_timeout_ms = number("consumer.request.timeout.ms", request.request_timeout_ms, 0..=i64::from(i32::MAX))?;
    Ok(InstanceSettings {
        group: group.to_owned(),
        format,
        offset_reset: offset_reset.to_owned(),
        auto_commit,
        fetch_bytes_min: usize::try_from(fetch_bytes_min).unwrap_or(0),
        request_timeout: request_timeout_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
    })
}

fn number(key: &str, value: Option<&RawValue>, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, RestError> {
    let Some(text) = value.map(plain_text) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| range.contains(number));
    let allowed = || RestError::constraint(format!("{key} must be between {} and {}, not {text}", range.start(), range.end()));
    number.map(Some).ok_or_else(allowed)
}

/// The instance is gone at once; its records that were sent count as received.
#[utoipa::path(
    delete,
    path = "/consumers/{group}/instances/{instance}",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    responses((status = 204, description = "Done"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn delete(State(proxy): State<Arc<Proxy>>, Segments((group, id)): Segments<(String, String)>) -> Answer {
    proxy.instances.delete(&group, &id).await?;
    Ok(no_content())
}
