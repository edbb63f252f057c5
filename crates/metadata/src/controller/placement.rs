//! On which brokers the replicas of new partitions go: round robin, from a random broker on; if brokers say in which rack they are, the
//! replicas of a partition go to different racks.

mod racks;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::BrokerId;

use super::random::Random;
use super::refusal::Refusal;
use crate::image::brokers::BrokersImage;
use racks::Racks;

/// Replicas for `partitions` new partitions, in the order of preference. The first is active; replicas on brokers that are not come last,
/// at least within a rack.
pub(super) fn place(
    brokers: &BrokersImage,
    partitions: usize,
    replication_factor: usize,
    random: &mut Random,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let impossible = |reason: String| {
        let message = format!("Unable to replicate the partition {replication_factor} time(s): {reason}");
        Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message))
    };
    if !brokers.iter().any(|broker| broker.is_active()) {
        return impossible("All brokers are currently fenced or in controlled shutdown.".to_owned());
    }
    if replication_factor > brokers.len() {
        let registered = brokers.len();
        return impossible(format!(
            "The target replication factor of {replication_factor} cannot be reached because only {registered} broker(s) are registered."
        ));
    }
    let first_rack = brokers.iter().next().map(|broker| &broker.rack);
    if brokers.iter().all(|broker| Some(&broker.rack) == first_rack) {
        return Ok(place_without_racks(brokers, partitions, replication_factor, random));
    }
    let mut racks = Racks::new(brokers, random);
    Ok((0..partitions).map(|_| racks.place_one(replication_factor, random)).collect())
}

fn place_without_racks(brokers: &BrokersImage, partitions: usize, replication_factor: usize, random: &mut Random) -> Vec<Vec<BrokerId>> {
    let ids_of = |active: bool| -> Vec<BrokerId> {
        brokers
            .iter()
            .filter(|broker| broker.is_active() == active)
            .map(|broker| broker.id)
            .collect()
    };
    let (active, inactive) = (ids_of(true), ids_of(false));
    let start = random.below(active.len());
    let on_active = replication_factor.min(active.len());
    let place_one = |partition: usize| {
        // With each round the followers move on by one, so that no two brokers share all their partitions.
        let shift = partition / active.len();
        let leader = start + partition;
        let mut replicas = vec![active[leader % active.len()]];
        replicas.extend(ring(&active, leader + 1, shift, active.len() - 1).take(on_active - 1));
        replicas.extend(ring(&inactive, leader, shift, inactive.len()).take(replication_factor - on_active));
        replicas
    };
    (0..partitions).map(place_one).collect()
}

/// `width` brokers from place `first` on, the first `shift` of them moved to the end.
fn ring(brokers: &[BrokerId], first: usize, shift: usize, width: usize) -> impl Iterator<Item = BrokerId> + '_ {
    (0..width).map(move |place| brokers[(first + (shift + place) % width) % brokers.len()])
}
