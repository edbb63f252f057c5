//! Creating topics because somebody asked for their metadata (`auto.create.topics.enable`).

use std::collections::BTreeMap;

use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_metadata::topic_name;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};

use crate::cluster::controller;
use crate::limits::CONTROLLER_TIMEOUT_MIN;
use crate::state::BrokerState;

/// Creates topics with the default number of partitions and replicas. Returns why some were not created; those that somebody else created
/// meanwhile are not among them. Internal topics and impossible names are passed over.
pub(crate) async fn create(broker: &BrokerState, names: &[&str]) -> BTreeMap<String, ErrorCode> {
    let may_be_created = |name: &&&str| topic_name::validate(name).is_ok() && !topic_name::is_internal(name);
    let topics: Vec<CreatableTopic> = names.iter().filter(may_be_created).map(|name| default_topic(name)).collect();
    if topics.is_empty() {
        return BTreeMap::new();
    }
    let asked: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let request = CreateTopicsRequest {
        topics,
        ..CreateTopicsRequest::default()
    };
    // What the client asks for next by the same connection waits behind this.
    match controller::change(broker, ControllerRequest::CreateTopics(request), CONTROLLER_TIMEOUT_MIN).await {
        Ok(ControllerReply::CreateTopics(response)) => {
            let outcomes = response
                .topics
                .into_iter()
                .map(|topic| (topic.name, ErrorCode::from_code(topic.error_code)));
            outcomes
                .filter(|(_, error)| !matches!(error, ErrorCode::None | ErrorCode::TopicAlreadyExists))
                .collect()
        }
        Ok(other) => unreachable!("the reply to CreateTopics is not {other:?}"),
        Err(refusal) => {
            tracing::warn!("topics were not created automatically: {refusal}");
            // Clients ask again.
            asked.into_iter().map(|name| (name, ErrorCode::LeaderNotAvailable)).collect()
        }
    }
}

fn default_topic(name: &str) -> CreatableTopic {
    CreatableTopic {
        name: name.to_string(),
        num_partitions: -1,
        replication_factor: -1,
        ..CreatableTopic::default()
    }
}
