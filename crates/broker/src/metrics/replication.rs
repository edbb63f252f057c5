//! What an operator may count of partitions with several replicas: each of these is 0 while all is well, but for the first.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is true of the partitions that this broker leads at the moment of a scrape.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ReplicationGauges {
    pub(crate) led: usize,
    pub(crate) under_replicated: usize,
    pub(crate) under_min_isr: usize,
    /// Of the whole cluster, as far as this broker knows.
    pub(crate) leaderless: usize,
}

#[derive(Debug, Default)]
pub(crate) struct ReplicationMetrics {
    led: Gauge,
    under_replicated: Gauge,
    under_min_isr: Gauge,
    leaderless: Gauge,
}

impl ReplicationMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("led_partitions", "Partitions that this broker leads", self.led.clone());
        registry.register(
            "under_replicated_partitions",
            "Partitions led here of which some replica is not in sync",
            self.under_replicated.clone(),
        );
        registry.register(
            "under_min_isr_partitions",
            "Partitions led here with fewer replicas in sync than min.insync.replicas: nothing is acknowledged to acks=all",
            self.under_min_isr.clone(),
        );
        registry.register(
            "leaderless_partitions",
            "Partitions of the cluster that nobody leads",
            self.leaderless.clone(),
        );
    }

    pub(super) fn set(&self, gauges: &ReplicationGauges) {
        self.led.set(gauges.led as i64);
        self.under_replicated.set(gauges.under_replicated as i64);
        self.under_min_isr.set(gauges.under_min_isr as i64);
        self.leaderless.set(gauges.leaderless as i64);
    }
}
