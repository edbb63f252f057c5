//! All that waits to be sent, and the memory it takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::batch::Batch;
use super::delivery::{Ack, Delivery};
use super::partition_queue::PartitionQueue;
use super::{ProduceError, ProducerRecord};
use crate::cluster_metadata::TopicPartition;
use crate::config::ProducerConfig;

pub(super) struct Accumulator {
    config: Arc<ProducerConfig>,
    state: Mutex<State>,
    /// For the sender: a batch became due, or a timer must be set.
    pub(super) work: Notify,
    /// For those who wait in `append`.
    room: Notify,
    /// For those who wait in `flush`.
    idle: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queues: BTreeMap<TopicPartition, PartitionQueue>,
    buffered_bytes: usize,
    /// Batches that are waiting or in flight.
    pub(super) outstanding: usize,
    flushing: usize,
    closed: bool,
}

impl Accumulator {
    pub(super) fn new(config: Arc<ProducerConfig>) -> Accumulator {
        Accumulator {
            config,
            state: Mutex::default(),
            work: Notify::new(),
            room: Notify::new(),
            idle: Notify::new(),
        }
    }

    pub(super) async fn append(&self, tp: TopicPartition, record: &ProducerRecord, timestamp_ms: i64) -> Result<Delivery, ProduceError> {
        let size = super::batch::batch_bytes_of(record);
        let mut deadline = None;
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let mut state = self.state.lock();
                if state.closed {
                    return Err(ProduceError::Closed);
                }
                // A record larger than the whole buffer is let through alone.
                if state.buffered_bytes == 0 || state.buffered_bytes + size <= self.config.buffer_bytes {
                    return Ok(self.push(&mut state, tp, record, timestamp_ms));
                }
            }
            self.work.notify_one();
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.config.block_max);
            if tokio::time::timeout_at(deadline, room).await.is_err() {
                return Err(ProduceError::BufferFull {
                    waited_ms: self.config.block_max.as_millis(),
                });
            }
        }
    }

    fn push(&self, state: &mut State, partition: TopicPartition, record: &ProducerRecord, timestamp_ms: i64) -> Delivery {
        let queue = match state.queues.get_mut(&partition) {
            Some(queue) => queue,
            None => state.queues.entry(partition.clone()).or_default(),
        };
        let before = queue.back_bytes();
        let (batch, index, wake) = queue.append(record, timestamp_ms, self.config.batch_bytes, self.config.compression);
        let grown = if index == 0 { batch.bytes } else { batch.bytes - before };
        let delivery = Delivery {
            completion: batch.completion.clone(),
            index: batch.first_index + index,
            partition,
            timestamp_ms,
        };
        state.buffered_bytes += grown;
        state.outstanding += usize::from(index == 0);
        if wake {
            self.work.notify_one();
        }
        delivery
    }

    /// Runs `change` on the queues; the sender's way in.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock())
    }

    /// Tells those who sent the records, and frees the memory. The queue has been settled by the caller.
    pub(super) fn complete(&self, batch: &Batch, outcome: Result<Ack, ProduceError>) {
        batch.completion.complete(batch.first_index, batch.record_count, outcome);
        let idle = {
            let mut state = self.state.lock();
            state.buffered_bytes = state.buffered_bytes.saturating_sub(batch.bytes);
            state.outstanding -= 1;
            state.outstanding == 0
        };
        self.room.notify_waiters();
        if idle {
            self.idle.notify_waiters();
        }
    }

    /// How long the first batch of a queue may still wait for company.
    pub(super) fn linger(&self, state: &State) -> (Duration, bool) {
        let full = state.buffered_bytes >= self.config.buffer_bytes / 2;
        (self.config.linger, state.closed || state.flushing > 0 || full)
    }

    pub(super) async fn flush(&self) {
        self.state.lock().flushing += 1;
        self.work.notify_one();
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            {
                let mut state = self.state.lock();
                if state.outstanding == 0 {
                    state.flushing -= 1;
                    return;
                }
            }
            idle.await;
        }
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_one();
        self.room.notify_waiters();
    }

    /// Closed, and nothing is left to do.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.state.lock();
        state.closed && state.outstanding == 0
    }
}
