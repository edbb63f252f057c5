//! Reading.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dohle_client::ConsumerRecord;
use serde::Deserialize;
use std::io::Write;

use crate::answer::{Answer, Parameters, Segments, records};
use crate::error::{ErrorBody, RestError};
use crate::format::{Format, push_string};
use crate::limits::{READ_BYTES_MAX, READ_TIMEOUT_MAX};
use crate::media::Accepted;
use crate::proxy::Proxy;
use crate::reader::ReadWish;

#[derive(Deserialize)]
pub(super) struct ReadParameters {
    /// Milliseconds; negative: as the instance or the server has it.
    timeout: Option<i64>,
    max_bytes: Option<i64>,
    include: Option<String>,
}

/// What is told of a record beyond what always is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Include {
    headers: bool,
    timestamp: bool,
}

#[utoipa::path(
    get,
    operation_id = "read_records",
    path = "/consumers/{group}/instances/{instance}/records",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path), ("timeout" = Option<i64>, Query), ("max_bytes" = Option<i64>, Query), ("include" = Option<String>, Query)),
    responses((status = 200, description = "The next records", body = Vec<Object>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn read(
    State(proxy): State<Arc<Proxy>>,
    Segments((group, id)): Segments<(String, String)>,
    Parameters(parameters): Parameters<ReadParameters>,
    Extension(accepted): Extension<Arc<Accepted>>,
) -> Answer {
    let instance = proxy.instances.find(&group, &id)?;
    let settings = &instance.settings;
    let content_type = accepted.records(settings.format).ok_or_else(RestError::format_mismatch)?;
    let include = Include::of(parameters.include.as_deref().unwrap_or_default())?;
    let wish = wish(&proxy, settings.request_timeout, settings.fetch_bytes_min, &parameters);
    let read = proxy.begin_read()?;
    let mut visit = instance.visit(&proxy).await?;
    let seen = visit.seen();
    let reader = visit.reader();
    instance.unless_closed(reader.read(&wish, seen)).await?;
    let bytes = proxy.answers.take(reader.deliverable_bytes(wish.bytes_max))?;
    let mut body = vec![b'['];
    let count = reader.deliver(wish.bytes_max, |record| render(record, settings.format, include, &mut body))?;
    body.push(b']');
    proxy.metrics.consumed.inc_by(count as u64);
    Ok(records(body, content_type, [read, bytes]))
}

fn wish(proxy: &Proxy, own_timeout: Option<Duration>, bytes_min: usize, parameters: &ReadParameters) -> ReadWish {
    let asked = parameters.timeout.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    let default = own_timeout.unwrap_or(proxy.config.request_timeout).min(READ_TIMEOUT_MAX);
    ReadWish {
        timeout: asked.map(|asked| asked.min(own_timeout.unwrap_or(READ_TIMEOUT_MAX)).min(READ_TIMEOUT_MAX)),
        timeout_default: default,
        bytes_min,
        bytes_max: parameters
            .max_bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map_or(READ_BYTES_MAX, |bytes| bytes.min(READ_BYTES_MAX)),
    }
}

impl Include {
    pub(super) fn of(text: &str) -> Result<Include, RestError> {
        let mut include = Include::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match item {
                "headers" => include.headers = true,
                "timestamp" => include.timestamp = true,
                other => return Err(RestError::bad_request(format!("include={other}: it must be headers or timestamp"))),
            }
        }
        Ok(include)
    }
}

/// Appends one record, or nothing if it cannot be shown.
pub(super) fn render(record: &ConsumerRecord, format: Format, include: Include, out: &mut Vec<u8>) -> Result<(), RestError> {
    let begin = out.len();
    let rendered = try_render(record, format, include, out);
    rendered.map_err(|(what, reason)| {
        out.truncate(begin);
        RestError::serialization(format!(
            "The {what} of the record at offset {} of {}-{} cannot be shown in the format of this instance: {reason}. Seek to go on behind it.",
            record.offset, record.topic, record.partition
        ))
    })
}

fn try_render(record: &ConsumerRecord, format: Format, include: Include, out: &mut Vec<u8>) -> Result<(), (&'static str, String)> {
    if out.len() > 1 {
        out.push(b',');
    }
    out.extend_from_slice(b"{\"topic\":");
    push_string(&record.topic, out);
    out.extend_from_slice(b",\"key\":");
    format.encode(record.key.as_ref(), out).map_err(|reason| ("key", reason))?;
    out.extend_from_slice(b",\"value\":");
    format.encode(record.value.as_ref(), out).map_err(|reason| ("value", reason))?;
    write!(out, ",\"partition\":{},\"offset\":{}", record.partition, record.offset).expect("into memory");
    if include.timestamp {
        write!(out, ",\"timestamp\":{}", record.timestamp_ms).expect("into memory");
    }
    if include.headers {
        out.extend_from_slice(b",\"headers\":[");
        for (index, header) in record.headers.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",{\"key\":" } else { b"{\"key\":" });
            push_string(&String::from_utf8_lossy(&header.key), out);
            out.extend_from_slice(b",\"value\":");
            match &header.value {
                Some(value) => push_string(&STANDARD.encode(value), out),
                None => out.extend_from_slice(b"null"),
            }
            out.push(b'}');
        }
        out.push(b']');
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use dohle_protocol::batch::TimestampType;
    use dohle_protocol::record::Header;

    fn record(value: &'static [u8]) -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition: 1,
            offset: 5,
            leader_epoch: 0,
            timestamp_ms: 99,
            timestamp_type: TimestampType::CreateTime,
            key: None,
            value: Some(Bytes::from_static(value)),
            headers: vec![
                Header::new("h", "v"),
                Header {
                    key: Bytes::from_static(b"n"),
                    value: None,
                },
            ],
        }
    }

    #[test]
    fn headers_and_timestamps_are_told_on_request() {
        let mut out = vec![b'['];
        render(&record(b"1"), Format::Json, Include::default(), &mut out).unwrap();
        render(&record(b"2"), Format::Json, Include::of("headers, timestamp").unwrap(), &mut out).unwrap();
        let expected = "[{\"topic\":\"t\",\"key\":null,\"value\":1,\"partition\":1,\"offset\":5},\
            {\"topic\":\"t\",\"key\":null,\"value\":2,\"partition\":1,\"offset\":5,\"timestamp\":99,\
            \"headers\":[{\"key\":\"h\",\"value\":\"dg==\"},{\"key\":\"n\",\"value\":null}]}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(Include::of("everything").unwrap_err().code(), 400);
    }

    #[test]
    fn what_cannot_be_shown_leaves_no_trace() {
        let mut out = vec![b'['];
        let error = render(&record(b"{"), Format::Json, Include::default(), &mut out).unwrap_err();
        assert_eq!((error.status().as_u16(), error.code()), (408, 40801));
        assert!(error.message().contains("offset 5 of t-1"), "{}", error.message());
        assert_eq!(out, b"[");
    }
}
