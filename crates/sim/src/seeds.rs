//! Many seeds, on all processors.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::outcome::Outcome;

#[derive(Debug)]
pub struct Summary {
    pub seeds: u64,
    pub events: u64,
    pub elapsed: Duration,
    pub seen: BTreeMap<(&'static str, i16), u64>,
    /// The first few, the lowest seed first.
    pub failures: Vec<(u64, String)>,
}

/// There is no use in more.
const FAILURES_MAX: usize = 10;

pub fn run(seeds: Range<u64>, world: impl Fn(u64) -> Outcome + Sync) -> Summary {
    let start = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut part = Summary::new();
        while part.failures.len() < FAILURES_MAX {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            part.add(seed, world(seed));
        }
        part
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<Summary> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a world catches its panics"))
            .collect()
    });
    let mut summary = Summary::new();
    for part in parts {
        summary.merge(part);
    }
    summary.failures.sort();
    summary.elapsed = start.elapsed();
    summary
}

impl Summary {
    fn new() -> Summary {
        Summary {
            seeds: 0,
            events: 0,
            elapsed: Duration::ZERO,
            seen: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        for (answer, count) in outcome.seen {
            *self.seen.entry(answer).or_default() += count;
        }
        self.failures.extend(outcome.violation.map(|violation| (seed, violation)));
    }

    fn merge(&mut self, part: Summary) {
        self.seeds += part.seeds;
        self.events += part.events;
        for (answer, count) in part.seen {
            *self.seen.entry(answer).or_default() += count;
        }
        self.failures.extend(part.failures);
    }

    pub fn seeds_per_minute(&self) -> u64 {
        (self.seeds as f64 * 60.0 / self.elapsed.as_secs_f64().max(0.001)) as u64
    }
}
