//! One consumer instance: who may use its reader when, and who looks after it meanwhile.
//!
//! Requests take turns; while none is there, a task of the instance keeps its reader in its group. A request that arrives interrupts it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{MutexGuard, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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
    /// Requests that use the reader, or wait for it.
    visitors: watch::Sender<usize>,
    used_at: Mutex<Instant>,
    closed: CancellationToken,
}

/// A request's turn. Ends when dropped.
pub(crate) struct Visit<'a> {
    reader: MutexGuard<'a, Option<Reader>>,
    _visitor: Visitor<'a>,
}

struct Visitor<'a>(&'a Instance);

impl Instance {
    pub(crate) fn new(settings: InstanceSettings) -> Instance {
        Instance {
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
        let mut reader = self.reader.lock().await;
        if self.closed.is_cancelled() {
            return Err(RestError::no_instance());
        }
        if reader.is_none() {
            *reader = Some(Reader::connect(&self.settings, proxy).await?);
            tokio::spawn(look_after(self.clone()));
        }
        Ok(Visit { reader, _visitor: visitor })
    }

    /// Ends when the instance is closed: what is waited for is then waited for in vain.
    pub(crate) async fn closing(&self) {
        self.closed.cancelled().await;
    }

    pub(crate) fn is_idle_for(&self, duration: Duration) -> bool {
        *self.visitors.borrow() == 0 && self.used_at.lock().elapsed() >= duration
    }

    /// Leaves the group. With `acknowledged` the client has evidently received all that it was sent.
    pub(crate) async fn close(&self, acknowledged: bool) {
        self.closed.cancel();
        let Some(reader) = self.reader.lock().await.take() else { return };
        if tokio::time::timeout(LEAVE_TIMEOUT, reader.close(acknowledged)).await.is_err() {
            tracing::warn!("an instance of group {} did not leave it in time", self.settings.group);
        }
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
