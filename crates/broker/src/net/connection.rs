//! One connection: requests are begun in the order in which they arrive, and answered in that order.
//!
//! A handler is polled once when its request is begun: what it does before its first `await` (an append, above all) happens in the order of
//! arrival. After that only the oldest request is polled, since no later answer could leave before its own. So up to 64 requests share one
//! sync of the disk, while a slow reader never has more than one large answer in memory.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dohle_protocol::ApiKey;
use dohle_protocol::frame::{FrameError, LENGTH_BYTES};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::dispatch::{self, ConnectionInfo, RefusedRequest, Reply, ReplyFuture};
use crate::limits;
use crate::net::outgoing::Outgoing;
use crate::net::request_reader::{ReceiveError, ReceivedRequest, RequestReader};
use crate::state::BrokerState;

/// A request in the works.
struct InFlight {
    api: ApiKey,
    begun: Instant,
    state: State,
    /// Size of an answer that cannot leave yet, because an older one is still being made.
    finished_bytes: usize,
    /// The request's share of the memory budget.
    _memory: OwnedSemaphorePermit,
}

enum State {
    Working(ReplyFuture),
    Finished(Reply),
}

/// Why a connection ends, other than by the client's own wish.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Refused(#[from] RefusedRequest),
    #[error("{0}")]
    Handler(String),
    #[error("silence in the middle of a request")]
    HalfRequest,
    #[error("idle")]
    Idle,
    #[error("the broker is shutting down")]
    Shutdown,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("closed by the client")]
    ByClient,
}

impl Ended {
    /// The client did something wrong, which a person may want to know.
    fn is_worth_a_warning(&self) -> bool {
        matches!(self, Ended::Frame(_) | Ended::Refused(_) | Ended::Handler(_) | Ended::HalfRequest)
    }
}

struct Connection {
    broker: Arc<BrokerState>,
    info: Arc<ConnectionInfo>,
    stream: TcpStream,
    reader: RequestReader,
    in_flight: VecDeque<InFlight>,
    /// Of all requests in flight.
    finished_bytes: usize,
    outgoing: Outgoing,
    /// No more requests are taken; the connection ends once those in flight are answered.
    ending: Option<Ended>,
    idle_max: Option<Duration>,
    last_activity: Instant,
    timer: Pin<Box<Sleep>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    is_shutting_down: bool,
}

/// Serves a connection to its end.
pub(crate) async fn serve(broker: Arc<BrokerState>, stream: TcpStream, info: Arc<ConnectionInfo>, shutdown: CancellationToken) {
    let settings = broker.settings.load();
    let idle_max = settings.connection_idle_max;
    let request_bytes_max = i32::try_from(settings.request_bytes_max).unwrap_or(i32::MAX);
    drop(settings);
    let budget = if info.listener.is_controller {
        // However much clients send, the nodes hear each other.
        Arc::new(Semaphore::new(
            limits::CONTROLLER_CONNECTION_BYTES.max(request_bytes_max as usize + LENGTH_BYTES),
        ))
    } else {
        Arc::clone(&broker.request_budget)
    };
    let reader = RequestReader::new(request_bytes_max, budget);
    let now = Instant::now();
    let mut connection = Connection {
        info: Arc::clone(&info),
        stream,
        reader,
        in_flight: VecDeque::new(),
        finished_bytes: 0,
        outgoing: Outgoing::default(),
        ending: None,
        idle_max,
        last_activity: now,
        timer: Box::pin(tokio::time::sleep_until(deadline(now, idle_max))),
        shutdown: Box::pin(shutdown.cancelled_owned()),
        is_shutting_down: false,
        broker,
    };
    let ended = std::future::poll_fn(|cx| connection.poll(cx)).await;
    if ended.is_worth_a_warning() {
        tracing::warn!(peer = %info.peer_addr, listener = %info.listener.name, "connection closed: {ended}");
    } else {
        tracing::debug!(peer = %info.peer_addr, listener = %info.listener.name, "connection closed: {ended}");
    }
}

