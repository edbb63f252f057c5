//! Requests to the controller as they travel from node to node: as requests of the protocol, and their replies as its responses.

use bytes::Bytes;
use dohle_metadata::controller::brokers::{self, BrokerState};
use dohle_metadata::controller::producer_ids::ProducerIdBlock;
use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::id::ProducerId;
use dohle_protocol::messages::allocate_producer_ids::AllocateProducerIdsResponse;
use dohle_protocol::messages::broker_heartbeat::BrokerHeartbeatResponse;
use dohle_protocol::messages::broker_registration::BrokerRegistrationResponse;
use dohle_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use dohle_protocol::messages::unregister_broker::UnregisterBrokerResponse;
use dohle_protocol::messages::update_features::UpdateFeaturesRequest;
use dohle_protocol::messages::{
    alter_configs, alter_partition, alter_partition_reassignments, create_partitions, create_topics, elect_leaders,
    incremental_alter_configs, list_partition_reassignments,
};
use dohle_protocol::wire::{Decoder, Encoder};
use dohle_protocol::{ApiKey, ErrorCode, Message, Request};

/// A request without its header.
#[derive(Debug, Clone)]
pub(crate) struct Forwarded {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) body: Bytes,
}

/// Those whose reply is the response itself.
macro_rules! plain {
    ($($variant:ident($request:ty),)*) => {
        fn encode_plain(request: &ControllerRequest) -> Result<Forwarded, Refusal> {
            match request {
                $(ControllerRequest::$variant(request) => newest(request),)*
                other => Err(unfit(&format!("{other:?} is for the controller's own node"))),
            }
        }

        fn decode_plain(key: ApiKey, version: i16, body: Bytes) -> Result<ControllerRequest, Refusal> {
            match key {
                $(<$request as Request>::KEY => Ok(ControllerRequest::$variant(decode_message(version, body)?)),)*
                other => Err(unfit(&format!("{other} is not for the controller"))),
            }
        }

        fn encode_plain_reply(reply: &ControllerReply, version: i16) -> Result<Bytes, Refusal> {
            match reply {
                $(ControllerReply::$variant(response) => encode_message(response, version),)*
                other => Err(unfit(&format!("{other:?} is for the controller's own node"))),
            }
        }

        fn decode_plain_reply(key: ApiKey, version: i16, body: Bytes) -> Result<ControllerReply, Refusal> {
            match key {
                $(<$request as Request>::KEY => Ok(ControllerReply::$variant(decode_message(version, body)?)),)*
                other => Err(unfit(&format!("{other} is not for the controller"))),
            }
        }
    };
}

plain! {
    CreateTopics(create_topics::CreateTopicsRequest),
    DeleteTopics(DeleteTopicsRequest),
    CreatePartitions(create_partitions::CreatePartitionsRequest),
    AlterConfigs(alter_configs::AlterConfigsRequest),
    IncrementalAlterConfigs(incremental_alter_configs::IncrementalAlterConfigsRequest),
    AlterPartition(alter_partition::AlterPartitionRequest),
    ElectLeaders(elect_leaders::ElectLeadersRequest),
    AlterPartitionReassignments(alter_partition_reassignments::AlterPartitionReassignmentsRequest),
    ListPartitionReassignments(list_partition_reassignments::ListPartitionReassignmentsRequest),
    UpdateFeatures(UpdateFeaturesRequest),
}

/// In the newest version, except where an older one says more.
pub(crate) fn encode(request: &ControllerRequest) -> Result<Forwarded, Refusal> {
    match request {
        ControllerRequest::RegisterBroker(request) => newest(request),
        ControllerRequest::BrokerHeartbeat(request) => newest(request),
        ControllerRequest::UnregisterBroker(request) => newest(request),
        ControllerRequest::AllocateProducerIds(request) => newest(request),
        ControllerRequest::DeleteTopics(request) => newest(&by_name_or_id(request)),
        // The last version whose response speaks of each feature; the first has another way to allow a lower level.
        ControllerRequest::UpdateFeatures(request) => {
            let is_oldest = request.feature_updates.iter().any(|update| update.allow_downgrade);
            in_version(request, if is_oldest { 0 } else { 1 })
        }
        other => encode_plain(other),
    }
}

/// What was asked for.
pub(crate) fn decode(forwarded: Forwarded) -> Result<ControllerRequest, Refusal> {
    let Forwarded { key, version, body } = forwarded;
    if !key.valid_versions().contains(&version) {
        return Err(unfit(&format!("version {version} of {key} is not known")));
    }
    Ok(match key {
        ApiKey::BrokerRegistration => ControllerRequest::RegisterBroker(decode_message(version, body)?),
        ApiKey::BrokerHeartbeat => ControllerRequest::BrokerHeartbeat(decode_message(version, body)?),
        ApiKey::UnregisterBroker => ControllerRequest::UnregisterBroker(decode_message(version, body)?),
        ApiKey::AllocateProducerIds => ControllerRequest::AllocateProducerIds(decode_message(version, body)?),
        _ => return decode_plain(key, version, body),
    })
}

