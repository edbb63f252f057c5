//! One socket to one server: requests go out in order and may be in flight together, answers are matched by correlation id.
//!
//! Two tasks own the socket's halves. Whatever goes wrong closes the connection and fails all that waits on it;
//! retrying is the caller's business, because only the caller knows what may be sent twice.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::wire::Rope;
use dohle_protocol::{ApiKey, Request, frame};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::limits::REQUESTS_QUEUED_MAX;
use crate::server_versions::ServerVersions;

mod framing;
mod handshake;
mod socket_tasks;

/// A negotiated connection. Dropping it closes the socket.
pub struct Connection {
    address: Arc<str>,
    client_id: String,
    request_timeout: Duration,
    versions: ServerVersions,
    next_correlation_id: AtomicI32,
    outgoing: mpsc::Sender<Outgoing>,
    link: Arc<Link>,
}

/// What the two socket tasks and the callers share.
struct Link {
    address: Arc<str>,
    /// Cancelled once the connection is of no use any more.
    closed: CancellationToken,
    /// Why, for those who wait.
    failure: Mutex<Option<String>>,
    /// Who waits for an answer, in the order in which the requests were written.
    awaited: Mutex<VecDeque<Awaited>>,
}

struct Outgoing {
    frame: Rope,
    /// `None` for a request that the server does not answer (Produce with acks 0).
    awaited: Option<Awaited>,
}

struct Awaited {
    correlation_id: i32,
    answer: oneshot::Sender<Bytes>,
}

impl Connection {
    /// Dials `host:port` (every address the name has, in turn) and asks the server for its versions.
    pub async fn open(address: &str, config: &ClientConfig) -> Result<Connection, ClientError> {
        let mut stream = dial(address, config.connect_timeout).await?;
        let versions = handshake::negotiate(&mut stream, address, config).await?;
        let address: Arc<str> = Arc::from(address);
        let (outgoing, queue) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let link = Arc::new(Link {
            address: address.clone(),
            closed: CancellationToken::new(),
            failure: Mutex::new(None),
            awaited: Mutex::new(VecDeque::new()),
        });
        socket_tasks::spawn(stream, queue, link.clone());
        Ok(Connection {
            address,
            client_id: config.client_id.clone(),
            request_timeout: config.request_timeout,
            versions,
            next_correlation_id: AtomicI32::new(1),
            outgoing,
            link,
        })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn versions(&self) -> &ServerVersions {
        &self.versions
    }

    pub fn is_closed(&self) -> bool {
        self.link.closed.is_cancelled()
    }

    /// The version in which requests of this API are sent.
    pub fn version_of(&self, api: ApiKey) -> Result<i16, ClientError> {
        let unsupported = || ClientError::Unsupported {
            address: self.address.to_string(),
            api: api.name().to_owned(),
        };
        self.versions.newest_common(api).ok_or_else(unsupported)
    }

    /// Sends in the newest common version and waits for the answer.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.start(request, self.version_of(R::KEY)?, self.request_timeout)
            .await?
            .wait()
            .await
    }

    /// Like [`Connection::call`], in a version that is not newer than `version_max`: newer ones cannot say what the request says.
    pub async fn call_up_to<R: Request>(&self, request: &R, version_max: i16) -> Result<R::Response, ClientError> {
        let version = self.version_of(R::KEY)?.min(version_max);
        self.start(request, version, self.request_timeout).await?.wait().await
    }

    /// Queues the request; it is written in the order of these calls. The answer is waited for separately.
    pub async fn start<R: Request>(&self, request: &R, version: i16, timeout: Duration) -> Result<Reply<R>, ClientError> {
        let (answer, receiver) = oneshot::channel();
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = self.encode(request, version, correlation_id)?;
        self.enqueue(Outgoing {
            frame,
            awaited: Some(Awaited { correlation_id, answer }),
        })
        .await?;
        Ok(Reply {
            link: self.link.clone(),
            receiver,
            version,
            deadline: Instant::now() + timeout,
            timeout,
            request: PhantomData,
        })
    }

    /// Queues a request that the server will not answer.
    pub async fn send_unanswered<R: Request>(&self, request: &R, version: i16) -> Result<(), ClientError> {
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = self.encode(request, version, correlation_id)?;
        self.enqueue(Outgoing { frame, awaited: None }).await
    }

    fn encode<R: Request>(&self, request: &R, version: i16, correlation_id: i32) -> Result<Rope, ClientError> {
        encode_request(request, version, correlation_id, &self.client_id)
    }

    async fn enqueue(&self, outgoing: Outgoing) -> Result<(), ClientError> {
        self.outgoing.send(outgoing).await.map_err(|_| self.link.lost())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.link.closed.cancel();
    }
}

impl Link {
    /// Marks the connection as useless and fails everyone who waits.
    fn close(&self, reason: &str) {
        self.failure.lock().get_or_insert_with(|| reason.to_owned());
        self.closed.cancel();
        self.awaited.lock().clear();
    }

    fn lost(&self) -> ClientError {
        let reason = self.failure.lock().clone().unwrap_or_else(|| "it is closed".to_owned());
        ClientError::Disconnected {
            address: self.address.to_string(),
            reason,
        }
    }
}

/// The answer to a request that has been queued.
#[must_use = "the answer must be waited for"]
pub struct Reply<R: Request> {
    link: Arc<Link>,
    receiver: oneshot::Receiver<Bytes>,
    version: i16,
    deadline: Instant,
    timeout: Duration,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Reply<R> {
    /// A server that misses the deadline loses the connection: the order of answers is all that ties them to requests.
    pub async fn wait(self) -> Result<R::Response, ClientError> {
        let frame = match tokio::time::timeout_at(self.deadline, self.receiver).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(_)) => return Err(self.link.lost()),
            Err(_) => {
                self.link.close("an answer was late");
                let address = self.link.address.to_string();
                return Err(ClientError::TimedOut {
                    address,
                    api: R::KEY.name(),
                    timeout_ms: self.timeout.as_millis(),
                });
            }
        };
        frame::read_response::<R>(frame, self.version)
            .map(|(_, response)| response)
            .map_err(|reason| {
                self.link.close("an answer could not be read");
                ClientError::Malformed {
                    address: self.link.address.to_string(),
                    api: R::KEY.name(),
                    reason: reason.to_string(),
                }
            })
    }
}

fn encode_request<R: Request>(request: &R, version: i16, correlation_id: i32, client_id: &str) -> Result<Rope, ClientError> {
    frame::request(version, correlation_id, Some(client_id), request).map_err(|reason| ClientError::Unwritable {
        api: R::KEY.name(),
        reason: reason.to_string(),
    })
}

async fn dial(address: &str, timeout: Duration) -> Result<TcpStream, ClientError> {
    let unreachable = |reason: String| ClientError::Unreachable {
        address: address.to_owned(),
        reason,
    };
    // Resolves the name and tries its addresses one after the other.
    let stream = match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(|error| unreachable(error.to_string()))?,
        Err(_) => return Err(unreachable(format!("no connection within {} ms", timeout.as_millis()))),
    };
    stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
    Ok(stream)
}

#[cfg(test)]
mod tests;
