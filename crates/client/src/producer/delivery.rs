//! How the outcome of a batch reaches those who sent its records.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ProduceError;
use crate::cluster_metadata::TopicPartition;

/// Where a record has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    pub partition: TopicPartition,
    /// -1 if the server was not asked to answer (acks 0).
    pub offset: i64,
    pub timestamp_ms: i64,
}

/// A server's yes to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    /// Of the first record, or -1.
    pub(super) base_offset: i64,
    /// -1: the records keep their own timestamps.
    pub(super) log_append_time_ms: i64,
}

/// The outcome of what once was one batch. It may have been split; then each part reports for itself.
#[derive(Debug, Default)]
pub(super) struct Completion {
    parts: Mutex<Vec<Part>>,
    changed: Notify,
}

#[derive(Debug)]
struct Part {
    first: u32,
    count: u32,
    outcome: Result<Ack, ProduceError>,
    at: Instant,
}

impl Completion {
    pub(super) fn complete(&self, first: u32, count: u32, outcome: Result<Ack, ProduceError>) {
        self.parts.lock().push(Part {
            first,
            count,
            outcome,
            at: Instant::now(),
        });
        self.changed.notify_waiters();
    }

    fn of_record(&self, index: u32) -> Option<(Result<Ack, ProduceError>, Instant)> {
        let parts = self.parts.lock();
        let part = parts.iter().find(|part| (part.first..part.first + part.count).contains(&index))?;
        let to_record = |ack: &Ack| match ack.base_offset {
            -1 => *ack,
            base => Ack {
                base_offset: base + i64::from(index - part.first),
                ..*ack
            },
        };
        Some((part.outcome.as_ref().map(to_record).map_err(Clone::clone), part.at))
    }
}

/// The pending outcome of one record.
#[derive(Debug)]
pub struct Delivery {
    pub(super) completion: Arc<Completion>,
    pub(super) index: u32,
    pub(super) partition: TopicPartition,
    pub(super) timestamp_ms: i64,
}

impl Delivery {
    /// Waits until the record is delivered, or given up.
    pub async fn wait(&self) -> Result<RecordMetadata, ProduceError> {
        // Most of a batch is asked for when the batch is done already.
        if let Some(outcome) = self.outcome() {
            return outcome;
        }
        loop {
            let changed = self.completion.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            changed.await;
        }
    }

    /// When the outcome became known.
    pub fn completed_at(&self) -> Option<Instant> {
        self.completion.of_record(self.index).map(|(_, at)| at)
    }

    /// The outcome, if it is known.
    pub fn outcome(&self) -> Option<Result<RecordMetadata, ProduceError>> {
        let (outcome, _) = self.completion.of_record(self.index)?;
        Some(outcome.map(|ack| RecordMetadata {
            partition: self.partition.clone(),
            offset: ack.base_offset,
            timestamp_ms: if ack.log_append_time_ms >= 0 {
                ack.log_append_time_ms
            } else {
                self.timestamp_ms
            },
        }))
    }
}
