//! One consumer instance: who may use its reader when, and who looks after it meanwhile.
//!
//! Requests take turns; while none is there, a task of the instance keeps its reader in its group. A request that arrives interrupts it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{MutexGuard, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::delivered::Delivered;
use crate::error::RestError;
use crate::format::Format;
use crate::limits::LEAVE_TIMEOUT;
use crate::proxy::Proxy;
use crate::reader::Reader;

/// What the instance was created with.
#[derive(Debug, Clone)]
pub(crate) struct InstanceSettings {
    pub(crate) group: String,
    pub(crate) format: Format,
    /// `earliest`, `latest` or `none`.
    pub(crate) offset_reset: String,
    pub(crate) auto_commit: bool,
    pub(crate) fetch_bytes_min: usize,
    /// Of its own; the server's if there is none.
    pub(crate) request_timeout: Option<Duration>,
}

pub(crate) struct Instance {
    pub(crate) settings: InstanceSettings,
    /// Made by the first request that needs it.
    reader: tokio::sync::Mutex<Option<Reader>>,
    delivered: Arc<Delivered>,
    /// Requests that use the reader, or wait for it.
    visitors: watch::Sender<usize>,
    used_at: Mutex<Instant>,
    closed: CancellationToken,
}

/// A request's turn. Ends when dropped.
pub(crate) struct Visit<'a> {
    reader: MutexGuard<'a, Option<Reader>>,
    seen: u64,
    _visitor: Visitor<'a>,
}

struct Visitor<'a>(&'a Instance);

impl Instance {
    pub(crate) fn new(settings: InstanceSettings) -> Instance {
        Instance {
            delivered: Arc::new(Delivered::new(settings.auto_commit)),
            settings,
            reader: tokio::sync::Mutex::new(None),
            visitors: watch::Sender::new(0),
            used_at: Mutex::new(Instant::now()),
            closed: CancellationToken::new(),
        }
    }

    /// Waits for a turn; connects to the cluster if this is the first.
    pub(crate) async fn visit(self: &Arc<Instance>, proxy: &Proxy) -> Result<Visit<'_>, RestError> {
        let visitor = self.enter();
        // What is sent while this request waits for its turn it has not been sent to acknowledge.
        let seen = self.delivered.count();
        let turn = async {
            let mut reader = self.reader.lock().await;
            if reader.is_none() {
                *reader = Some(Reader::connect(&self.settings, self.delivered.clone(), proxy).await?);
                tokio::spawn(look_after(self.clone()));
            }
            Ok(reader)
        };
        Ok(Visit {
            reader: self.unless_closed(turn).await?,
            seen,
            _visitor: visitor,
        })
    }

    /// When the instance is closed, what a request does with it ends, so that it can leave its group.
    pub(crate) async fn unless_closed<T>(&self, work: impl Future<Output = Result<T, RestError>>) -> Result<T, RestError> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(RestError::no_instance()),
            done = work => done,
        }
    }

    pub(crate) fn is_idle_for(&self, duration: Duration) -> bool {
        *self.visitors.borrow() == 0 && self.used_at.lock().elapsed() >= duration
    }

    /// Leaves the group. With `acknowledged` the client has evidently received all that it was sent.
    pub(crate) fn close(self: Arc<Instance>, acknowledged: bool) -> impl Future<Output = ()> + Send {
        let seen = if acknowledged { self.delivered.count() } else { 0 };
        self.closed.cancel();
        async move {
            let leaving = async {
                if let Some(reader) = self.reader.lock().await.take() {
                    reader.close(seen).await;
                }
            };
            if tokio::time::timeout(LEAVE_TIMEOUT, leaving).await.is_err() {
                tracing::warn!("an instance of group {} did not leave it in time", self.settings.group);
            }
        }
    }

    #[cfg(test)]
    pub(crate) async fn turn(&self) -> MutexGuard<'_, Option<Reader>> {
        self.reader.lock().await
    }

    fn enter(&self) -> Visitor<'_> {
        self.visitors.send_modify(|visitors| *visitors += 1);
        Visitor(self)
    }
}

impl Visit<'_> {
    pub(crate) fn reader(&mut self) -> &mut Reader {
        self.reader.as_mut().expect("made before the visit began")
    }

    /// The number of the last answer that was made before this request came.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        *self.0.used_at.lock() = Instant::now();
        self.0.visitors.send_modify(|visitors| *visitors -= 1);
    }
}

async fn look_after(instance: Arc<Instance>) {
    let mut visitors = instance.visitors.subscribe();
    loop {
        tokio::select! {
            () = instance.closed.cancelled() => return,
            // The sender is in the instance.
            _ = visitors.wait_for(|visitors| *visitors == 0) => {}
        }
        let mut reader = instance.reader.lock().await;
        let Some(reader) = reader.as_mut() else { return };
        tokio::select! {
            biased;
            () = instance.closed.cancelled() => return,
            _ = visitors.wait_for(|visitors| *visitors > 0) => {}
            () = reader.tend() => {}
        }
    }
}
