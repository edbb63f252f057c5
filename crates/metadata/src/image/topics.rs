//! The topics, by name and by id, and their partitions.

use std::sync::Arc;

use dohle_protocol::id::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

use super::shared_map::SharedMap;
use crate::record::{
    MetadataRecord, NO_LEADER_CHANGE, NO_RECOVERY_CHANGE, PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord,
};
use crate::topic_name;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopicsImage {
    by_name: SharedMap<Arc<str>, Arc<TopicImage>>,
    names: SharedMap<TopicId, Arc<str>>,
    /// Of the topics whose names a metric could confuse: the name as a metric would have it, and as it is.
    metric_names: SharedMap<String, Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    pub name: Arc<str>,
    pub id: TopicId,
    /// From 0 on, without gaps.
    pub partitions: SharedMap<PartitionIndex, PartitionImage>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionImage {
    /// In the order of preference; all that there are, while a reassignment goes on.
    pub replicas: Vec<BrokerId>,
    /// Never empty: the last one stays, even if it is gone.
    pub isr: Vec<BrokerId>,
    /// [`BrokerId::NONE`]: none at the moment.
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    /// Counts the changes of the partition.
    pub partition_epoch: i32,
    /// Those of the replicas that a reassignment has added.
    pub adding_replicas: Vec<BrokerId>,
    /// Those of the replicas that a reassignment is going to remove.
    pub removing_replicas: Vec<BrokerId>,
    /// Fewer replicas than `min.insync.replicas` are in sync, so nothing is committed any more, and these, too, hold all that was.
    pub elr: Vec<BrokerId>,
    /// These did when nothing was committed any more, but were restarted after a crash since.
    pub last_known_elr: Vec<BrokerId>,
    /// Committed records may be missing, see [`PartitionChangeRecord::leader_recovery_state`].
    pub recovering: bool,
}

impl TopicImage {
    /// Of a reassignment that goes on, the number at its end.
    pub fn replication_factor(&self) -> usize {
        let first = self.partitions.values().next();
        first.map_or(0, |partition| partition.replicas.len() - partition.removing_replicas.len())
    }
}

impl TopicsImage {
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_name.get(name)
    }

    pub fn get_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.by_name.get(&**self.names.get(&id)?)
    }

    /// In the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.values()
    }

    /// In the order of the names, from this one (or the one that would follow it) on.
    pub fn iter_from(&self, name: &str) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.iter_from(name).map(|(_, topic)| topic)
    }

    /// The topic whose metrics could not be told from those of a topic called `name`.
    pub fn colliding_with(&self, name: &str) -> Option<&str> {
        self.metric_names.get(&topic_name::metric_name(name)?).map(|existing| &**existing)
    }

    pub(crate) fn by_name(&self) -> &SharedMap<Arc<str>, Arc<TopicImage>> {
        &self.by_name
    }

    pub(super) fn create(&mut self, record: &TopicRecord) {
        let name: Arc<str> = record.name.as_str().into();
        let id = TopicId(record.topic_id);
        let topic = TopicImage {
            name: Arc::clone(&name),
            id,
            partitions: SharedMap::default(),
        };
        let same_name = self.by_name.insert(Arc::clone(&name), Arc::new(topic));
        assert!(same_name.is_none(), "topic {name} is created twice");
        if let Some(metric_name) = topic_name::metric_name(&name) {
            self.metric_names.insert(metric_name, Arc::clone(&name));
        }
        let same_id = self.names.insert(id, name);
        assert!(same_id.is_none(), "topic id {id} is given twice");
    }

    pub(super) fn create_partition(&mut self, record: &PartitionRecord) {
        let partition = PartitionImage {
            replicas: broker_ids(&record.replicas),
            isr: broker_ids(&record.isr),
            leader: BrokerId(record.leader),
            leader_epoch: LeaderEpoch(record.leader_epoch),
            partition_epoch: record.partition_epoch,
            adding_replicas: broker_ids(&record.adding_replicas),
            removing_replicas: broker_ids(&record.removing_replicas),
            elr: broker_ids(&record.eligible_leader_replicas),
            last_known_elr: broker_ids(&record.last_known_elr),
            recovering: record.leader_recovery_state > 0,
        };
        let topic = self.topic_mut(TopicId(record.topic_id));
        let same = topic.partitions.insert(PartitionIndex(record.partition_index), partition);
        assert!(
            same.is_none(),
            "partition {}-{} is created twice",
            topic.name,
            record.partition_index
        );
    }

    pub(super) fn change_partition(&mut self, record: &PartitionChangeRecord) {
        let topic = self.topic_mut(TopicId(record.topic_id));
        let partition = topic.partitions.get_mut(&PartitionIndex(record.partition_index));
        let partition = partition.expect("only a partition that exists is changed");
        for (field, change) in [
            (&mut partition.replicas, &record.replicas),
            (&mut partition.isr, &record.isr),
            (&mut partition.adding_replicas, &record.adding_replicas),
            (&mut partition.removing_replicas, &record.removing_replicas),
            (&mut partition.elr, &record.eligible_leader_replicas),
            (&mut partition.last_known_elr, &record.last_known_elr),
        ] {
            if let Some(ids) = change {
                *field = broker_ids(ids);
            }
        }
        if record.leader_recovery_state != NO_RECOVERY_CHANGE {
            partition.recovering = record.leader_recovery_state > 0;
        }
        if record.leader != NO_LEADER_CHANGE {
            partition.leader = BrokerId(record.leader);
            partition.leader_epoch.0 += 1;
        }
        partition.partition_epoch += 1;
    }

    pub(super) fn remove(&mut self, record: &RemoveTopicRecord) -> Arc<TopicImage> {
        let name = self
            .names
            .remove(&TopicId(record.topic_id))
            .expect("only a topic that exists is removed");
        if let Some(metric_name) = topic_name::metric_name(&name) {
            self.metric_names.remove(&metric_name);
        }
        self.by_name.remove(&*name).expect("a topic with an id has a name")
    }

    fn topic_mut(&mut self, id: TopicId) -> &mut TopicImage {
        let name = self.names.get(&id).expect("a partition belongs to a topic that exists");
        Arc::make_mut(self.by_name.get_mut(&**name).expect("a topic with an id has a name"))
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        for topic in self.iter() {
            records.push(
                TopicRecord {
                    name: topic.name.to_string(),
                    topic_id: topic.id.0,
                    ..Default::default()
                }
                .into(),
            );
            records.extend(
                topic
                    .partitions
                    .iter()
                    .map(|(index, partition)| partition.to_record(topic.id, *index).into()),
            );
        }
    }
}

