//! What an operator may count: requests, errors, bytes, connections, logs and syncs, in the text format of Prometheus.
//!
//! Counters are counted where things happen. What the broker's state says at any time (partitions, sizes, policies) is read only when
//! somebody asks, so that an idle broker does nothing for it.

pub(crate) mod cleaner;
pub(crate) mod groups;
pub(crate) mod replication;

use dohle_protocol::ApiKey;
use dohle_protocol::error_code::ErrorCode;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::sync::OnceLock;
use std::time::Duration;

use cleaner::{CleanerGauges, CleanerMetrics};
use groups::{GroupGauges, GroupMetrics};
use replication::{ReplicationGauges, ReplicationMetrics};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    api: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    api: &'static str,
    error: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TopicLabels {
    topic: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    topic: String,
    policy: &'static str,
}

/// What is true of one topic at the moment of a scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicGauges {
    pub(crate) topic: String,
    pub(crate) log_bytes: u64,
    pub(crate) flush_policy: &'static str,
}

/// What is true of the broker at the moment of a scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Gauges {
    pub(crate) partitions: usize,
    pub(crate) offline_log_dirs: usize,
    pub(crate) topics: Vec<TopicGauges>,
    pub(crate) groups: GroupGauges,
    pub(crate) cleaner: CleanerGauges,
    pub(crate) replication: ReplicationGauges,
}

