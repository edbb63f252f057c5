//! UpdateFeatures: the levels that this program knows.

use std::collections::BTreeSet;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::update_features::{FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::draft::Draft;
use super::refusal::{Refusal, wire_error};
use super::{METADATA_FEATURE, METADATA_LEVEL};
use crate::record::FeatureLevelRecord;

/// Name, first level, last level.
const SUPPORTED: &[(&str, i16, i16)] = &[(METADATA_FEATURE, 1, METADATA_LEVEL)];

const UPGRADE: i8 = 1;
const UNSAFE_DOWNGRADE: i8 = 3;

/// All of the updates, or none.
pub(super) fn update_features(draft: &mut Draft, request: &UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let mut names = BTreeSet::new();
    let mut outcome_of = |update: &FeatureUpdateKey| {
        if names.insert(update.feature.clone()) {
            update_feature(draft, update)
        } else {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate feature name."))
        }
    };
    let failed = request.feature_updates.iter().find_map(|update| outcome_of(update).err());
    if failed.is_some() || request.validate_only {
        draft.discard();
    }
    let (error_code, error_message) = wire_error(&failed.map_or(Ok(()), Err));
    let to_result = |update: &FeatureUpdateKey| UpdatableFeatureResult {
        feature: update.feature.clone(),
        error_code,
        error_message: error_message.clone(),
        ..Default::default()
    };
    UpdateFeaturesResponse {
        error_code,
        error_message: error_message.clone(),
        results: request.feature_updates.iter().map(to_result).collect(),
        ..Default::default()
    }
}

fn update_feature(draft: &mut Draft, update: &FeatureUpdateKey) -> Result<(), Refusal> {
    let (name, level) = (&update.feature, update.max_version_level);
    let refuse = |reason: String| {
        let message = format!("Invalid update version {level} for feature {name}. {reason}");
        Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message))
    };
    if !(UPGRADE..=UNSAFE_DOWNGRADE).contains(&update.upgrade_type) {
        return refuse("The controller does not support the given upgrade type.".to_owned());
    }
    let Some((_, first, last)) = SUPPORTED.iter().find(|(supported, ..)| supported == name) else {
        return refuse("This controller does not support this feature.".to_owned());
    };
    if !(*first..=*last).contains(&level) {
        return refuse(format!("This controller supports the levels {first} to {last}."));
    }
    let current = draft.image().features().level(name);
    if level < current && update.upgrade_type == UPGRADE && !update.allow_downgrade {
        return refuse("A lower level needs a safe or an unsafe downgrade.".to_owned());
    }
    if level != current {
        draft.push(FeatureLevelRecord {
            name: name.clone(),
            level,
            ..Default::default()
        });
    }
    Ok(())
}
