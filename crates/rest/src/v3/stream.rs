//! Records as a stream: one JSON object after the other comes in, and for each of them, in their order, one goes out.
//!
//! A task reads and sends; the answer to the request is the other end of a channel, and waits for the outcomes. So a client
//! may write all it has before it reads, up to the size of that channel.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use dohle_client::producer::Delivery;
use futures_util::stream;
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Duration, Instant, timeout, timeout_at};
use utoipa::ToSchema;

use super::objects::Objects;
use super::record::{RecordRequest, Shape, WrittenRecord};
use super::scope::Scope;
use crate::answer::{Answer, Segments, check_topic};
use crate::body::parse;
use crate::error::{ErrorBody, RestError};
use crate::limits::{
    BODY_BYTES_DROPPED_MAX, BODY_BYTES_MAX, BODY_BYTES_PER_SECOND_MIN, STREAM_ANSWERS_MAX, STREAM_DURATION_MAX, STREAM_IDLE_MAX,
};
use crate::media::Media;
use crate::proxy::Proxy;
use crate::v2::wait_for_topic;

/// Between two answers.
const SEPARATOR: &[u8] = b"\r\n";

#[derive(Serialize, ToSchema)]
struct ProducedRecord {
    /// 200: it is written.
    error_code: u16,
    #[serde(flatten)]
    record: WrittenRecord,
}

/// A record that is sent, or why it is not.
type Pending = Result<(Delivery, Shape), RestError>;

