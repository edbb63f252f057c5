//! ListConfigResources: what has a configuration. Version 0 asks for client metrics only, of which there are none.

use std::sync::Arc;

use dohle_metadata::config::resource::ConfigResource as Kind;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::list_config_resources::{ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse};

use crate::dispatch::RequestContext;
use crate::state::BrokerState;

const KINDS: [i8; 5] = [Kind::TOPIC, Kind::BROKER, Kind::BROKER_LOGGER, Kind::CLIENT_METRICS, Kind::GROUP];

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    ctx: &RequestContext,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    if request.resource_types.iter().any(|kind| !KINDS.contains(kind)) {
        return ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..ListConfigResourcesResponse::default()
        };
    }
    let is_asked = |kind: i8| ctx.api_version > 0 && (request.resource_types.is_empty() || request.resource_types.contains(&kind));
    let image = broker.quorum.image();
    let named = |resource_type: i8, resource_name: String| ConfigResource {
        resource_name,
        resource_type,
        ..ConfigResource::default()
    };
    let mut config_resources = Vec::new();
    if is_asked(Kind::TOPIC) {
        config_resources.extend(image.topics().iter().map(|topic| named(Kind::TOPIC, topic.name.to_string())));
    }
    if is_asked(Kind::BROKER) {
        config_resources.extend(
            image
                .brokers()
                .iter()
                .map(|registered| named(Kind::BROKER, registered.id.to_string())),
        );
    }
    ListConfigResourcesResponse {
        config_resources,
        ..ListConfigResourcesResponse::default()
    }
}
