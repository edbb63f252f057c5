//! What an operator may count of consumer groups.

use std::time::Duration;

use dohle_coordinator::Counters;
use dohle_protocol::id::Offset;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LagLabels {
    group: String,
    topic: String,
    partition: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShardLabels {
    shard: i32,
}

/// Records that one group has not read yet of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupLag {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) records: i64,
}

/// What is true of the groups at the moment of a scrape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GroupGauges {
    pub(crate) by_state: Vec<(&'static str, usize)>,
    pub(crate) members: usize,
    pub(crate) lags: Vec<GroupLag>,
    /// Lags that are not among them, because there are too many.
    pub(crate) lags_left_out: usize,
}

#[derive(Debug, Default)]
pub(crate) struct GroupMetrics {
    by_state: Family<StateLabels, Gauge>,
    members: Gauge,
    lags: Family<LagLabels, Gauge>,
    lags_left_out: Gauge,
    rebalances: Counter,
    sessions_expired: Counter,
    offset_commits: Counter,
    offsets_expired: Counter,
    skipped_records: Family<ShardLabels, Counter>,
    skipped_offset: Family<ShardLabels, Gauge>,
    load_seconds: LoadSeconds,
}

#[derive(Debug, Clone)]
struct LoadSeconds(Histogram);

impl Default for LoadSeconds {
    fn default() -> LoadSeconds {
        // 1 millisecond to 33 seconds.
        LoadSeconds(Histogram::new(exponential_buckets(1e-3, 2.0, 16)))
    }
}

impl GroupMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("groups", "Consumer groups, by state", self.by_state.clone());
        registry.register("group_members", "Members of consumer groups", self.members.clone());
        registry.register(
            "group_lag",
            "Records of a partition that a group has not committed yet",
            self.lags.clone(),
        );
        registry.register(
            "group_lags_left_out",
            "Lags that are not shown because there are too many, or the group's name is too long",
            self.lags_left_out.clone(),
        );
        registry.register(
            "group_rebalances",
            "Generations of groups that were completed",
            self.rebalances.clone(),
        );
        registry.register(
            "group_sessions_expired",
            "Members that were removed because they were silent",
            self.sessions_expired.clone(),
        );
        registry.register("group_offset_commits", "Offsets committed", self.offset_commits.clone());
        registry.register("group_offsets_expired", "Committed offsets forgotten", self.offsets_expired.clone());
        registry.register(
            "group_skipped_records",
            "Places in __consumer_offsets where something could not be read or understood, by partition",
            self.skipped_records.clone(),
        );
        registry.register(
            "group_skipped_offset",
            "Offset of the last place that was skipped, by partition",
            self.skipped_offset.clone(),
        );
        registry.register_with_unit(
            "group_load",
            "Time to load the groups of one partition of __consumer_offsets",
            Unit::Seconds,
            self.load_seconds.0.clone(),
        );
    }

    pub(crate) fn skipped(&self, shard: i32, offset: Offset) {
        self.skipped_records.get_or_create(&ShardLabels { shard }).inc();
        self.skipped_offset.get_or_create(&ShardLabels { shard }).set(offset.0);
    }

    pub(crate) fn loaded(&self, elapsed: Duration) {
        self.load_seconds.0.observe(elapsed.as_secs_f64());
    }

    /// Adds what a shard has counted since it was asked `before`.
    pub(crate) fn counted(&self, before: Counters, now: Counters) {
        self.rebalances.inc_by(now.rebalances - before.rebalances);
        self.sessions_expired.inc_by(now.sessions_expired - before.sessions_expired);
        self.offset_commits.inc_by(now.offset_commits - before.offset_commits);
        self.offsets_expired.inc_by(now.offsets_expired - before.offsets_expired);
    }

    pub(super) fn set(&self, gauges: &GroupGauges) {
        for (state, groups) in &gauges.by_state {
            self.by_state.get_or_create(&StateLabels { state }).set(*groups as i64);
        }
        self.members.set(gauges.members as i64);
        self.lags_left_out.set(gauges.lags_left_out as i64);
        // Groups come and go: start from none.
        self.lags.clear();
        for lag in &gauges.lags {
            let labels = LagLabels {
                group: lag.group.clone(),
                topic: lag.topic.clone(),
                partition: lag.partition,
            };
            self.lags.get_or_create(&labels).set(lag.records);
        }
    }
}
