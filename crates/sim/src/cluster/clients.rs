//! The producers, and what they do with answers.

use dohle_protocol::ErrorCode;
use dohle_replication::Acks;

use super::plan::REQUEST_TIMEOUT_MS;
use super::producer::Heard;
use super::world::{Body, CLIENTS, Event, Produce, Stage, World};

const EVERY_MS: i64 = 30;

impl World {
    /// A producer looks whether there is something to send, or to send again.
    pub(super) fn producer(&mut self, index: usize) {
        if self.stage == Stage::Done {
            return;
        }
        self.queue.after(EVERY_MS, Event::Producer { producer: index });
        let producer = &mut self.producers[index];
        if producer.batch.is_none() && self.stage == Stage::Chaos {
            let value = self.checker.value(producer.partition, producer.acks);
            producer.begin(value);
        }
        let now_ms = self.queue.now_ms();
        if self.producers[index]
            .batch
            .is_some_and(|batch| now_ms - batch.sent_ms > REQUEST_TIMEOUT_MS)
        {
            self.look_for_leader(index);
            self.send_batch(index);
        }
    }

    /// Mostly it hears who leads; sometimes it believes anybody.
    fn look_for_leader(&mut self, index: usize) {
        let leader = self.controller.partition(self.producers[index].partition).map(|known| known.leader);
        let heard = leader.filter(|leader| !leader.is_none() && !self.random.chance(150));
        self.producers[index].target = match heard {
            Some(leader) => leader.0 as usize - 1,
            None => self.random.below(self.brokers.len()),
        };
    }

    fn send_batch(&mut self, index: usize) {
        let now_ms = self.queue.now_ms();
        let producer = &mut self.producers[index];
        let Some(batch) = producer.attempt(now_ms) else { return };
        let produce = Produce {
            partition: producer.partition,
            producer: index,
            attempt: batch.attempt,
            acks: producer.acks,
            id: producer.id,
            sequence: producer.sequence,
            value: batch.value,
        };
        let target = producer.target;
        if producer.acks == Acks::None {
            producer.finish();
        }
        self.send(CLIENTS, target, Body::Produce(produce));
    }

    pub(super) fn produced(&mut self, index: usize, attempt: u32, outcome: Result<i64, ErrorCode>) {
        match self.producers[index].on_answer(attempt, outcome) {
            // It looks again soon.
            Heard::Nothing | Heard::Done => {}
            Heard::Again => {
                let stays = outcome == Err(ErrorCode::NotEnoughReplicasAfterAppend) || outcome == Err(ErrorCode::NotEnoughReplicas);
                if let (Some(batch), true) = (&mut self.producers[index].batch, stays) {
                    // The leader is the right one: after a while.
                    batch.sent_ms = self.queue.now_ms() - REQUEST_TIMEOUT_MS / 2;
                } else if let Some(batch) = &mut self.producers[index].batch {
                    batch.sent_ms = self.queue.now_ms() - REQUEST_TIMEOUT_MS + 20;
                }
            }
            Heard::Lost => {
                self.producer_ids += 1;
                let producer = &mut self.producers[index];
                producer.finish();
                producer.id = self.producer_ids;
                producer.sequence = 0;
            }
        }
    }
}
