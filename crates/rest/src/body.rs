//! Bodies of requests: read within limits of size, time and depth, then parsed.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::error::Category;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Instant, timeout_at};

use crate::error::RestError;
use crate::limits::{BODY_BYTES_DROPPED_MAX, BODY_BYTES_MAX, BODY_BYTES_PER_SECOND_MIN, JSON_DEPTH_MAX};
use crate::media::Media;
use crate::proxy::Proxy;

/// A body that has arrived in full; its bytes count until it is dropped.
pub(crate) struct RequestBody {
    /// `None`: no body, and nothing said about it.
    media: Option<Media>,
    bytes: Bytes,
    _budget: Option<OwnedSemaphorePermit>,
}

impl FromRequest<Arc<Proxy>> for RequestBody {
    type Rejection = RestError;

    async fn from_request(request: Request, proxy: &Arc<Proxy>) -> Result<RequestBody, RestError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let (bytes, budget) = read(request, proxy).await?;
        let media = match content_type {
            // Clients name a type for an empty body too, and it matters to nobody.
            _ if bytes.is_empty() => content_type.and_then(|text| Media::of(text.to_str().ok()?)),
            None => return Err(RestError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            Some(text) => {
                let media = text.to_str().ok().and_then(Media::of);
                Some(media.ok_or_else(|| RestError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE))?)
            }
        };
        Ok(RequestBody {
            media,
            bytes,
            _budget: budget,
        })
    }
}

impl RequestBody {
    pub(crate) fn media(&self) -> Option<Media> {
        self.media
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RestError> {
        parse(&self.bytes)
    }
}

async fn read(request: Request, proxy: &Proxy) -> Result<(Bytes, Option<OwnedSemaphorePermit>), RestError> {
    let began = Instant::now();
    let mut body = request.into_body();
    let mut bytes = Gathered::default();
    let mut budget: Option<OwnedSemaphorePermit> = None;
    let mut received = 0;
    let mut refused = None;
    loop {
        let extra = Duration::from_secs((received / BODY_BYTES_PER_SECOND_MIN) as u64);
        let frame = timeout_at(began + proxy.config.body_timeout + extra, body.frame()).await;
        let frame = match frame.map_err(|_| RestError::http(StatusCode::REQUEST_TIMEOUT))? {
            Some(frame) => frame.map_err(|error| RestError::bad_request(format!("The body cannot be read: {error}")))?,
            None => break,
        };
        let Ok(data) = frame.into_data() else { continue };
        received += data.len();
        if received > BODY_BYTES_DROPPED_MAX {
            break;
        }
        let more = match refused {
            None if received > BODY_BYTES_MAX => Err(RestError::too_large(format!("The body is larger than {BODY_BYTES_MAX} bytes."))),
            None => proxy.bodies.take(data.len()),
            // The rest is read all the same, so that its sender lives to see the answer.
            Some(_) => continue,
        };
        match (more, &mut budget) {
            (Ok(more), Some(budget)) => budget.merge(more),
            (Ok(more), None) => budget = Some(more),
            (Err(error), _) => {
                refused = Some(error);
                bytes = Gathered::default();
                budget = None;
                continue;
            }
        }
        bytes.push(data);
    }
    match refused {
        Some(error) => Err(error),
        None => Ok((bytes.finish(), budget)),
    }
}

/// Small bodies come in one piece, which is not copied.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    all: BytesMut,
}

impl Gathered {
    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = data;
            return;
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&data);
    }

    fn finish(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RestError> {
    if matches!(bytes.trim_ascii(), b"" | b"null") {
        return Err(RestError::unprocessable("Null input provided. Data is required."));
    }
    if is_deeper_than(bytes, JSON_DEPTH_MAX) {
        return Err(RestError::bad_request(format!(
            "The body is nested deeper than {JSON_DEPTH_MAX} levels."
        )));
    }
    serde_json::from_slice(bytes).map_err(|error| refusal(&error))
}

/// Fields that are unknown or missing are a matter of the request's meaning, all else is one of its form.
fn refusal(error: &serde_json::Error) -> RestError {
    let text = error.to_string();
    let field = || text.split('`').nth(1).unwrap_or_default().to_owned();
    match error.classify() {
        Category::Data if text.starts_with("unknown field") => RestError::unprocessable(format!("Unrecognized field: {}", field())),
        Category::Data if text.starts_with("missing field") => RestError::unprocessable(format!("{} may not be null", field())),
        _ => RestError::bad_request(text),
    }
}

fn is_deeper_than(json: &[u8], depth_max: usize) -> bool {
    // Counting them all takes a tenth of the time, and is nearly always enough.
    if json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() <= depth_max {
        return false;
    }
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for &byte in json {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use futures_util::StreamExt;
    use serde_json::value::RawValue;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample<'a> {
        #[serde(borrow)]
        a: Option<&'a RawValue>,
        #[allow(dead_code, reason = "only its presence matters")]
        b: u8,
    }

    fn refused(json: &str) -> (u16, String) {
        let error = parse::<Sample>(json.as_bytes()).err().expect("an error");
        (error.status().as_u16(), error.message().to_owned())
    }

    #[test]
    fn r2_broken_bodies_and_wrong_fields_are_told_apart() {
        assert_eq!(refused("{").0, 400);
        assert_eq!(refused("{\"b\":\"x\"}").0, 400);
        assert_eq!(refused("{\"b\":1} trailing").0, 400);
        assert_eq!(refused("{\"b\":1,\"c\":2}"), (422, "Unrecognized field: c".to_owned()));
        assert_eq!(refused("{}"), (422, "b may not be null".to_owned()));
        assert_eq!(refused(" null "), (422, "Null input provided. Data is required.".to_owned()));
    }

    #[tokio::test]
    async fn a_body_that_finds_no_room_is_read_to_its_end_before_it_is_refused() {
        let proxy = Proxy::new(crate::RestConfig::from_properties(&dohle_client::Properties::default()).unwrap());
        let _all = proxy.bodies.take(crate::limits::BODIES_BYTES_MAX).expect("there is room");
        let pieces = Arc::new(AtomicUsize::new(0));
        let read_of = pieces.clone();
        let body = futures_util::stream::iter([&b"{"[..], b" ", b"}"].map(Ok::<_, std::convert::Infallible>));
        let body = body.inspect(move |_| {
            read_of.fetch_add(1, Ordering::Relaxed);
        });
        let refused = read(Request::new(Body::from_stream(body)), &proxy).await.unwrap_err();
        assert_eq!((refused.status().as_u16(), pieces.load(Ordering::Relaxed)), (429, 3));
    }

    #[test]
    fn bodies_are_the_same_in_one_piece_and_in_several() {
        for pieces in [&[][..], &["{}"], &["", "{}", ""], &["{", "}"], &["{\"a\":", "1", "}"]] {
            let mut gathered = Gathered::default();
            pieces.iter().for_each(|piece| gathered.push(Bytes::from_static(piece.as_bytes())));
            assert_eq!(gathered.finish(), pieces.concat());
        }
    }

    #[test]
    fn r5_depth_is_bounded_outside_of_strings() {
        let deep = |depth: usize| format!("{{\"b\":1,\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(refused(&deep(100_000)).0, 400);
        assert!(parse::<Sample>(deep(JSON_DEPTH_MAX - 1).as_bytes()).is_ok_and(|sample| sample.a.is_some()));
        assert!(parse::<Sample>(format!("{{\"b\":1,\"a\":\"{}\"}}", "[\\\"".repeat(5000)).as_bytes()).is_ok());
    }
}
