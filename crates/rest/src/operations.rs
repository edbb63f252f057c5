//! For operators and load balancers: whether the process lives, whether it can do its work, and its numbers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use crate::answer::{Answer, json};
use crate::media::JSON;
use crate::proxy::Proxy;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

pub(crate) fn routes() -> Router<Arc<Proxy>> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

async fn healthz() -> Response {
    with_type(json(&Status { status: "ok" }), JSON)
}

/// Asks the cluster, so that a proxy without one gets no requests.
async fn readyz(State(proxy): State<Arc<Proxy>>) -> Answer {
    proxy.admin().await?.describe_cluster(false).await?;
    Ok(with_type(json(&Status { status: "ready" }), JSON))
}

async fn metrics(State(proxy): State<Arc<Proxy>>) -> Response {
    let text = proxy.metrics.render(proxy.instances.count());
    with_type(Response::new(Body::from(text)), OPENMETRICS)
}

fn with_type(mut response: Response, content_type: &'static str) -> Response {
    let value = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
