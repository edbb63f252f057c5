//! Which keys there are: ours, those that only Apache Kafka has, and the nearest to one that nobody knows.

use super::registry::broker_keys;

/// Names of Kafka's keys; those that this broker has stand here too.
const KNOWN_TO_KAFKA: &str = include_str!("known_to_kafka.txt");

/// Kafka repeats most security keys per listener, and passes whole families through to plug-ins.
const FAMILIES: &[&str] = &["listener.name.", "config.providers.", "rlmm.config.", "rsm.config."];

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    Here,
    ToKafka,
    No { nearest: Option<&'static str> },
}

pub(super) fn look_up(name: &str) -> Known {
    if broker_keys().any(|key| key.name == name) {
        return Known::Here;
    }
    if known_to_kafka().any(|known| known == name) || FAMILIES.iter().any(|family| name.starts_with(family)) {
        return Known::ToKafka;
    }
    let by_distance = broker_keys()
        .map(|key| key.name)
        .chain(known_to_kafka())
        .map(|known| (strsim::damerau_levenshtein(name, known), known));
    let nearest = by_distance
        .min()
        .filter(|(distance, _)| *distance <= name.len() / 3)
        .map(|(_, known)| known);
    Known::No { nearest }
}

pub(super) fn known_to_kafka() -> impl Iterator<Item = &'static str> {
    KNOWN_TO_KAFKA.lines().filter(|line| !line.starts_with('#'))
}
