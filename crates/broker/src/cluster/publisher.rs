//! Carries out what the metadata say: opens, deletes and configures partitions, and puts altered broker configuration into effect.

use std::sync::Arc;

use dohle_metadata::delta::PartitionDelta;
use dohle_metadata::image::ClusterImage;
use dohle_metadata::image::topics::TopicImage;
use dohle_protocol::id::{BrokerId, Offset};
use dohle_quorum::{MetadataChange, MetadataVersion};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::cluster::assignments::Assignments;
use crate::config::settings::Settings;
use crate::state::BrokerState;

/// How far this broker has carried out the metadata.
#[derive(Debug)]
pub(crate) struct CarriedOut(watch::Sender<Offset>);

impl CarriedOut {
    pub(crate) fn new() -> CarriedOut {
        CarriedOut(watch::Sender::new(Offset::NONE))
    }

    pub(crate) fn offset(&self) -> Offset {
        *self.0.borrow()
    }

    /// Returns once everything up to `offset` is carried out.
    pub(crate) async fn reaches(&self, offset: Offset) {
        let mut offsets = self.0.subscribe();
        offsets
            .wait_for(|carried_out| *carried_out >= offset)
            .await
            .expect("the sender lives as long as the broker");
    }
}

/// Takes over what is assigned to this broker at its start.
pub(crate) async fn start(broker: &Arc<BrokerState>, start: MetadataVersion) {
    let image = Arc::clone(&start.image);
    blocking(broker, move |broker| {
        broker.replicas.start(&Assignments::new(&image, &broker.config).all())
    })
    .await;
    broker.groups.take_over(broker, &start.image);
    broker.carried_out.0.send_replace(start.offset);
}

/// Carries out every change from there on, until `stop`.
pub(crate) async fn follow(broker: Arc<BrokerState>, mut changes: mpsc::Receiver<MetadataChange>, stop: CancellationToken) {
    let mut before = broker.quorum.image();
    while let Some(Some(change)) = stop.run_until_cancelled(changes.recv()).await {
        let offset = change.version.offset;
        if !change.delta.is_empty() {
            let (image, delta) = (Arc::clone(&change.version.image), Arc::clone(&change.delta));
            note_fenced(&broker, &before, &change);
            before = Arc::clone(&image);
            blocking(&broker, move |broker| carry_out(broker, &change)).await;
            broker.groups.follow(&broker, &image, &delta);
        }
        broker.carried_out.0.send_replace(offset);
    }
}

/// Clients that are about to be told of other leaders still find those that were fenced.
fn note_fenced(broker: &BrokerState, before: &ClusterImage, change: &MetadataChange) {
    let is_active = |image: &ClusterImage, id| image.broker(id).is_some_and(|registered| !registered.fenced);
    for id in &change.delta.brokers {
        if is_active(before, *id) && !is_active(&change.version.image, *id) {
            broker.suspicion.may_be_gone(*id);
        }
    }
}

async fn blocking(broker: &Arc<BrokerState>, work: impl FnOnce(&BrokerState) + Send + 'static) {
    let broker = Arc::clone(broker);
    if let Err(error) = tokio::task::spawn_blocking(move || work(&broker)).await {
        tracing::error!(%error, "a change of the metadata could not be carried out");
    }
}

fn carry_out(broker: &BrokerState, change: &MetadataChange) {
    let (image, delta) = (&*change.version.image, &*change.delta);
    let me = BrokerId(broker.config.node_id);
    let settings_changed = delta.broker_configs.iter().any(|altered| altered.is_none_or(|id| id == me));
    if settings_changed {
        broker.settings.store(Arc::new(Settings::of(image, me, &broker.config.values)));
    }
    let assignments = Assignments::new(image, &broker.config);
    broker.replicas.remove(delta.topics_deleted.iter().map(|topic| topic.id));
    // Before who leads: below min.insync.replicas a leader of the same version must not commit anything.
    let configure = |topic: &TopicImage| broker.replicas.configure(topic.id, &assignments.settings(&topic.name));
    if settings_changed {
        image.topics().iter().for_each(|topic| configure(topic));
    } else {
        delta
            .topic_configs
            .iter()
            .filter_map(|name| image.topic(name))
            .for_each(|topic| configure(topic));
    }
    for topic in &delta.topics_created {
        broker.replicas.add(&assignments.of_topic(topic));
    }
    for partitions in delta.partitions.chunk_by(|one, other| one.topic_id == other.topic_id) {
        // A topic without its first partition before is a new one.
        let is_created = partitions[0].index.0 == 0 && partitions[0].before.is_none();
        if !is_created {
            change_partitions(broker, image, &assignments, partitions);
        }
    }
}

/// Partitions of a topic that was there before: some are new, at all or on this broker, others have changed or have left it.
fn change_partitions(broker: &BrokerState, image: &ClusterImage, assignments: &Assignments<'_>, partitions: &[PartitionDelta]) {
    let Some(topic) = image.topic_by_id(partitions[0].topic_id) else {
        return;
    };
    let me = broker.services.me;
    let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for partition in partitions {
        let was_here = partition.before.as_ref().is_some_and(|before| before.replicas.contains(&me));
        match (was_here, partition.now.replicas.contains(&me)) {
            (false, true) => added.push(partition),
            (true, true) => changed.push(partition),
            (true, false) => removed.push(partition.index),
            (false, false) => {}
        }
    }
    let of = |partitions: &[&PartitionDelta]| {
        assignments.of_partitions(topic, partitions.iter().map(|partition| (partition.index, &partition.now)))
    };
    for partition in changed.iter().filter(|partition| partition.may_have_lost_records()) {
        let (name, index) = (&partition.topic, partition.index);
        tracing::warn!("{name}-{index}: acknowledged records may be missing: no replica is left that holds all of them for sure");
    }
    if !removed.is_empty() {
        broker.replicas.remove_partitions(topic.id, &removed);
    }
    if !added.is_empty() {
        broker.replicas.add(&of(&added));
    }
    if !changed.is_empty() {
        broker.replicas.assign(&of(&changed));
    }
}
