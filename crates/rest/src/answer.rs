//! Answers that succeed, and what of a request's path and query they are made from.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use crate::error::RestError;
use crate::limits::{NAME_BYTES_MAX, TOPIC_BYTES_MAX};

pub(crate) type Answer = Result<Response, RestError>;

/// The type of the content is set where it is known what the client accepts.
pub(crate) fn json<T: Serialize>(value: &T) -> Response {
    let bytes = serde_json::to_vec(value).expect("plain data into memory");
    Response::new(Body::from(bytes))
}

/// The permits are given back when the last of the text has been sent.
pub(crate) fn records(text: Vec<u8>, content_type: &'static str, permits: [OwnedSemaphorePermit; 2]) -> Response {
    let text = Counted { text, _permits: permits };
    let mut response = Response::new(Body::from(Bytes::from_owner(text)));
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

struct Counted {
    text: Vec<u8>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

pub(crate) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Segments of the path. One that is not of its type names nothing that exists.
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Segments<T>, RestError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(segments)| Segments(segments))
            .map_err(|_| RestError::http(StatusCode::NOT_FOUND))
    }
}

/// Parameters after the question mark; unknown ones are ignored.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Parameters<T>, RestError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(parameters)| Parameters(parameters))
            .map_err(|error: QueryRejection| RestError::bad_request(error.body_text()))
    }
}

/// A topic of this name could exist.
pub(crate) fn check_topic(name: &str) -> Result<(), RestError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > TOPIC_BYTES_MAX || matches!(name, "." | "..") || !name.bytes().all(legal) {
        return Err(RestError::topic_not_hosted());
    }
    Ok(())
}

/// A group or an instance may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), RestError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(RestError::unprocessable(format!("A name must have 1 to {NAME_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// As one segment of a URL.
pub(crate) fn escaped(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn an_answer_counts_until_it_is_sent() {
        let left = Arc::new(Semaphore::new(2));
        let take = || left.clone().try_acquire_owned().unwrap();
        let mut body = records(b"[]".to_vec(), "text/plain", [take(), take()]).into_body();
        let text = body.frame().await.unwrap().unwrap().into_data().unwrap();
        drop(body);
        assert_eq!((&text[..], left.available_permits()), (&b"[]"[..], 0));
        drop(text);
        assert_eq!(left.available_permits(), 2);
    }

    #[test]
    fn r6_names_are_checked_and_escaped() {
        for bad in ["", ".", "..", "../../etc", "a b", "a\r\nb", "ä", &"x".repeat(250)] {
            assert_eq!(check_topic(bad).unwrap_err().code(), 40403, "{bad:?}");
        }
        assert!(check_topic("a.b_c-D9").is_ok());
        assert_eq!(check_name(&"x".repeat(10_000)).unwrap_err().code(), 422);
        assert_eq!(escaped("a/b\r\nä"), "a%2Fb%0D%0A%C3%A4");
    }
}
