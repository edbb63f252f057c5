//! `__consumer_offsets`: the topic that holds groups and committed offsets, created when somebody first looks for a coordinator.

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};

use crate::cluster::controller;
use crate::limits::CONTROLLER_TIMEOUT_MAX;
use crate::state::BrokerState;

pub(crate) const NAME: &str = "__consumer_offsets";

/// Has the controller create the topic. Returns when it can be used here, or could not be created, which is logged.
pub(super) async fn create(broker: &BrokerState) {
    let request = CreateTopicsRequest {
        topics: vec![topic(broker)],
        ..CreateTopicsRequest::default()
    };
    let failed = match controller::change(broker, ControllerRequest::CreateTopics(request), CONTROLLER_TIMEOUT_MAX).await {
        Ok(ControllerReply::CreateTopics(response)) => {
            let refused = response
                .topics
                .into_iter()
                .find(|topic| topic.error_code != ErrorCode::None.code() && topic.error_code != ErrorCode::TopicAlreadyExists.code());
            refused.map(|topic| topic.error_message.unwrap_or_default())
        }
        Ok(other) => unreachable!("the reply to CreateTopics is not {other:?}"),
        Err(refusal) => Some(refusal.to_string()),
    };
    if let Some(reason) = failed {
        tracing::error!("{NAME} cannot be created: {reason}");
    }
}

fn topic(broker: &BrokerState) -> CreatableTopic {
    let settings = broker.settings.load();
    let image = broker.quorum.image();
    let brokers = image.brokers().iter().filter(|broker| !broker.fenced).count();
    let replicas_max = i16::try_from(brokers.max(1)).unwrap_or(i16::MAX);
    let segment_bytes = settings.groups.topic_segment_bytes.to_string();
    let configs = [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("segment.bytes", &segment_bytes),
    ];
    CreatableTopic {
        name: NAME.to_string(),
        num_partitions: settings.groups.topic_partitions,
        replication_factor: settings.groups.topic_replication_factor.min(replicas_max),
        configs: configs.map(|(name, value)| config(name, value)).into(),
        ..CreatableTopic::default()
    }
}

fn config(name: &str, value: &str) -> CreatableTopicConfig {
    CreatableTopicConfig {
        name: name.to_string(),
        value: Some(value.to_string()),
        ..CreatableTopicConfig::default()
    }
}
