//! Every endpoint, and what is done around each: what the client accepts, errors of HTTP itself, counting, CORS.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::error::RestError;
use crate::media::Accepted;
use crate::proxy::Proxy;
use crate::{metrics, operations, v2};

pub(crate) fn router(proxy: &Arc<Proxy>) -> Router {
    let v2 = v2::routes()
        .fallback(async || RestError::http(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || RestError::http(StatusCode::METHOD_NOT_ALLOWED))
        .layer(middleware::from_fn(negotiate));
    let mut router = operations::routes()
        .merge(v2)
        .layer(middleware::from_fn_with_state(proxy.clone(), metrics::count));
    if !proxy.config.allowed_origins.is_empty() {
        router = router.layer(cors(&proxy.config.allowed_origins));
    }
    router.with_state(proxy.clone())
}

/// Refuses what the client would not understand, and names the type of what has none yet.
async fn negotiate(mut request: Request, next: Next) -> Response {
    let accepted = Accepted::of(request.headers());
    let content_type = accepted.plain();
    let mut response = if accepted.is_nothing() {
        RestError::http(StatusCode::NOT_ACCEPTABLE).into_response()
    } else {
        request.extensions_mut().insert(Arc::new(accepted));
        next.run(request).await
    };
    if response.status() != StatusCode::NO_CONTENT {
        let headers = response.headers_mut();
        headers
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(content_type));
    }
    response
}

fn cors(origins: &[String]) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::CONTENT_TYPE, header::ACCEPT]);
    if origins.iter().any(|origin| origin == "*") {
        return layer.allow_origin(Any);
    }
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    layer.allow_origin(AllowOrigin::list(origins))
}
