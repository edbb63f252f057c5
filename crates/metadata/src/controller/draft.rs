//! The records that a decision is going to write, and the image as it will be then.
//!
//! Each part of a request is decided on what the parts before it have done.

use crate::image::ClusterImage;
use crate::record::MetadataRecord;

pub(super) struct Draft {
    image: ClusterImage,
    records: Vec<MetadataRecord>,
}

impl Draft {
    pub(super) fn new(image: &ClusterImage) -> Draft {
        Draft {
            image: image.clone(),
            records: Vec::new(),
        }
    }

    pub(super) fn image(&self) -> &ClusterImage {
        &self.image
    }

    pub(super) fn push(&mut self, record: impl Into<MetadataRecord>) {
        let record = record.into();
        self.image.apply(&record);
        self.records.push(record);
    }

    pub(super) fn extend(&mut self, records: impl IntoIterator<Item = MetadataRecord>) {
        records.into_iter().for_each(|record| self.push(record));
    }

    pub(super) fn records(&self) -> &[MetadataRecord] {
        &self.records
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Nothing is going to be written after all.
    pub(super) fn discard(&mut self) {
        self.records.clear();
    }

    pub(super) fn into_records(self) -> Vec<MetadataRecord> {
        self.records
    }
}