impl Connection {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        match self.poll_all(cx) {
            Err(ended) => Poll::Ready(ended),
            Ok(()) => Poll::Pending,
        }
    }

    /// Goes on until nothing more can be done without waiting.
    fn poll_all(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        self.poll_shutdown(cx);
        loop {
            let received = self.poll_receive(cx)?;
            let answered = self.poll_answers(cx);
            let written = self.poll_write(cx)?;
            if self.in_flight.is_empty()
                && self.outgoing.is_empty()
                && let Some(ended) = self.ending.take()
            {
                return Err(ended);
            }
            if !(received || answered || written) {
                return self.poll_timer(cx);
            }
            if written && !answered {
                self.last_activity = Instant::now();
            }
        }
    }

    /// Whether another request may be begun.
    fn has_room(&self) -> bool {
        self.ending.is_none()
            && self.in_flight.len() < limits::IN_FLIGHT_PER_CONNECTION_MAX
            && self.outgoing.len() + self.finished_bytes < limits::UNWRITTEN_BYTES_MAX
    }

    /// Begins every request that has arrived, as far as limits allow, and reads more. True if anything happened.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let mut progress = false;
        while self.has_room() {
            match self.reader.poll_request(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => self.ending = Some(error.into()),
                Poll::Ready(Ok(Some(request))) => self.begin(request, cx),
                Poll::Ready(Ok(None)) => match self.reader.poll_read(&mut self.stream, cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(0)) => return Err(Ended::ByClient),
                    Poll::Ready(Ok(count)) => {
                        self.last_activity = Instant::now();
                        self.broker.metrics.received(count);
                    }
                    Poll::Ready(Err(ReceiveError::Frame(error))) => self.ending = Some(error.into()),
                    Poll::Ready(Err(ReceiveError::Io(error))) => return Err(error.into()),
                },
            }
            progress = true;
        }
        Ok(progress)
    }

    fn begin(&mut self, request: ReceivedRequest, cx: &mut Context<'_>) {
        // When its last byte was read, or what kept it from being begun since then was over.
        let begun = self.last_activity;
        match dispatch::begin(&self.broker, &self.info, request.bytes, begun) {
            Ok((api, mut future)) => {
                let (state, finished_bytes) = match future.as_mut().poll(cx) {
                    Poll::Ready(reply) => {
                        let bytes = reply.len();
                        (State::Finished(reply), bytes)
                    }
                    Poll::Pending => (State::Working(future), 0),
                };
                self.finished_bytes += finished_bytes;
                self.in_flight.push_back(InFlight {
                    api,
                    begun,
                    state,
                    finished_bytes,
                    _memory: request.memory,
                });
            }
            Err(refused) => self.ending = Some(refused.into()),
        }
    }

    /// Moves the answers of the oldest requests to what is to be written, up to the first that is not ready.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> bool {
        let mut now = None;
        while let Some(oldest) = self.in_flight.front_mut()
            && self.outgoing.len() < limits::UNWRITTEN_BYTES_MAX
        {
            if let State::Working(future) = &mut oldest.state {
                match future.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(reply) => oldest.state = State::Finished(reply),
                }
            }
            let now = *now.get_or_insert_with(Instant::now);
            self.last_activity = now;
            let Some(InFlight {
                api,
                begun,
                state: State::Finished(reply),
                finished_bytes,
                ..
            }) = self.in_flight.pop_front()
            else {
                break;
            };
            self.finished_bytes -= finished_bytes;
            self.broker.metrics.answered(api, now - begun);
            match reply {
                Reply::Send { pieces, held } => self.outgoing.push(pieces, held),
                Reply::Silence => {}
                Reply::Close(reason) => {
                    self.in_flight.clear();
                    self.ending = Some(Ended::Handler(reason));
                }
            }
        }
        now.is_some()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        match self.outgoing.poll_write(&self.stream, cx)? {
            Poll::Ready(written) if written > 0 => {
                self.broker.metrics.sent(written);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// At a shutdown what has been begun is finished, apart from long polls.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) {
        if !self.is_shutting_down && self.shutdown.as_mut().poll(cx).is_ready() {
            self.is_shutting_down = true;
            self.ending.get_or_insert(Ended::Shutdown);
            // Another member of the quorum may wait for news that this one will not have.
            let may_wait = |api| matches!(api, ApiKey::Fetch | ApiKey::PeerRpc);
            let is_long_poll = |request: &InFlight| may_wait(request.api) && matches!(request.state, State::Working(_));
            if let Some(first) = self.in_flight.iter().position(is_long_poll) {
                self.in_flight.truncate(first);
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        let idle_end = deadline(self.last_activity, self.idle_max);
        let half_request_max = (self.has_room() && self.reader.is_mid_request()).then_some(limits::HALF_REQUEST_SILENCE_MAX);
        let half_request_end = deadline(self.last_activity, half_request_max);
        let next = idle_end.min(half_request_end);
        // A timer that fires too early is set again then; only one that would fire too late costs anything now.
        if self.timer.deadline() > next {
            self.timer.as_mut().reset(next);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= half_request_end {
                return Err(Ended::HalfRequest);
            }
            if now >= idle_end && (self.in_flight.is_empty() || !self.outgoing.is_empty()) {
                return Err(Ended::Idle);
            }
            // A request in the works is not idleness, unless its answer is not read: look again after as long.
            let next = if now < next { next } else { deadline(now, self.idle_max) };
            self.timer.as_mut().reset(next);
        }
        Ok(())
    }
}

/// `max` after `start`, or so far away that it never comes.
fn deadline(start: Instant, max: Option<Duration>) -> Instant {
    const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    start + max.unwrap_or(NEVER).min(NEVER)
}