impl PartitionImage {
    pub fn is_reassigning(&self) -> bool {
        !self.adding_replicas.is_empty() || !self.removing_replicas.is_empty()
    }

    /// What the replicas were before the reassignment that goes on.
    pub fn original_replicas(&self) -> Vec<BrokerId> {
        let added = |id: &BrokerId| self.adding_replicas.contains(id);
        self.replicas.iter().copied().filter(|id| !added(id)).collect()
    }

    /// The record that creates the partition in this state.
    pub(crate) fn to_record(&self, topic: TopicId, index: PartitionIndex) -> PartitionRecord {
        PartitionRecord {
            topic_id: topic.0,
            partition_index: index.0,
            replicas: raw_ids(&self.replicas),
            isr: raw_ids(&self.isr),
            leader: self.leader.0,
            leader_epoch: self.leader_epoch.0,
            partition_epoch: self.partition_epoch,
            adding_replicas: raw_ids(&self.adding_replicas),
            removing_replicas: raw_ids(&self.removing_replicas),
            eligible_leader_replicas: raw_ids(&self.elr),
            last_known_elr: raw_ids(&self.last_known_elr),
            leader_recovery_state: self.recovering.into(),
            ..Default::default()
        }
    }
}

fn broker_ids(raw: &[i32]) -> Vec<BrokerId> {
    raw.iter().map(|id| BrokerId(*id)).collect()
}

pub(crate) fn raw_ids(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.0).collect()
}
