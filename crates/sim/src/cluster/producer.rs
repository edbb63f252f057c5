//! A producer: one batch at a time, sent again until it is acknowledged, to whoever it takes for the leader.

use dohle_protocol::ErrorCode;
use dohle_replication::Acks;

/// A batch on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    pub(super) value: u32,
    /// Attempts of earlier batches have numbers up to this one.
    before: u32,
    pub(super) attempt: u32,
    pub(super) sent_ms: i64,
}

#[derive(Debug)]
pub(super) struct Producer {
    pub(super) partition: usize,
    pub(super) acks: Acks,
    /// Changes when the broker has lost batches in between.
    pub(super) id: u16,
    pub(super) sequence: u32,
    pub(super) batch: Option<Batch>,
    /// The broker that it takes for the leader.
    pub(super) target: usize,
    attempts: u32,
}

/// What the answer means to the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    Done,
    Again,
    /// The broker does not know what came before: this producer begins anew.
    Lost,
}

impl Producer {
    pub(super) fn new(partition: usize, acks: Acks, id: u16) -> Producer {
        Producer {
            partition,
            acks,
            id: if acks == Acks::None { 0 } else { id },
            sequence: 0,
            batch: None,
            target: 0,
            attempts: 0,
        }
    }

    pub(super) fn begin(&mut self, value: u32) {
        self.batch = Some(Batch {
            value,
            before: self.attempts,
            attempt: self.attempts,
            sent_ms: i64::MIN / 2,
        });
    }

    /// The next sending of the batch.
    pub(super) fn attempt(&mut self, now_ms: i64) -> Option<Batch> {
        let batch = self.batch.as_mut()?;
        self.attempts += 1;
        batch.attempt = self.attempts;
        batch.sent_ms = now_ms;
        Some(*batch)
    }

    pub(super) fn on_answer(&mut self, attempt: u32, outcome: Result<i64, ErrorCode>) -> Heard {
        // Any answer to this batch will do if it is a good one; of bad ones only the latest.
        let Some(batch) = self.batch else { return Heard::Nothing };
        match outcome {
            Ok(_) if attempt > batch.before => {
                self.finish();
                Heard::Done
            }
            Err(ErrorCode::OutOfOrderSequenceNumber) if attempt == batch.attempt && self.acks == Acks::Leader => Heard::Lost,
            Err(_) if attempt == batch.attempt => Heard::Again,
            _ => Heard::Nothing,
        }
    }

    pub(super) fn finish(&mut self) {
        self.batch = None;
        self.sequence += 1;
    }
}
