//! Partitions that are not here: a client that asks for one is to know whether another broker has it, or nobody.

use dohle_protocol::ErrorCode;
use dohle_protocol::id::PartitionIndex;
use dohle_replication::TopicRef;

use crate::state::BrokerState;

/// `error`, unless it says that there is no such partition while there is one on other brokers.
pub(crate) fn or(broker: &BrokerState, topic: &TopicRef, partition: i32, error: ErrorCode) -> ErrorCode {
    if !matches!(error, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId) {
        return error;
    }
    let image = broker.quorum.image();
    let topic = match topic {
        TopicRef::Name(name) => image.topic(name),
        TopicRef::Id(id) => image.topic_by_id(*id),
    };
    let partition = topic.and_then(|topic| topic.partitions.get(&PartitionIndex(partition)));
    match partition {
        // One that is to be here and is not yet is unknown for the moment.
        Some(partition) if !partition.replicas.contains(&broker.services.me) => ErrorCode::NotLeaderOrFollower,
        _ => error,
    }
}

/// The same, for a topic that is named.
pub(crate) fn or_by_name(broker: &BrokerState, topic: &str, partition: i32, error: ErrorCode) -> ErrorCode {
    or(broker, &TopicRef::Name(topic.to_owned()), partition, error)
}
