//! Slows down the copying of replicas that an operator has named (KIP-73), so that it leaves room for clients.

use std::time::Duration;

use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::BrokerId;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::replica::cell::Cell;

const REPLICAS: &str = "follower.replication.throttled.replicas";

/// What was not used for so long is not made up for.
const MEMORY: Duration = Duration::from_secs(1);

/// Of all fetchers of a broker together.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// When what has come so far would have come at the rate that is allowed.
    paid_at: Mutex<Option<Instant>>,
}

impl Throttle {
    /// Counts what has come; when more may be asked for.
    pub(super) fn count(&self, bytes: usize, bytes_per_second: u64, now: Instant) -> Instant {
        let mut paid_at = self.paid_at.lock();
        let remembered = now.checked_sub(MEMORY).unwrap_or(now);
        let before = paid_at.map_or(now, |paid_at| paid_at.max(remembered));
        let after = before + Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64);
        *paid_at = Some(after);
        after
    }
}

/// Whether the topic's configuration names this replica. One that is in sync is never slowed down: then it would not be any more.
pub(super) fn names(image: &ClusterImage, cell: &Cell, me: BrokerId) -> bool {
    let Some(replicas) = image.configs().topic(&cell.topic).get(REPLICAS) else {
        return false;
    };
    let partition = image.topic(&cell.topic).and_then(|topic| topic.partitions.get(&cell.partition));
    partition.is_some_and(|partition| !partition.isr.contains(&me)) && is_listed(replicas, cell.partition.0, me.0)
}

fn is_listed(replicas: &str, partition: i32, broker: i32) -> bool {
    let wanted = format!("{partition}:{broker}");
    replicas.split(',').map(str::trim).any(|item| item == "*" || item == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_pairs_or_all() {
        assert!(is_listed("0:1, 2:3", 2, 3));
        assert!(is_listed("*", 7, 7));
        assert!(!is_listed("0:1,2:3", 0, 3));
        assert!(!is_listed("12:3", 2, 3));
        assert!(!is_listed("", 0, 0));
    }

    #[test]
    fn more_is_asked_for_when_what_came_would_have_come_at_the_rate() {
        let throttle = Throttle::default();
        let begin = Instant::now() + Duration::from_secs(10);
        let second = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        assert_eq!(throttle.count(1_000_000, 1_000_000, begin), second(1.0));
        assert_eq!(throttle.count(500_000, 1_000_000, begin), second(1.5));
        assert_eq!(throttle.count(500_000, 1_000_000, second(1.5)), second(2.0));
        // A long silence gives a second's worth, no more.
        assert_eq!(throttle.count(1_500_000, 1_000_000, second(100.0)), second(100.5));
    }
}
