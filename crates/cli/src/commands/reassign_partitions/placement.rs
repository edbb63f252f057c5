//! What `--generate` proposes: replicas round robin over the brokers and over their racks, as Kafka spreads those of a new topic.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;

/// A broker that may hold replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: i32,
    /// `None` for all, or for none.
    pub(super) rack: Option<String>,
}

/// The brokers of each partition, from a random broker on.
pub(super) fn place(candidates: &[Candidate], partitions: usize, replicas: usize) -> anyhow::Result<Vec<Vec<i32>>> {
    anyhow::ensure!(
        replicas <= candidates.len(),
        "Replication factor: {replicas} larger than available brokers: {}.",
        candidates.len()
    );
    let mut random = rand::rng();
    let (start, shift) = (random.random_range(0..candidates.len()), random.random_range(0..candidates.len()));
    Ok(place_from(candidates, partitions, replicas, (start, shift)))
}

fn place_from(candidates: &[Candidate], partitions: usize, replicas: usize, (start, mut shift): (usize, usize)) -> Vec<Vec<i32>> {
    let brokers = alternate_racks(candidates);
    let racks: BTreeSet<_> = brokers.iter().map(|broker| &broker.rack).collect();
    let count = brokers.len();
    let mut placed = Vec::with_capacity(partitions);
    for partition in 0..partitions {
        // Each round, the followers of a leader are others.
        if partition > 0 && partition % count == 0 {
            shift += 1;
        }
        let first = (start + partition) % count;
        let mut chosen = vec![brokers[first]];
        let mut step = 0;
        while chosen.len() < replicas {
            let next = (first + 1 + (shift * racks.len() + step) % (count - 1)) % count;
            step += 1;
            let used: BTreeSet<_> = chosen.iter().map(|broker| &broker.rack).collect();
            let broker = brokers[next];
            let rack_may_repeat = used.len() == racks.len();
            if (rack_may_repeat || !used.contains(&broker.rack)) && !chosen.contains(&broker) {
                chosen.push(broker);
            }
        }
        placed.push(chosen.into_iter().map(|broker| broker.id).collect());
    }
    placed
}

/// One broker of each rack in turn.
fn alternate_racks(candidates: &[Candidate]) -> Vec<&Candidate> {
    let mut by_rack: BTreeMap<&Option<String>, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        by_rack.entry(&candidate.rack).or_default().push(candidate);
    }
    by_rack.values_mut().for_each(|brokers| brokers.sort_by_key(|broker| broker.id));
    let rounds = by_rack.values().map(Vec::len).max().unwrap_or(0);
    let round = |round: usize| by_rack.values().filter_map(move |brokers| brokers.get(round).copied());
    (0..rounds).flat_map(round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(racks: &[(i32, &str)]) -> Vec<Candidate> {
        let candidate = |&(id, rack): &(i32, &str)| Candidate {
            id,
            rack: Some(rack.to_owned()).filter(|rack| !rack.is_empty()),
        };
        racks.iter().map(candidate).collect()
    }

    #[test]
    fn leaders_and_followers_go_round() {
        let brokers = brokers(&[(0, ""), (1, ""), (2, ""), (3, ""), (4, "")]);
        let placed = place_from(&brokers, 10, 3, (0, 0));
        // The example in the documentation of Kafka's method.
        let expected = [
            [0, 1, 2],
            [1, 2, 3],
            [2, 3, 4],
            [3, 4, 0],
            [4, 0, 1],
            [0, 2, 3],
            [1, 3, 4],
            [2, 4, 0],
            [3, 0, 1],
            [4, 1, 2],
        ];
        assert_eq!(placed, expected);
    }

    #[test]
    fn each_rack_has_a_replica_before_one_has_two() {
        let brokers = brokers(&[(0, "a"), (1, "c"), (2, "c"), (3, "b"), (4, "b"), (5, "a")]);
        let order: Vec<i32> = alternate_racks(&brokers).iter().map(|broker| broker.id).collect();
        assert_eq!(order, [0, 3, 1, 5, 4, 2]);
        let rack_of = |id: i32| brokers.iter().find(|broker| broker.id == id).unwrap().rack.clone();
        for start in 0..6 {
            for shift in 0..6 {
                for replicas in place_from(&brokers, 12, 3, (start, shift)) {
                    let racks: BTreeSet<_> = replicas.iter().map(|id| rack_of(*id)).collect();
                    assert_eq!(racks.len(), 3, "{replicas:?}");
                }
            }
        }
    }

    #[test]
    fn all_brokers_lead_equally_often_and_too_few_are_an_error() {
        let three = brokers(&[(1, ""), (2, ""), (3, "")]);
        let mut leaders = BTreeMap::<i32, usize>::new();
        for replicas in place(&three, 9, 3).unwrap() {
            *leaders.entry(replicas[0]).or_default() += 1;
            assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), 3);
        }
        assert!(leaders.values().all(|count| *count == 3), "{leaders:?}");
        assert_eq!(place_from(&three[..1], 2, 1, (0, 0)), [[1], [1]]);
        assert!(
            place(&three, 1, 4)
                .unwrap_err()
                .to_string()
                .contains("larger than available brokers: 3")
        );
        assert!(place(&[], 1, 1).is_err());
    }
}
