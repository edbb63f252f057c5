//! UpdateFeatures.

use super::*;
use dohle_protocol::messages::update_features::FeatureUpdateKey;

fn update(feature: &str, max_version_level: i16, upgrade_type: i8) -> FeatureUpdateKey {
    FeatureUpdateKey {
        feature: feature.to_owned(),
        max_version_level,
        upgrade_type,
        ..Default::default()
    }
}

fn ask(cluster: &mut Cluster, feature_updates: Vec<FeatureUpdateKey>) -> UpdateFeaturesResponse {
    let request = UpdateFeaturesRequest {
        feature_updates,
        ..Default::default()
    };
    let ControllerReply::UpdateFeatures(response) = cluster.ask(ControllerRequest::UpdateFeatures(request)) else {
        unreachable!()
    };
    response
}

#[test]
fn only_levels_that_are_known_can_be_set_and_all_or_none() {
    let good = || update(METADATA_FEATURE, 1, 1);
    let table = [
        (vec![good()], ErrorCode::None),
        (vec![update(METADATA_FEATURE, 2, 1)], ErrorCode::InvalidUpdateVersion),
        (vec![update(METADATA_FEATURE, 0, 3)], ErrorCode::InvalidUpdateVersion),
        (vec![update(METADATA_FEATURE, 1, 0)], ErrorCode::InvalidUpdateVersion),
        (vec![update("metadata.version", 20, 1)], ErrorCode::InvalidUpdateVersion),
        (vec![good(), update("x", 1, 1)], ErrorCode::InvalidUpdateVersion),
        (vec![good(), good()], ErrorCode::InvalidRequest),
    ];
    for (updates, code) in table {
        let mut cluster = Cluster::of(1);
        let before = cluster.image.clone();
        let response = ask(&mut cluster, updates.clone());
        assert_eq!(ErrorCode::from_code(response.error_code), code, "{updates:?}");
        assert_eq!(response.error_message.is_some(), code != ErrorCode::None);
        assert_eq!(response.results.len(), updates.len());
        assert_eq!(cluster.image, before);
    }
}
