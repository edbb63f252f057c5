//! The HTTP port for operators: `/metrics` and `/health`. Closed unless `metrics.listener` is set.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dohle_metadata::image::ClusterImage;
use dohle_storage::PartitionLog;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cluster::assignments::Assignments;
use crate::config::NodeConfig;
use crate::coordinator;
use crate::metrics::replication::ReplicationGauges;
use crate::metrics::{Gauges, TopicGauges};
use crate::net::listener::ListenError;
use crate::state::BrokerState;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The port, if there is to be one.
pub(crate) async fn bind(config: &NodeConfig) -> Result<Option<TcpListener>, ListenError> {
    let Some(endpoint) = &config.metrics_listener else {
        return Ok(None);
    };
    let bound = async { TcpListener::bind(&*endpoint.socket_addresses()?).await };
    let failed = |source| ListenError {
        listener: "metrics.listener".to_string(),
        address: endpoint.to_string(),
        source,
    };
    bound.await.map(Some).map_err(failed)
}

/// Serves until `stop`.
pub(crate) async fn serve(broker: Arc<BrokerState>, listener: TcpListener, stop: CancellationToken) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .with_state(broker);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::warn!(%error, "the HTTP port for metrics has ended");
    }
}

async fn metrics(State(broker): State<Arc<BrokerState>>) -> Response {
    match broker.metrics.render(&gauges(&broker)) {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Whether the node can do its work. A failed directory is a reason to look at the node, not to stop sending it requests.
async fn health(State(broker): State<Arc<BrokerState>>) -> Response {
    let failure = broker.quorum.status().failure;
    let works = failure.is_none() && broker.replicas.directories().iter().any(|directory| !directory.is_offline());
    let (status, word) = if works {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "failed")
    };
    let offline = offline_directories(&broker);
    let body = format!(
        "{{\"status\":\"{word}\",\"node_id\":{},\"offline_log_dirs\":{offline}}}\n",
        broker.config.node_id
    );
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn offline_directories(broker: &BrokerState) -> usize {
    let failed = broker
        .replicas
        .directories()
        .iter()
        .filter(|directory| directory.is_offline())
        .count();
    failed + broker.replicas.missing_directories().len()
}

fn gauges(broker: &BrokerState) -> Gauges {
    let image = broker.quorum.image();
    let assignments = Assignments::new(&image, &broker.config);
    let mut gauges = Gauges {
        offline_log_dirs: offline_directories(broker),
        groups: coordinator::gauges::collect(&broker.groups, broker),
        replication: replication_gauges(broker, &image, &assignments),
        ..Gauges::default()
    };
    for topic in broker.replicas.topics() {
        gauges.partitions += topic.cells().count();
        for cell in topic.cells() {
            gauges.cleaner.dirty_ratio_max = gauges.cleaner.dirty_ratio_max.max(cell.dirty_ratio());
            gauges.cleaner.uncleanable_partitions += usize::from(cell.is_uncleanable());
        }
        gauges.topics.push(TopicGauges {
            log_bytes: topic.cells().map(|cell| cell.inspect(PartitionLog::size_in_bytes)).sum(),
            flush_policy: assignments.flush_policy(&topic.name).name(),
            topic: topic.name.to_string(),
        });
    }
    gauges
}

fn replication_gauges(broker: &BrokerState, image: &ClusterImage, assignments: &Assignments<'_>) -> ReplicationGauges {
    let mut gauges = ReplicationGauges::default();
    for topic in image.topics().iter() {
        let isr_min = assignments.min_insync_replicas(&topic.name);
        for partition in topic.partitions.values() {
            let (in_sync, replicas) = (partition.isr.len(), partition.replicas.len());
            gauges.leaderless += usize::from(partition.leader.is_none());
            if partition.leader == broker.services.me {
                gauges.led += 1;
                gauges.under_replicated += usize::from(in_sync < replicas);
                gauges.under_min_isr += usize::from(in_sync < isr_min.min(replicas));
            }
        }
    }
    gauges
}
