//! Numbers for operators.

use std::sync::atomic::AtomicI64;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;

use crate::proxy::Proxy;

pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    pub(crate) produced: Counter,
    pub(crate) produce_failures: Counter,
    pub(crate) consumed: Counter,
    instances: Gauge<i64, AtomicI64>,
    pub(crate) connections: Gauge<i64, AtomicI64>,
}

/// Few values each: the route as it is written in the code, never a path that a client made up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let mut registry = Registry::with_prefix("dohle_rest");
        let metrics = Metrics {
            requests: Family::default(),
            produced: Counter::default(),
            produce_failures: Counter::default(),
            consumed: Counter::default(),
            instances: Gauge::default(),
            connections: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register("produced_records", "Records written to the cluster", metrics.produced.clone());
        registry.register(
            "produce_failures",
            "Records that were not written",
            metrics.produce_failures.clone(),
        );
        registry.register("consumed_records", "Records delivered to clients", metrics.consumed.clone());
        registry.register("consumer_instances", "Consumer instances", metrics.instances.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        Metrics { registry, ..metrics }
    }

    pub(crate) fn render(&self, instances: usize) -> String {
        self.instances.set(i64::try_from(instances).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("numbers into memory");
        text
    }
}

/// Counts every answer.
pub(crate) async fn count(State(proxy): State<Arc<Proxy>>, request: Request, next: Next) -> Response {
    let method = match request.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        _ => "OTHER",
    };
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let labels = RequestLabels {
        method,
        route,
        status: response.status().as_u16(),
    };
    proxy.metrics.requests.get_or_create(&labels).inc();
    response
}
