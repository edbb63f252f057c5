//! UpdateFeatures: another level of a feature for the whole cluster; decided by the controller.

use std::sync::Arc;

use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::update_features::{UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::cluster::controller;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let named = request.feature_updates.iter().map(|update| update.feature.clone()).collect();
    let timeout = controller::timeout(request.timeout_ms);
    let response = match controller::change(broker, ControllerRequest::UpdateFeatures(request), timeout).await {
        Ok(ControllerReply::UpdateFeatures(response)) => response,
        Ok(other) => unreachable!("the reply to UpdateFeatures is not {other:?}"),
        Err(refusal) => refused(named, &refusal),
    };
    broker.metrics.errors(ApiKey::UpdateFeatures, [response.error_code]);
    response
}

fn refused(named: Vec<String>, refusal: &Refusal) -> UpdateFeaturesResponse {
    let results = named.into_iter().map(|feature| UpdatableFeatureResult {
        feature,
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        ..UpdatableFeatureResult::default()
    });
    UpdateFeaturesResponse {
        error_code: refusal.code.code(),
        error_message: Some(refusal.message.clone()),
        results: results.collect(),
        ..UpdateFeaturesResponse::default()
    }
}
