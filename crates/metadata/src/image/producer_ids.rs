//! Which producer ids were given away.

use dohle_protocol::id::{BrokerId, ProducerId};

use crate::record::{MetadataRecord, ProducerIdsRecord};

/// The last block that was given away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProducerIdsImage {
    next: ProducerId,
    broker: BrokerId,
    broker_epoch: i64,
}

impl Default for ProducerIdsImage {
    fn default() -> Self {
        ProducerIdsImage {
            next: ProducerId(0),
            broker: BrokerId::NONE,
            broker_epoch: -1,
        }
    }
}

impl ProducerIdsImage {
    pub(super) fn next(&self) -> ProducerId {
        self.next
    }

    pub(super) fn set(&mut self, record: &ProducerIdsRecord) {
        let next = ProducerId(record.next_producer_id);
        assert!(
            next > self.next,
            "producer ids below {} are given away already, {next} is not",
            self.next
        );
        *self = ProducerIdsImage {
            next,
            broker: BrokerId(record.broker_id),
            broker_epoch: record.broker_epoch,
        };
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        if *self == ProducerIdsImage::default() {
            return;
        }
        let record = ProducerIdsRecord {
            broker_id: self.broker.0,
            broker_epoch: self.broker_epoch,
            next_producer_id: self.next.0,
            ..Default::default()
        };
        records.push(record.into());
    }
}
