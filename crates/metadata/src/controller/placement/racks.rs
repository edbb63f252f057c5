//! Placing replicas in stripes over the racks, as Kafka's `StripedReplicaPlacer` does.
//!
//! Each partition begins one rack further than the one before, and takes one broker of each rack in turn; within a rack the brokers take
//! turns, too. When each active broker has led once, the order is drawn anew, so that the same neighbours do not always meet.

use std::collections::BTreeMap;

use dohle_protocol::id::BrokerId;

use crate::controller::random::Random;
use crate::image::brokers::BrokersImage;

pub(super) struct Racks {
    racks: Vec<Rack>,
    active: usize,
    /// Where the next partition begins.
    first: usize,
    /// Partitions since the order was drawn.
    round: usize,
}

#[derive(Default)]
struct Rack {
    active: Turns,
    inactive: Turns,
}

/// Brokers that take turns.
#[derive(Default)]
struct Turns {
    brokers: Vec<BrokerId>,
    /// Whose turn is the first of this partition.
    first: usize,
    /// How many this partition has taken.
    taken: usize,
}

impl Racks {
    /// There is at least one active broker.
    pub(super) fn new(brokers: &BrokersImage, random: &mut Random) -> Racks {
        let mut racks = BTreeMap::<Option<&str>, Rack>::new();
        for broker in brokers.iter() {
            let rack = racks.entry(broker.rack.as_deref()).or_default();
            let turns = if broker.is_active() { &mut rack.active } else { &mut rack.inactive };
            turns.brokers.push(broker.id);
        }
        let mut racks: Vec<Rack> = racks.into_values().collect();
        for turns in racks.iter_mut().flat_map(|rack| [&mut rack.active, &mut rack.inactive]) {
            turns.first = random.below(turns.brokers.len().max(1));
        }
        Racks {
            first: random.below(racks.len()),
            racks,
            active: brokers.iter().filter(|broker| broker.is_active()).count(),
            round: 0,
        }
    }

    /// At most as many replicas as there are brokers; the first is active.
    pub(super) fn place_one(&mut self, replication_factor: usize, random: &mut Random) -> Vec<BrokerId> {
        if self.round == self.active && self.active > 1 {
            self.shuffle(random);
            self.round = 0;
        }
        let count = self.racks.len();
        let mut places = (self.first..self.first + count).map(|place| place % count);
        let leader = places.find_map(|place| Some((place, self.racks[place].active.next()?)));
        let (leader_rack, leader) = leader.expect("there is an active broker");
        let mut replicas = vec![leader];
        let mut place = self.first;
        // The rack of the leader has had its turn.
        let mut skip_leader_rack = true;
        while replicas.len() < replication_factor {
            if place == leader_rack && skip_leader_rack {
                skip_leader_rack = false;
            } else {
                let rack = &mut self.racks[place];
                replicas.extend(rack.active.next().or_else(|| rack.inactive.next()));
            }
            place = (place + 1) % count;
        }
        for turns in self.racks.iter_mut().flat_map(|rack| [&mut rack.active, &mut rack.inactive]) {
            turns.end_of_partition();
        }
        self.first = (self.first + 1) % count;
        self.round += 1;
        replicas
    }

    fn shuffle(&mut self, random: &mut Random) {
        random.shuffle(&mut self.racks);
        for rack in &mut self.racks {
            random.shuffle(&mut rack.active.brokers);
            random.shuffle(&mut rack.inactive.brokers);
        }
    }
}

impl Turns {
    /// `None`: this partition has taken all.
    fn next(&mut self) -> Option<BrokerId> {
        let place = (self.first + self.taken) % self.brokers.len().max(1);
        (self.taken < self.brokers.len()).then(|| {
            self.taken += 1;
            self.brokers[place]
        })
    }

    fn end_of_partition(&mut self) {
        if self.taken > 0 {
            self.taken = 0;
            self.first = (self.first + 1) % self.brokers.len();
        }
    }
}