/// The response, and the sentence of a refusal for which it has no room.
pub(crate) fn encode_reply(reply: &ControllerReply, version: i16) -> Result<(Bytes, Option<String>), Refusal> {
    let sentence = match reply {
        ControllerReply::RegisterBroker(Err(refusal))
        | ControllerReply::BrokerHeartbeat(Err(refusal))
        | ControllerReply::AllocateProducerIds(Err(refusal)) => Some(refusal.message.clone()),
        _ => None,
    };
    let body = match reply {
        ControllerReply::RegisterBroker(outcome) => encode_message(&brokers::registration_response(outcome), version)?,
        ControllerReply::BrokerHeartbeat(outcome) => encode_message(&brokers::heartbeat_response(outcome), version)?,
        ControllerReply::UnregisterBroker(outcome) => encode_message(&unregistered(outcome.clone()), version)?,
        ControllerReply::AllocateProducerIds(outcome) => encode_message(&allocated(outcome), version)?,
        other => encode_plain_reply(other, version)?,
    };
    Ok((body, sentence))
}

/// The reply to a request of this kind.
pub(crate) fn decode_reply(key: ApiKey, version: i16, body: Bytes, sentence: Option<String>) -> Result<ControllerReply, Refusal> {
    Ok(match key {
        ApiKey::BrokerRegistration => {
            let response: BrokerRegistrationResponse = decode_message(version, body)?;
            ControllerReply::RegisterBroker(outcome(response.error_code, sentence).map(|()| response.broker_epoch))
        }
        ApiKey::BrokerHeartbeat => {
            let response: BrokerHeartbeatResponse = decode_message(version, body)?;
            ControllerReply::BrokerHeartbeat(outcome(response.error_code, sentence).map(|()| BrokerState {
                caught_up: response.is_caught_up,
                fenced: response.is_fenced,
                in_controlled_shutdown: response.should_shut_down,
                should_shut_down: response.should_shut_down,
            }))
        }
        ApiKey::UnregisterBroker => {
            let response: UnregisterBrokerResponse = decode_message(version, body)?;
            ControllerReply::UnregisterBroker(outcome(response.error_code, response.error_message))
        }
        ApiKey::AllocateProducerIds => {
            let response: AllocateProducerIdsResponse = decode_message(version, body)?;
            ControllerReply::AllocateProducerIds(outcome(response.error_code, sentence).map(|()| ProducerIdBlock {
                first: ProducerId(response.producer_id_start),
                len: response.producer_id_len.into(),
            }))
        }
        _ => return decode_plain_reply(key, version, body),
    })
}

/// Whether asking twice is the same as asking once, apart from epochs and ids that are left out.
pub(crate) fn may_be_repeated(key: ApiKey) -> bool {
    !matches!(
        key,
        ApiKey::CreateTopics | ApiKey::DeleteTopics | ApiKey::CreatePartitions | ApiKey::AddRaftVoter | ApiKey::RemoveRaftVoter
    )
}

/// The response to AllocateProducerIds.
pub(crate) fn allocated(outcome: &Result<ProducerIdBlock, Refusal>) -> AllocateProducerIdsResponse {
    match outcome {
        Ok(block) => AllocateProducerIdsResponse {
            producer_id_start: block.first.0,
            producer_id_len: i32::try_from(block.len).unwrap_or(i32::MAX),
            ..AllocateProducerIdsResponse::default()
        },
        Err(refusal) => AllocateProducerIdsResponse {
            error_code: refusal.code.code(),
            ..AllocateProducerIdsResponse::default()
        },
    }
}

fn unregistered(outcome: Result<(), Refusal>) -> UnregisterBrokerResponse {
    outcome.map_or_else(
        |refusal| UnregisterBrokerResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..UnregisterBrokerResponse::default()
        },
        |()| UnregisterBrokerResponse::default(),
    )
}

/// Versions before 6 have a list of names, which later ones lack.
fn by_name_or_id(request: &DeleteTopicsRequest) -> DeleteTopicsRequest {
    let mut request = request.clone();
    let named = std::mem::take(&mut request.topic_names).into_iter().map(|name| DeleteTopicState {
        name: Some(name),
        ..DeleteTopicState::default()
    });
    request.topics.extend(named);
    request
}

fn outcome(error_code: i16, sentence: Option<String>) -> Result<(), Refusal> {
    match ErrorCode::from_code(error_code) {
        ErrorCode::None => Ok(()),
        code => Err(Refusal::new(code, sentence.unwrap_or_else(|| code.message().to_owned()))),
    }
}

fn newest<R: Request>(request: &R) -> Result<Forwarded, Refusal> {
    in_version(request, *R::KEY.valid_versions().end())
}

fn in_version<R: Request>(request: &R, version: i16) -> Result<Forwarded, Refusal> {
    Ok(Forwarded {
        key: R::KEY,
        version,
        body: encode_message(request, version)?,
    })
}

pub(crate) fn encode_message<M: Message>(message: &M, version: i16) -> Result<Bytes, Refusal> {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version).map_err(|error| unfit(&error.to_string()))?;
    Ok(encoder.finish().to_bytes())
}

pub(crate) fn decode_message<M: Message>(version: i16, body: Bytes) -> Result<M, Refusal> {
    M::decode(&mut Decoder::new(body), version).map_err(|error| unfit(&error.to_string()))
}

fn unfit(why: &str) -> Refusal {
    Refusal::new(
        ErrorCode::InvalidRequest,
        format!("The request cannot be passed on to the controller: {why}"),
    )
}

#[cfg(test)]
mod tests;
