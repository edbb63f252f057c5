//! What an operator may count of compaction.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dohle_storage::CleanerStats;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is true of the compacted logs at the moment of a scrape.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct CleanerGauges {
    /// As far as the cleaner has looked.
    pub(crate) dirty_ratio_max: f64,
    pub(crate) uncleanable_partitions: usize,
}

#[derive(Debug, Default)]
pub(crate) struct CleanerMetrics {
    rounds: Counter,
    read_bytes: Counter,
    written_bytes: Counter,
    removed_records: Counter,
    last_round_ms: Gauge,
    dirty_ratio_max: Gauge<f64, AtomicU64>,
    uncleanable_partitions: Gauge,
}

impl CleanerMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("cleaner_rounds", "Logs cleaned, each time counted", self.rounds.clone());
        registry.register("cleaner_read_bytes", "Bytes that the cleaner has read", self.read_bytes.clone());
        registry.register(
            "cleaner_written_bytes",
            "Bytes that the cleaner has written",
            self.written_bytes.clone(),
        );
        registry.register(
            "cleaner_removed_records",
            "Records removed by compaction",
            self.removed_records.clone(),
        );
        registry.register(
            "cleaner_last_round_ms",
            "How long the last cleaning of a log took",
            self.last_round_ms.clone(),
        );
        registry.register(
            "cleaner_dirty_ratio_max",
            "The largest part of a compacted log that is closed and not cleaned",
            self.dirty_ratio_max.clone(),
        );
        registry.register(
            "cleaner_uncleanable_partitions",
            "Partitions that are not cleaned any more, as it has failed",
            self.uncleanable_partitions.clone(),
        );
    }

    pub(crate) fn cleaned(&self, stats: &CleanerStats, elapsed: Duration) {
        self.rounds.inc();
        self.read_bytes.inc_by(stats.bytes_read);
        self.written_bytes.inc_by(stats.bytes_written);
        self.removed_records.inc_by(stats.records_removed);
        self.last_round_ms.set(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX));
    }

    pub(super) fn set(&self, gauges: &CleanerGauges) {
        self.dirty_ratio_max.set(gauges.dirty_ratio_max);
        self.uncleanable_partitions.set(gauges.uncleanable_partitions as i64);
    }
}
