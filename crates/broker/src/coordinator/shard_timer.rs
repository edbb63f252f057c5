//! The timer of one shard: a task that exists while a session, a rebalance or an offset of the shard has a time to end.

use std::sync::Arc;
use std::time::Duration;

use super::shard::{Shard, TimerPlan};

/// Runs until the shard has nothing to wait for.
pub(super) async fn run(shard: Arc<Shard>, load: u64) {
    while let TimerPlan::SleepMs(ms) = shard.fire(load) {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = shard.sooner.notified() => {}
            () = shard.services.stop.cancelled() => return,
        }
    }
}
