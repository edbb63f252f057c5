//! Order and numbering over retries, losses and splits.

use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::compression::Compression;
use dohle_protocol::id::{ProducerEpoch, ProducerId};

use super::*;

const LINGER: Duration = Duration::from_millis(100);
const IDENTITY: Option<Identity> = Some(Identity {
    id: ProducerId(1),
    epoch: ProducerEpoch(0),
});

/// A queue of batches with one record each.
fn queue_of(batches: usize) -> PartitionQueue {
    let mut queue = PartitionQueue::default();
    for _ in 0..batches {
        let record = ProducerRecord::new("t", None, Some(Bytes::from_static(b"x")));
        queue.append(&record, 0, 1, Compression::None);
    }
    queue
}

fn is_due(queue: &PartitionQueue) -> bool {
    queue.due_at(LINGER, 1, false).is_some_and(|due| due <= Instant::now())
}

fn number(stamp: Stamp) -> (i16, u64) {
    stamp.map(|(identity, position)| (identity.epoch.0, position)).unwrap()
}

#[test]
fn a_lone_small_batch_lingers_and_a_flush_does_not_wait() {
    let mut queue = PartitionQueue::default();
    queue.append(&ProducerRecord::new("t", None, None), 0, 1000, Compression::None);
    assert!(queue.due_at(LINGER, 1000, false).unwrap() > Instant::now());
    assert!(queue.due_at(LINGER, 1000, true).unwrap() <= Instant::now());
}

#[test]
fn batches_that_fail_together_are_sent_again_one_by_one_in_their_order_and_with_their_numbers() {
    let mut queue = queue_of(4);
    let (first, stamp) = queue.take(IDENTITY);
    assert_eq!(number(stamp), (0, 0));
    let (second, _) = queue.take(IDENTITY);
    let (third, _) = queue.take(IDENTITY);
    // The answers come back in the wrong order.
    queue.put_back([third], None, false);
    assert!(!is_due(&queue), "two are still in flight");
    queue.put_back([first], None, false);
    queue.put_back([second], None, false);
    for expected in 0..3 {
        assert!(is_due(&queue));
        let (_, stamp) = queue.take(IDENTITY);
        assert_eq!(number(stamp), (0, expected));
        assert!(!is_due(&queue), "nothing passes a repeated batch");
        queue.settle(false);
    }
    assert_eq!(number(queue.take(IDENTITY).1), (0, 3));
}

#[test]
fn trap_21_after_a_lost_batch_the_rest_is_numbered_from_zero_under_the_next_epoch() {
    let mut queue = queue_of(4);
    let _first = queue.take(IDENTITY);
    let (second, _) = queue.take(IDENTITY);
    queue.settle(true);
    assert!(!is_due(&queue), "the second is still in flight");
    queue.put_back([second], None, false);
    assert_eq!(number(queue.take(IDENTITY).1), (1, 0));
    queue.settle(false);
    assert_eq!(number(queue.take(IDENTITY).1), (1, 1));
}

#[test]
fn a_batch_that_expires_unsent_leaves_no_gap() {
    let mut queue = queue_of(2);
    let _first = queue.take(IDENTITY);
    queue.settle(false);
    assert_eq!(queue.take_expired(Instant::now()).len(), 1);
    queue.append(&ProducerRecord::new("t", None, None), 0, 1, Compression::None);
    assert_eq!(number(queue.take(IDENTITY).1), (0, 1));
}

#[test]
fn the_last_epoch_asks_for_a_new_identity() {
    let last = Some(Identity {
        id: ProducerId(1),
        epoch: ProducerEpoch(i16::MAX),
    });
    let fresh = Some(Identity {
        id: ProducerId(2),
        epoch: ProducerEpoch(0),
    });
    let mut queue = queue_of(2);
    assert!(queue.needs_identity());
    queue.take(last);
    assert!(!queue.needs_identity());
    queue.settle(true);
    assert!(queue.needs_identity());
    assert_eq!(queue.take(fresh).1, fresh.map(|identity| (identity, 0)));
}

#[test]
fn a_retry_waits_for_its_time() {
    let mut queue = queue_of(1);
    let (batch, _) = queue.take(None);
    let later = Instant::now() + Duration::from_secs(60);
    queue.put_back([batch], Some(later), false);
    assert_eq!(queue.due_at(LINGER, 1, true), Some(later));
}
