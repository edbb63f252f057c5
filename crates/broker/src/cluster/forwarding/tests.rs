//! What arrives is what was sent, in whatever version it travels.

use dohle_protocol::messages::allocate_producer_ids::AllocateProducerIdsRequest;
use dohle_protocol::messages::broker_heartbeat::BrokerHeartbeatRequest;
use dohle_protocol::messages::broker_registration::BrokerRegistrationRequest;
use dohle_protocol::messages::delete_topics::DeleteTopicsResponse;
use dohle_protocol::messages::unregister_broker::UnregisterBrokerRequest;
use dohle_protocol::messages::update_features::{FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesResponse};

use super::*;

/// The request as the controller gets it.
fn arrived(request: &ControllerRequest) -> ControllerRequest {
    decode(encode(request).unwrap()).unwrap()
}

/// The reply to that request as the node gets it that passed it on.
fn returned(request: &ControllerRequest, reply: &ControllerReply) -> ControllerReply {
    let Forwarded { key, version, .. } = encode(request).unwrap();
    let (body, sentence) = encode_reply(reply, version).unwrap();
    decode_reply(key, version, body, sentence).unwrap()
}

#[test]
fn refusals_keep_their_sentences() {
    let refusal = Refusal::new(ErrorCode::InconsistentClusterId, "Expected cluster ID a, but got cluster ID b");
    let request = ControllerRequest::RegisterBroker(BrokerRegistrationRequest {
        broker_id: 3,
        previous_broker_epoch: 17,
        ..BrokerRegistrationRequest::default()
    });
    assert_eq!(arrived(&request), request);
    for outcome in [Ok(42), Err(refusal.clone())] {
        let reply = ControllerReply::RegisterBroker(outcome);
        assert_eq!(returned(&request, &reply), reply);
    }
    let request = ControllerRequest::UnregisterBroker(UnregisterBrokerRequest::default());
    let reply = ControllerReply::UnregisterBroker(Err(refusal.clone()));
    assert_eq!(returned(&request, &reply), reply);
    let request = ControllerRequest::AllocateProducerIds(AllocateProducerIdsRequest::default());
    let block = ProducerIdBlock {
        first: ProducerId(1000),
        len: 1000,
    };
    for outcome in [Ok(block), Err(refusal)] {
        let reply = ControllerReply::AllocateProducerIds(outcome);
        assert_eq!(returned(&request, &reply), reply);
    }
}

#[test]
fn a_heartbeat_says_whether_the_broker_may_stop() {
    let request = ControllerRequest::BrokerHeartbeat(BrokerHeartbeatRequest {
        want_shut_down: true,
        ..BrokerHeartbeatRequest::default()
    });
    assert_eq!(arrived(&request), request);
    let state = BrokerState {
        caught_up: true,
        fenced: true,
        in_controlled_shutdown: true,
        should_shut_down: true,
    };
    let reply = ControllerReply::BrokerHeartbeat(Ok(state));
    assert_eq!(returned(&request, &reply), reply);
}

#[test]
fn what_only_old_versions_say_is_said_all_the_same() {
    let request = ControllerRequest::DeleteTopics(DeleteTopicsRequest {
        topic_names: vec!["t".to_owned()],
        timeout_ms: 5,
        ..DeleteTopicsRequest::default()
    });
    let ControllerRequest::DeleteTopics(found) = arrived(&request) else {
        panic!("another request arrived")
    };
    assert_eq!(found.topics[0].name.as_deref(), Some("t"));
    assert_eq!(found.timeout_ms, 5);
    let reply = ControllerReply::DeleteTopics(DeleteTopicsResponse::default());
    assert_eq!(returned(&request, &reply), reply);

    for allow_downgrade in [false, true] {
        let update = FeatureUpdateKey {
            feature: "f".to_owned(),
            max_version_level: 1,
            allow_downgrade,
            ..FeatureUpdateKey::default()
        };
        let request = ControllerRequest::UpdateFeatures(UpdateFeaturesRequest {
            feature_updates: vec![update],
            ..UpdateFeaturesRequest::default()
        });
        assert_eq!(arrived(&request), request);
        let result = UpdatableFeatureResult {
            feature: "f".to_owned(),
            ..UpdatableFeatureResult::default()
        };
        let reply = ControllerReply::UpdateFeatures(UpdateFeaturesResponse {
            results: vec![result],
            ..UpdateFeaturesResponse::default()
        });
        assert_eq!(returned(&request, &reply), reply);
    }
}

#[test]
fn what_is_not_for_others_is_not_passed_on() {
    assert!(encode(&ControllerRequest::FenceSilentBrokers).is_err());
    let produce = Forwarded {
        key: ApiKey::Produce,
        version: 9,
        body: Bytes::new(),
    };
    assert!(decode(produce).is_err());
    let too_new = Forwarded {
        key: ApiKey::UnregisterBroker,
        version: 99,
        body: Bytes::new(),
    };
    assert!(decode(too_new).is_err());
}
