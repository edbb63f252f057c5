//! For operators and load balancers: whether the process lives, whether it can do its work, and its numbers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Answer, json};
use crate::error::ErrorBody;
use crate::media::JSON;
use crate::proxy::Proxy;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Serialize, ToSchema)]
struct Status {
    status: &'static str,
}

pub(crate) fn routes() -> OpenApiRouter<Arc<Proxy>> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses((status = 200, description = "The process lives", body = Status, content_type = "application/json"), (status = "default", description = "An error", body = ErrorBody))
)]
async fn healthz() -> Response {
    with_type(json(&Status { status: "ok" }), JSON)
}

/// Asks the cluster, so that a proxy without one gets no requests.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses((status = 200, description = "The cluster can be reached", body = Status, content_type = "application/json"), (status = "default", description = "An error", body = ErrorBody))
)]
async fn readyz(State(proxy): State<Arc<Proxy>>) -> Answer {
    proxy.admin().await?.describe_cluster(false).await?;
    Ok(with_type(json(&Status { status: "ready" }), JSON))
}

#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses((status = 200, description = "Numbers in the OpenMetrics format", body = String, content_type = "application/openmetrics-text"), (status = "default", description = "An error", body = ErrorBody))
)]
async fn metrics(State(proxy): State<Arc<Proxy>>) -> Response {
    let text = proxy.metrics.render(proxy.instances.count());
    with_type(Response::new(Body::from(text)), OPENMETRICS)
}

fn with_type(mut response: Response, content_type: &'static str) -> Response {
    let value = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
