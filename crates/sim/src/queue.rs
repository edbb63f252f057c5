//! What is going to happen, in virtual time. Events of the same moment happen in the order in which they were scheduled.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

#[derive(Debug)]
struct Scheduled<E> {
    at_ms: i64,
    number: u64,
    event: E,
}

#[derive(Debug)]
pub struct Queue<E> {
    now_ms: i64,
    scheduled: BinaryHeap<Scheduled<E>>,
    next_number: u64,
}

impl<E> Queue<E> {
    pub fn starting_at(now_ms: i64) -> Queue<E> {
        Queue {
            now_ms,
            scheduled: BinaryHeap::new(),
            next_number: 0,
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub fn after(&mut self, delay_ms: i64, event: E) {
        self.at(self.now_ms + delay_ms, event);
    }

    /// What should have happened already happens next.
    pub fn at(&mut self, at_ms: i64, event: E) {
        self.scheduled.push(Scheduled {
            at_ms: at_ms.max(self.now_ms),
            number: self.next_number,
            event,
        });
        self.next_number += 1;
    }

    /// Time passes until the next event.
    pub fn pop(&mut self) -> Option<E> {
        let next = self.scheduled.pop()?;
        self.now_ms = next.at_ms;
        Some(next.event)
    }
}

impl<E> Ord for Scheduled<E> {
    /// The heap gives the greatest first, so the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ms, other.number).cmp(&(self.at_ms, self.number))
    }
}

impl<E> PartialOrd for Scheduled<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Scheduled<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Scheduled<E> {}
