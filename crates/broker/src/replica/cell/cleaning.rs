//! What the cleaner asks of a partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dohle_protocol::ErrorCode;
use dohle_storage::{CleanError, Cleaning, Dirtiness, LogConfig, PartitionLog, SharedLog};

use super::{Cell, Replica, answer};

/// What the cleaner has found out about a log.
#[derive(Debug, Default)]
pub(super) struct CleaningNotes {
    /// How dirty the log was at the last look; the bits of an `f64`.
    dirty_ratio: AtomicU64,
    uncleanable: AtomicBool,
}

impl SharedLog for Cell {
    fn with_log<T>(&self, use_log: impl FnOnce(&mut PartitionLog) -> T) -> T {
        use_log(&mut self.lock().log)
    }
}

impl Cell {
    /// What there is to clean in the log, if it is one that can be cleaned.
    pub(crate) fn dirtiness(&self, now_ms: i64) -> Option<(Dirtiness, Arc<LogConfig>)> {
        let dirtiness = self.find_dirtiness(&mut self.lock(), now_ms);
        let ratio = dirtiness.as_ref().map_or(0.0, |(dirtiness, _)| dirtiness.ratio());
        self.cleaning.dirty_ratio.store(ratio.to_bits(), Ordering::Relaxed);
        dirtiness
    }

    pub(crate) fn begin_cleaning(&self, now_ms: i64) -> Option<Cleaning> {
        let mut replica = self.lock();
        let (dirtiness, _) = self.find_dirtiness(&mut replica, now_ms)?;
        replica.log.begin_cleaning(&dirtiness, now_ms)
    }

    fn find_dirtiness(&self, replica: &mut Replica, now_ms: i64) -> Option<(Dirtiness, Arc<LogConfig>)> {
        let config = Arc::clone(replica.log.config());
        if !config.compact || self.is_uncleanable() || self.check_writable(replica).is_err() {
            return None;
        }
        let high_watermark = replica.role.high_watermark();
        let last_stable_offset = replica.log.last_stable_offset(high_watermark);
        match replica.log.dirtiness(last_stable_offset, now_ms) {
            Ok(dirtiness) => Some((dirtiness, config)),
            Err(error) => {
                tracing::warn!(topic = %self.topic, partition = self.partition.0, "the cleaner: {error}");
                None
            }
        }
    }

    /// The log has been cleaned.
    pub(crate) fn on_cleaned(&self) {
        // It holds records that are gone.
        self.lock().tail.clear();
    }

    /// Cleaning has failed, and would again.
    pub(crate) fn on_uncleanable(&self, error: &CleanError) {
        self.mark_uncleanable();
        let CleanError::Log(reason) = error else { return };
        self.directory.fail(reason);
        let effects = {
            let mut replica = self.lock();
            replica.write_failure.get_or_insert(ErrorCode::KafkaStorageError);
            replica.role.dismiss_produces(ErrorCode::KafkaStorageError)
        };
        effects.into_iter().for_each(answer);
    }

    pub(crate) fn mark_uncleanable(&self) {
        self.cleaning.uncleanable.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_uncleanable(&self) -> bool {
        self.cleaning.uncleanable.load(Ordering::Relaxed)
    }

    /// The part of the log that was dirty when the cleaner looked last.
    pub(crate) fn dirty_ratio(&self) -> f64 {
        f64::from_bits(self.cleaning.dirty_ratio.load(Ordering::Relaxed))
    }
}
