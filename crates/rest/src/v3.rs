//! Version 3 of the API: administration, and records as a stream. One file per subject; this is the list of its endpoints.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::body::RequestBody;
use crate::error::RestError;
use crate::media::Media;
use crate::proxy::Proxy;

mod batch;
mod broker_configs;
mod brokers;
mod cluster_configs;
mod clusters;
mod configs;
mod groups;
mod lags;
mod objects;
mod partitions;
mod record;
mod resource;
mod scope;
mod stream;
mod topic_configs;
mod topics;

pub(crate) fn routes() -> OpenApiRouter<Arc<Proxy>> {
    OpenApiRouter::new()
        .routes(routes!(clusters::list))
        .routes(routes!(clusters::get))
        .routes(routes!(cluster_configs::list))
        .routes(routes!(cluster_configs::get, cluster_configs::put, cluster_configs::reset))
        .routes(routes!(cluster_configs::alter))
        .routes(routes!(brokers::list))
        .routes(routes!(brokers::get))
        .routes(routes!(brokers::partition_replicas))
        .routes(routes!(broker_configs::list_all))
        .routes(routes!(broker_configs::list))
        .routes(routes!(broker_configs::get, broker_configs::put, broker_configs::reset))
        .routes(routes!(broker_configs::alter))
        .routes(routes!(topics::list, topics::create))
        .routes(routes!(topics::get, topics::update, topics::delete))
        .routes(routes!(topic_configs::list_all))
        .routes(routes!(topic_configs::list))
        .routes(routes!(topic_configs::get, topic_configs::put, topic_configs::reset))
        .routes(routes!(topic_configs::alter))
        .routes(routes!(partitions::list))
        .routes(routes!(partitions::get))
        .routes(routes!(partitions::offset))
        .routes(routes!(partitions::replicas))
        .routes(routes!(partitions::replica))
        .routes(routes!(groups::list))
        .routes(routes!(groups::get))
        .routes(routes!(groups::consumers))
        .routes(routes!(groups::consumer))
        .routes(routes!(groups::assignments))
        .routes(routes!(groups::assignment))
        .routes(routes!(lags::summary))
        .routes(routes!(lags::list))
        .routes(routes!(lags::get))
        .routes(routes!(stream::produce))
        .routes(routes!(batch::produce))
}

/// Version 3 knows no type but plain JSON.
fn parse<'a, T: Deserialize<'a>>(body: &'a RequestBody) -> Result<T, RestError> {
    match body.media() {
        Some(Media::Json) => body.parse(),
        None if body.is_empty() => body.parse(),
        _ => Err(RestError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
    }
}
