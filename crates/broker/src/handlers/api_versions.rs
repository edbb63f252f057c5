//! ApiVersions: what a listener serves, derived from its dispatch table.

use std::sync::Arc;

use dohle_protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::dispatch::{self, RequestContext};
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let error = match () {
        () if !request.has_valid_client(ctx.api_version) => ErrorCode::InvalidRequest,
        () if request.cluster_id.is_some() != (request.node_id >= 0) => ErrorCode::InvalidRequest,
        () if request.cluster_id.as_ref().is_some_and(|id| *id != broker.cluster_id()) => ErrorCode::RebootstrapRequired,
        () if request.node_id >= 0 && request.node_id != broker.config.node_id => ErrorCode::RebootstrapRequired,
        () => ErrorCode::None,
    };
    if error != ErrorCode::None {
        return ApiVersionsResponse {
            error_code: error.code(),
            ..ApiVersionsResponse::default()
        };
    }
    let public = dispatch::served_by(&ctx.connection.listener)
        .iter()
        .filter(|api| !api.key.is_private());
    let mut api_keys: Vec<ApiVersion> = public.map(|api| served(api.key)).collect();
    api_keys.sort_by_key(|api| api.api_key);
    ApiVersionsResponse {
        api_keys,
        finalized_features_epoch: broker.quorum.version().offset.0.max(0),
        ..ApiVersionsResponse::default()
    }
}

/// The answer, in version 0, to a version of ApiVersions that is not served: the client tries again with one that is (KIP-511).
pub(crate) fn unsupported_version() -> ApiVersionsResponse {
    let error_code = ErrorCode::UnsupportedVersion.code();
    ApiVersionsResponse {
        error_code,
        api_keys: vec![served(ApiKey::ApiVersions)],
        ..ApiVersionsResponse::default()
    }
}

fn served(key: ApiKey) -> ApiVersion {
    let versions = key.valid_versions();
    // Clients that compare ranges before they produce expect Produce to begin at 0, though nobody sends 0 to 2 any more (KAFKA-18659).
    let min_version = if key == ApiKey::Produce { 0 } else { *versions.start() };
    ApiVersion {
        api_key: key.code(),
        min_version,
        max_version: *versions.end(),
        ..ApiVersion::default()
    }
}
