//! DescribeConfigs: the keys of topics and brokers with their values, where those come from, and what stands behind them.

use std::sync::Arc;

use dohle_metadata::config::broker::BrokerView;
use dohle_metadata::config::described::{DescribedConfig, describe_broker, describe_topic};
use dohle_metadata::config::resource::ConfigResource;
use dohle_metadata::config::source::ConfigSource;
use dohle_metadata::image::ClusterImage;
use dohle_metadata::topic_name;
use dohle_protocol::id::BrokerId;
use dohle_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::config;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

type Refusal = (ErrorCode, String);

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let image = broker.quorum.image();
    let describe = |resource: DescribeConfigsResource| {
        let wanted = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
        let is_wanted = |config: &DescribedConfig| wanted.is_none_or(|keys| keys.iter().any(|key| key == config.name));
        let (configs, (error, message)) = match describe(broker, &image, resource.resource_type, &resource.resource_name) {
            Ok(configs) => (configs, (ErrorCode::None, String::new())),
            Err((error, message)) => (Vec::new(), (error, message)),
        };
        let shown = configs.into_iter().filter(is_wanted);
        DescribeConfigsResult {
            error_code: error.code(),
            error_message: Some(message),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs: shown
                .map(|config| to_wire(config, request.include_synonyms, request.include_documentation))
                .collect(),
            ..DescribeConfigsResult::default()
        }
    };
    let results: Vec<DescribeConfigsResult> = request.resources.into_iter().map(describe).collect();
    broker
        .metrics
        .errors(ApiKey::DescribeConfigs, results.iter().map(|result| result.error_code));
    DescribeConfigsResponse {
        results,
        ..DescribeConfigsResponse::default()
    }
}

fn describe(broker: &BrokerState, image: &ClusterImage, kind: i8, name: &str) -> Result<Vec<DescribedConfig>, Refusal> {
    let me = BrokerId(broker.config.node_id);
    let view = BrokerView::of(image, me, broker.config.values.as_map());
    match kind {
        ConfigResource::TOPIC => {
            topic_name::validate(name).map_err(|error| (ErrorCode::InvalidTopicException, error.to_string()))?;
            image
                .topic(name)
                .ok_or_else(|| (ErrorCode::UnknownTopicOrPartition, format!("there is no topic {name}")))?;
            Ok(describe_topic(image.topic_config(name), view))
        }
        ConfigResource::BROKER if name.is_empty() => {
            let configs = describe_broker(&config::broker_keys_in_order(), view).into_iter();
            Ok(configs.filter_map(for_all_brokers).collect())
        }
        ConfigResource::BROKER if name.parse() == Ok(me.0) => Ok(describe_broker(&config::broker_keys_in_order(), view)),
        ConfigResource::BROKER => Err((
            ErrorCode::InvalidRequest,
            format!("this is broker {me}; ask it for its own name, or for all brokers with an empty one"),
        )),
        ConfigResource::BROKER_LOGGER | ConfigResource::CLIENT_METRICS | ConfigResource::GROUP => Err((
            ErrorCode::InvalidRequest,
            format!("resources of type {kind} have no configuration here"),
        )),
        _ => Err((ErrorCode::InvalidRequest, format!("there is no resource type {kind}"))),
    }
}

/// Of what holds for all brokers only that is shown which was altered for all of them.
fn for_all_brokers(mut config: DescribedConfig) -> Option<DescribedConfig> {
    config
        .synonyms
        .retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
    let altered = config.synonyms.first()?;
    config.value = altered.value.clone();
    config.source = altered.source;
    Some(config)
}

fn to_wire(config: DescribedConfig, include_synonyms: bool, include_documentation: bool) -> DescribeConfigsResourceResult {
    let synonyms = config.synonyms.into_iter().filter(|_| include_synonyms);
    DescribeConfigsResourceResult {
        name: config.name.to_string(),
        value: config.value,
        read_only: config.read_only,
        config_source: config.source.code(),
        is_sensitive: config.sensitive,
        synonyms: synonyms
            .map(|synonym| DescribeConfigsSynonym {
                name: synonym.name.to_string(),
                value: synonym.value,
                source: synonym.source.code(),
                ..DescribeConfigsSynonym::default()
            })
            .collect(),
        config_type: config.wire_type,
        documentation: include_documentation.then(|| config.doc.to_string()),
        ..DescribeConfigsResourceResult::default()
    }
}
