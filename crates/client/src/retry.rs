//! How long to wait before trying again.

use std::time::Duration;

use rand::RngExt;

/// Doubling waits with 20 % of jitter, between `retry.backoff.ms` and `retry.backoff.max.ms`.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff {
            first: first.min(longest),
            longest,
        }
    }

    /// The wait after `failures` failures in a row (1 is the first).
    pub fn after(&self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest).mul_f64(rand::rng().random_range(0.8..=1.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_within_the_jitter() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1000));
        for (failures, expected_ms) in [(1, 100.0), (2, 200.0), (4, 800.0), (5, 1000.0), (4_000_000_000, 1000.0)] {
            let wait_ms = backoff.after(failures).as_secs_f64() * 1000.0;
            assert!(
                (expected_ms * 0.79..=expected_ms * 1.21).contains(&wait_ms),
                "{failures} failures: {wait_ms} ms"
            );
        }
    }
}
