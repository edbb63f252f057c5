//! The registered brokers.

use std::sync::Arc;

use dohle_protocol::id::BrokerId;
use uuid::Uuid;

use super::shared_map::SharedMap;
use crate::record::{BrokerChangeRecord, BrokerEndpoint, MetadataRecord, RegisterBrokerRecord, UnregisterBrokerRecord};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct BrokersImage {
    by_id: SharedMap<BrokerId, Arc<BrokerImage>>,
    /// The last epochs of those that were unregistered: whoever has such an id next is not to be taken for an earlier process.
    unregistered: SharedMap<BrokerId, i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BrokerImage {
    pub id: BrokerId,
    /// Drawn by the process at its start.
    pub incarnation_id: Uuid,
    /// Rises with each registration of the id.
    pub epoch: i64,
    pub endpoints: Vec<BrokerEndpoint>,
    pub rack: Option<String>,
    /// Registered, but not heard of (yet, or any more): leads nothing.
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
}

impl BrokerImage {
    /// Whether the broker may lead and be in sync.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    pub fn endpoint(&self, listener: &str) -> Option<&BrokerEndpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == listener)
    }
}

impl BrokersImage {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub fn get(&self, id: BrokerId) -> Option<&Arc<BrokerImage>> {
        self.by_id.get(&id)
    }

    pub fn is_active(&self, id: BrokerId) -> bool {
        self.get(id).is_some_and(|broker| broker.is_active())
    }

    /// Of the last registration of the id, whether it is valid or not.
    pub fn last_epoch(&self, id: BrokerId) -> Option<i64> {
        let registered = self.get(id).map(|broker| broker.epoch);
        registered.or_else(|| self.unregistered.get(&id).copied())
    }

    /// In the order of the ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<BrokerImage>> {
        self.by_id.values()
    }

    pub(crate) fn by_id(&self) -> &SharedMap<BrokerId, Arc<BrokerImage>> {
        &self.by_id
    }

    pub(super) fn register(&mut self, record: &RegisterBrokerRecord) {
        let broker = BrokerImage {
            id: BrokerId(record.broker_id),
            incarnation_id: record.incarnation_id,
            epoch: record.broker_epoch,
            endpoints: record.endpoints.clone(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
        };
        self.unregistered.remove(&broker.id);
        self.by_id.insert(broker.id, Arc::new(broker));
    }

    pub(super) fn change(&mut self, record: &BrokerChangeRecord) {
        let broker = self
            .by_id
            .get_mut(&BrokerId(record.broker_id))
            .expect("only a registered broker changes");
        let broker = Arc::make_mut(broker);
        assert_eq!(
            broker.epoch, record.broker_epoch,
            "a change of broker {} is of another registration",
            record.broker_id
        );
        match record.fenced {
            0 => {}
            change => broker.fenced = change > 0,
        }
        broker.in_controlled_shutdown |= record.in_controlled_shutdown > 0;
    }

    pub(super) fn unregister(&mut self, record: &UnregisterBrokerRecord) {
        let broker = self.by_id.remove(&BrokerId(record.broker_id));
        let broker = broker.expect("only a registered broker is unregistered");
        assert_eq!(
            broker.epoch, record.broker_epoch,
            "broker {} was registered again",
            record.broker_id
        );
        self.unregistered.insert(BrokerId(record.broker_id), record.broker_epoch);
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        records.extend(self.iter().map(|broker| {
            let record = RegisterBrokerRecord {
                broker_id: broker.id.0,
                incarnation_id: broker.incarnation_id,
                broker_epoch: broker.epoch,
                endpoints: broker.endpoints.clone(),
                rack: broker.rack.clone(),
                fenced: broker.fenced,
                in_controlled_shutdown: broker.in_controlled_shutdown,
                ..Default::default()
            };
            record.into()
        }));
        for (id, epoch) in self.unregistered.iter() {
            let (broker_id, broker_epoch) = (id.0, *epoch);
            let come = RegisterBrokerRecord {
                broker_id,
                broker_epoch,
                ..Default::default()
            };
            let gone = UnregisterBrokerRecord {
                broker_id,
                broker_epoch,
                ..Default::default()
            };
            records.extend([come.into(), gone.into()]);
        }
    }
}
