//! The clock, the chance and the slow disks of the nodes, in place of those of a real machine.

use std::cell::RefCell;
use std::time::Duration;

use dohle_quorum::runtime::Runtime;
use openraft::{AsyncRuntime, Instant};
use openraft_rt_sim::{SimInstant, SimRuntime};

use crate::random::Random;

thread_local! {
    /// One world at a time runs on a thread.
    static RANDOM: RefCell<Random> = RefCell::new(Random::new(0));
}

pub(super) fn reseed(seed: u64) {
    RANDOM.set(Random::new(seed ^ 0x5EED));
}

pub(super) fn chance<T>(draw: impl FnOnce(&mut Random) -> T) -> T {
    RANDOM.with_borrow_mut(draw)
}

/// Milliseconds since the beginning of the world.
pub(super) fn elapsed_ms() -> i64 {
    SimInstant::now().elapsed_since_start().as_millis() as i64
}

pub(super) async fn sleep_ms(ms: i64) {
    SimRuntime::sleep(Duration::from_millis(ms as u64)).await;
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Simulated;

impl Runtime for Simulated {
    type Async = SimRuntime;

    const SNAPSHOT_AFTER_ENTRIES: u64 = 40;
    const ENTRIES_KEPT_BELOW_SNAPSHOT: u64 = 10;

    fn run_blocking(job: Box<dyn FnOnce() + Send>) {
        let delay_us = chance(|random| {
            if random.chance(20) {
                random.between(5_000..=80_000)
            } else {
                random.between(50..=2_000)
            }
        });
        drop(SimRuntime::spawn(async move {
            SimRuntime::sleep(Duration::from_micros(delay_us as u64)).await;
            job();
        }));
    }

    fn now_ms() -> i64 {
        1_700_000_000_000 + elapsed_ms()
    }

    fn random() -> u128 {
        chance(|random| random.uuid().as_u128())
    }
}