/// The broker's metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) groups: GroupMetrics,
    pub(crate) cleaner: CleanerMetrics,
    replication: ReplicationMetrics,
    registry: Mutex<Registry>,
    /// What `requests` and `request_seconds` have of each API, in the order of [`ApiKey::ALL`], once it was asked for: every request counts there.
    answered: Box<[OnceLock<(Counter, Histogram)>]>,
    requests: Family<ApiLabels, Counter>,
    request_seconds: Family<ApiLabels, Histogram>,
    errors: Family<ErrorLabels, Counter>,
    received_bytes: Counter,
    sent_bytes: Counter,
    connections: Gauge,
    appended_batches: Counter,
    appended_bytes: Counter,
    syncs: Counter,
    sync_records: Histogram,
    partitions: Gauge,
    offline_log_dirs: Gauge,
    log_bytes: Family<TopicLabels, Gauge>,
    flush_policy: Family<PolicyLabels, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let metrics = Metrics {
            groups: GroupMetrics::default(),
            cleaner: CleanerMetrics::default(),
            replication: ReplicationMetrics::default(),
            registry: Mutex::new(Registry::with_prefix("dohle")),
            answered: ApiKey::ALL.iter().map(|_| OnceLock::new()).collect(),
            requests: Family::default(),
            // 50 microseconds to 26 seconds.
            request_seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(50e-6, 2.0, 20))),
            errors: Family::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            connections: Gauge::default(),
            appended_batches: Counter::default(),
            appended_bytes: Counter::default(),
            syncs: Counter::default(),
            sync_records: Histogram::new(exponential_buckets(1.0, 4.0, 10)),
            partitions: Gauge::default(),
            offline_log_dirs: Gauge::default(),
            log_bytes: Family::default(),
            flush_policy: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock();
        registry.register("requests", "Requests answered, by API", self.requests.clone());
        registry.register_with_unit(
            "request",
            "Time from a request's arrival to its answer, long polls included",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register("errors", "Error codes sent, by API and name of the error", self.errors.clone());
        registry.register("received", "Bytes of requests", self.received_bytes.clone());
        registry.register("sent", "Bytes of answers", self.sent_bytes.clone());
        registry.register("connections", "Connections that are open", self.connections.clone());
        registry.register(
            "appended_batches",
            "Record batches appended by producers",
            self.appended_batches.clone(),
        );
        registry.register(
            "appended_bytes",
            "Bytes of record batches appended by producers",
            self.appended_bytes.clone(),
        );
        registry.register("syncs", "Syncs of a log to disk", self.syncs.clone());
        registry.register(
            "sync_records",
            "Records made durable by one sync of a log: what group commit gathers",
            self.sync_records.clone(),
        );
        registry.register("partitions", "Partitions that this broker holds", self.partitions.clone());
        registry.register(
            "offline_log_dirs",
            "Log directories that failed and are out of use",
            self.offline_log_dirs.clone(),
        );
        registry.register("log_size_bytes", "Size of a topic's logs on this broker", self.log_bytes.clone());
        self.groups.register(&mut registry);
        self.cleaner.register(&mut registry);
        self.replication.register(&mut registry);
        registry.register("flush_policy", "1 for the flush policy that a topic has", self.flush_policy.clone());
    }

    pub(crate) fn answered(&self, api: ApiKey, elapsed: Duration) {
        let place = ApiKey::ALL.binary_search(&api).expect("it has all of them");
        let (requests, seconds) = self.answered[place].get_or_init(|| {
            let labels = ApiLabels { api: api.name() };
            (
                self.requests.get_or_create_owned(&labels),
                self.request_seconds.get_or_create_owned(&labels),
            )
        });
        requests.inc();
        seconds.observe(elapsed.as_secs_f64());
    }

    pub(crate) fn error(&self, api: ApiKey, code: ErrorCode) {
        self.errors
            .get_or_create(&ErrorLabels {
                api: api.name(),
                error: code.name(),
            })
            .inc();
    }

    /// What is no error is not counted.
    pub(crate) fn errors(&self, api: ApiKey, codes: impl IntoIterator<Item = i16>) {
        let failed = codes.into_iter().filter(|code| *code != ErrorCode::None.code());
        failed.for_each(|code| self.error(api, ErrorCode::from_code(code)));
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received_bytes.inc_by(bytes as u64);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.inc_by(bytes as u64);
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.inc();
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    pub(crate) fn appended(&self, batches: usize, bytes: usize) {
        self.appended_batches.inc_by(batches as u64);
        self.appended_bytes.inc_by(bytes as u64);
    }

    /// One sync of a log has made this many more records durable.
    pub(crate) fn synced(&self, records: i64) {
        self.syncs.inc();
        self.sync_records.observe(records as f64);
    }

    /// The text that a scraper reads.
    pub(crate) fn render(&self, gauges: &Gauges) -> Result<String, std::fmt::Error> {
        let registry = self.registry.lock();
        self.partitions.set(gauges.partitions as i64);
        self.offline_log_dirs.set(gauges.offline_log_dirs as i64);
        // Topics come and go: start from none.
        self.log_bytes.clear();
        self.flush_policy.clear();
        for topic in &gauges.topics {
            self.log_bytes
                .get_or_create(&TopicLabels {
                    topic: topic.topic.clone(),
                })
                .set(topic.log_bytes as i64);
            self.flush_policy
                .get_or_create(&PolicyLabels {
                    topic: topic.topic.clone(),
                    policy: topic.flush_policy,
                })
                .set(1);
        }
        self.groups.set(&gauges.groups);
        self.cleaner.set(&gauges.cleaner);
        self.replication.set(&gauges.replication);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered_and_deleted_topics_disappear() {
        let metrics = Metrics::new();
        metrics.answered(ApiKey::Metadata, Duration::from_millis(1));
        metrics.error(ApiKey::Produce, ErrorCode::NotLeaderOrFollower);
        metrics.received(7);
        metrics.synced(3);
        let topic = TopicGauges {
            topic: "logs".to_string(),
            log_bytes: 42,
            flush_policy: "commit",
        };
        let text = metrics
            .render(&Gauges {
                partitions: 2,
                topics: vec![topic],
                ..Gauges::default()
            })
            .unwrap();
        for line in [
            "dohle_requests_total{api=\"Metadata\"} 1",
            "dohle_errors_total{api=\"Produce\",error=\"NOT_LEADER_OR_FOLLOWER\"} 1",
            "dohle_received_total 7",
            "dohle_syncs_total 1",
            "dohle_sync_records_sum 3.0",
            "dohle_partitions 2",
            "dohle_log_size_bytes{topic=\"logs\"} 42",
            "dohle_flush_policy{topic=\"logs\",policy=\"commit\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!metrics.render(&Gauges::default()).unwrap().contains("topic=\"logs\""));
    }
}
