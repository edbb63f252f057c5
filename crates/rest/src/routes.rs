//! Every endpoint, and what is done around each: what the client accepts, errors of HTTP itself, counting, CORS.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::error::RestError;
use crate::media::{Accepted, JSON};
use crate::proxy::Proxy;
use crate::{metrics, operations, v2, v3};

pub(crate) fn router(proxy: &Arc<Proxy>) -> Router {
    let (operations, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(operations::routes())
        .split_for_parts();
    let (v2, records) = v2::routes().split_for_parts();
    document.merge(records);
    let v2 = v2
        .fallback(async || RestError::http(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || RestError::http(StatusCode::METHOD_NOT_ALLOWED))
        .layer(middleware::from_fn(negotiate));
    let (v3, administration) = v3::routes().split_for_parts();
    document.merge(administration);
    let v3 = v3
        .method_not_allowed_fallback(async || RestError::http(StatusCode::METHOD_NOT_ALLOWED))
        .layer(middleware::from_fn(negotiate_json));
    let mut router = operations
        .merge(openapi(&document))
        .merge(v2)
        .merge(v3)
        .layer(middleware::from_fn_with_state(proxy.clone(), metrics::count));
    if !proxy.config.allowed_origins.is_empty() {
        router = router.layer(cors(&proxy.config.allowed_origins));
    }
    router.with_state(proxy.clone())
}

/// What the document says of itself; the rest comes from the routes.
#[derive(OpenApi)]
#[openapi(info(title = "Dohle's REST proxy"))]
struct Document;

/// The description of all endpoints, made once.
fn openapi(document: &utoipa::openapi::OpenApi) -> Router<Arc<Proxy>> {
    let text = Bytes::from(document.to_json().expect("plain data into memory"));
    Router::new().route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, JSON)], text)))
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

/// Version 3 speaks plain JSON alone.
async fn negotiate_json(request: Request, next: Next) -> Response {
    let mut response = if Accepted::of(request.headers()).json() {
        next.run(request).await
    } else {
        RestError::http(StatusCode::NOT_ACCEPTABLE).into_response()
    };
    if response.status() != StatusCode::NO_CONTENT {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
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