#[utoipa::path(
    post,
    path = "/v3/clusters/{cluster}/topics/{topic}/records",
    operation_id = "v3_stream_produce",
    tag = "v3 records",
    params(("cluster" = String, Path), ("topic" = String, Path)),
    request_body(content = Object, content_type = "application/json", description = "Records: objects that follow each other, without end if need be"),
    responses((status = 200, description = "For each record, in order, where it is written or why it is not", body = ProducedRecord), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn produce(scope: Scope, Segments((_, topic)): Segments<(String, String)>, request: Request) -> Answer {
    check_topic(&topic)?;
    if !is_json(request.headers()) {
        return Err(RestError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let permit = scope.proxy.begin_stream()?;
    let (answers, pending) = mpsc::channel(STREAM_ANSWERS_MAX);
    let reader = Reader {
        proxy: scope.proxy.clone(),
        topic: Arc::from(topic),
        answers,
    };
    tokio::spawn(reader.run(request.into_body()));
    let answers = Answers {
        proxy: scope.proxy,
        cluster_id: scope.cluster_id,
        pending,
        _permit: permit,
    };
    let shown = stream::unfold(answers, async |mut answers| {
        let text = answers.next().await?;
        Some((Ok::<_, std::convert::Infallible>(text), answers))
    });
    Ok(Response::new(Body::from_stream(shown)))
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.and_then(Media::of) == Some(Media::Json)
}

/// What goes out.
struct Answers {
    proxy: Arc<Proxy>,
    cluster_id: String,
    pending: mpsc::Receiver<Pending>,
    /// The stream counts for as long as answers are held.
    _permit: OwnedSemaphorePermit,
}

impl Answers {
    async fn next(&mut self) -> Option<Bytes> {
        let outcome = match self.pending.recv().await? {
            Ok((delivery, shape)) => match delivery.wait().await {
                Ok(written) => Ok(WrittenRecord::new(&self.cluster_id, &written, shape)),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        };
        let mut text = match outcome {
            Ok(record) => {
                self.proxy.metrics.produced.inc();
                serde_json::to_vec(&ProducedRecord { error_code: 200, record })
            }
            Err(error) => {
                self.proxy.metrics.produce_failures.inc();
                serde_json::to_vec(&error.body())
            }
        }
        .expect("plain data into memory");
        text.extend_from_slice(SEPARATOR);
        Some(Bytes::from(text))
    }
}

/// What comes in.
struct Reader {
    proxy: Arc<Proxy>,
    topic: Arc<str>,
    answers: mpsc::Sender<Pending>,
}

impl Reader {
    /// Until the body ends, or an error after which its records cannot be told apart, which is the last answer.
    async fn run(self, mut body: Body) {
        let ended = tokio::select! {
            ended = timeout(STREAM_DURATION_MAX, self.read(&mut body)) => ended.unwrap_or_else(|_| Err(too_slow())),
            () = self.proxy.closing.cancelled() => Err(RestError::stopping()),
            () = self.answers.closed() => return,
        };
        let Err(error) = ended else { return };
        let is_stopping = self.proxy.closing.is_cancelled();
        if self.answers.send(Err(error)).await.is_ok() && !is_stopping {
            self.drop_rest(body).await;
        }
    }

    async fn read(&self, body: &mut Body) -> Result<(), RestError> {
        let mut objects = Objects::default();
        let mut budget: Option<OwnedSemaphorePermit> = None;
        let (mut is_empty, mut topic_is_known) = (true, false);
        // Of the object that is arriving, or the end of the one before it.
        let mut began = Instant::now();
        loop {
            while let Some(object) = objects.next()? {
                self.send(object, &mut topic_is_known).await?;
                is_empty = false;
                began = Instant::now();
            }
            let held = objects.held_bytes();
            if held > BODY_BYTES_MAX {
                return Err(RestError::too_large(format!("The record is larger than {BODY_BYTES_MAX} bytes.")));
            }
            // What has been sent does not count any more.
            budget = match budget {
                Some(mut budget) if held > 0 => budget.split(held.min(budget.num_permits())),
                _ => None,
            };
            let time = match held {
                0 => STREAM_IDLE_MAX,
                held => self.proxy.config.body_timeout + Duration::from_secs((held / BODY_BYTES_PER_SECOND_MIN) as u64),
            };
            let frame = timeout_at(began + time, body.frame()).await.map_err(|_| too_slow())?;
            let Some(frame) = frame else {
                return match (held, is_empty) {
                    (0, true) => Err(RestError::unprocessable("Null input provided. Data is required.")),
                    (0, _) => Ok(()),
                    _ => Err(RestError::bad_request("The body ends within an object.")),
                };
            };
            let frame = frame.map_err(|error| RestError::bad_request(format!("The body cannot be read: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if held == 0 {
                began = Instant::now();
            }
            let more = self.proxy.bodies.take(data.len())?;
            match &mut budget {
                Some(budget) => budget.merge(more),
                None => budget = Some(more),
            }
            objects.push(&data);
        }
    }

    /// An error is one of the stream; what is wrong with the record itself is its answer.
    async fn send(&self, object: Bytes, topic_is_known: &mut bool) -> Result<(), RestError> {
        let answer = match self.decode(&object) {
            Ok((record, shape)) => {
                if !*topic_is_known {
                    wait_for_topic(&self.proxy, &self.topic).await?;
                    *topic_is_known = true;
                }
                let sent = self.proxy.producer().await?.send(record).await;
                sent.map(|delivery| (delivery, shape)).map_err(RestError::from)
            }
            Err(error) => Err(error),
        };
        // If nobody hears the answer, this ends before the next.
        let _ = self.answers.send(answer).await;
        Ok(())
    }

    fn decode(&self, object: &Bytes) -> Result<(dohle_client::ProducerRecord, Shape), RestError> {
        let request: RecordRequest = parse(object)?;
        if request.id.is_some() {
            return Err(RestError::unprocessable("Unrecognized field: id"));
        }
        request.decode(&self.topic, object)
    }

    /// Reads on for a while, so that a client that is still sending lives to see the answer.
    async fn drop_rest(&self, mut body: Body) {
        let mut dropped = 0;
        let reading = async {
            while let Some(Ok(frame)) = body.frame().await {
                dropped += frame.data_ref().map_or(0, Bytes::len);
                if dropped > BODY_BYTES_DROPPED_MAX {
                    break;
                }
            }
        };
        let _ = timeout(self.proxy.config.body_timeout, reading).await;
    }
}

fn too_slow() -> RestError {
    RestError::http(StatusCode::REQUEST_TIMEOUT)
}
