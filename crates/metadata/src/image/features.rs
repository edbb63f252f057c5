//! The formats and protocols that the whole cluster has agreed on.

use std::sync::Arc;

use super::shared_map::SharedMap;
use crate::record::{FeatureLevelRecord, MetadataRecord};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeaturesImage {
    levels: SharedMap<Arc<str>, i16>,
}

impl FeaturesImage {
    /// 0: the feature is not used.
    pub fn level(&self, name: &str) -> i16 {
        self.levels.get(name).copied().unwrap_or(0)
    }

    /// In the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i16)> {
        self.levels.iter().map(|(name, level)| (&**name, *level))
    }

    pub(super) fn set(&mut self, record: &FeatureLevelRecord) {
        match record.level {
            0 => self.levels.remove(record.name.as_str()),
            level => self.levels.insert(record.name.as_str().into(), level),
        };
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        let to_record = |(name, level): (&str, i16)| {
            FeatureLevelRecord {
                name: name.to_owned(),
                level,
                ..Default::default()
            }
            .into()
        };
        records.extend(self.iter().map(to_record));
    }
}
