//! What a seed stands for: who takes part, and which faults there are. Each kind of fault is left out of some runs, so that it cannot hide
//! others.

use dohle_replication::{Acks, Durability, Rules};

use crate::random::Random;

/// Everything is faster than in life, so that much happens in little time.
pub(super) const SESSION_MS: i64 = 600;
pub(super) const HEARTBEAT_MS: i64 = 150;
pub(super) const TICK_MS: i64 = 75;
pub(super) const REQUEST_TIMEOUT_MS: i64 = 250;
/// No copy of a request is on its way for longer, or an earlier one could be taken for a proposal.
pub(super) const LAG_MS_MAX: i64 = 500;

/// How many of a hundred faults are of a kind.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    pub(super) kill: u32,
    pub(super) power: u32,
    pub(super) power_of_all: u32,
    pub(super) pause: u32,
    pub(super) cut: u32,
    pub(super) isolate: u32,
    pub(super) controller: u32,
    pub(super) reassign: u32,
    pub(super) stop: u32,
    pub(super) disk_error: u32,
    pub(super) delete: u32,
    pub(super) balance: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) partitions: usize,
    pub(super) replicas: usize,
    pub(super) rules: Rules,
    pub(super) producers: Vec<Acks>,
    pub(super) chaos_ms: i64,
    pub(super) fault_every_ms: i64,
    pub(super) weights: Weights,
    pub(super) delay_ms_max: i64,
    pub(super) spike_per_mille: u32,
    pub(super) drop_per_mille: u32,
    pub(super) duplicate_per_mille: u32,
    pub(super) sync_ms_max: i64,
    pub(super) fetch_records_max: usize,
    /// Of a process that has just started.
    pub(super) crash_at_start_per_mille: u32,
    /// How fast the clock of each broker goes, in thousandths.
    pub(super) clocks: Vec<i64>,
}

impl Plan {
    pub(super) fn draw(random: &mut Random) -> Plan {
        let brokers = random.between(3..=5) as usize;
        let replicas = if random.chance(150) { 2 } else { 3 };
        let durability = if random.chance(400) {
            Durability::Synced
        } else {
            Durability::Written
        };
        let rules = Rules {
            durability,
            durability_alone: Durability::Synced,
            min_insync_replicas: *random.pick(&[1, 2, 2, 2, 3]),
            replica_lag_time_ms_max: LAG_MS_MAX,
        };
        let mut producers = vec![Acks::All; random.between(1..=2) as usize];
        if random.chance(500) {
            producers.push(Acks::Leader);
        }
        if random.chance(250) {
            producers.push(Acks::None);
        }
        let weights = draw_weights(random);
        let mut some = |per_mille, range| {
            if random.chance(per_mille) {
                random.between(range) as u32
            } else {
                0
            }
        };
        let (drop, duplicate, spike) = (some(500, 5..=100), some(600, 10..=200), some(500, 5..=100));
        Plan {
            partitions: random.between(1..=2) as usize,
            replicas,
            rules,
            producers,
            chaos_ms: random.between(1_500..=4_000),
            fault_every_ms: *random.pick(&[60, 150, 300, 600]),
            weights,
            delay_ms_max: *random.pick(&[2, 8, 30, 80]),
            spike_per_mille: spike,
            drop_per_mille: drop,
            duplicate_per_mille: duplicate,
            sync_ms_max: *random.pick(&[1, 10, 60]),
            fetch_records_max: *random.pick(&[1, 3, 20]),
            crash_at_start_per_mille: *random.pick(&[0, 0, 250]),
            clocks: (0..brokers).map(|_| random.between(900..=1_100)).collect(),
        }
    }

    /// Three brokers, a partition of two replicas, and no faults but those of a directed schedule.
    pub(super) fn quiet() -> Plan {
        let none = Weights {
            kill: 0,
            power: 0,
            power_of_all: 0,
            pause: 0,
            cut: 0,
            isolate: 0,
            controller: 0,
            reassign: 0,
            stop: 0,
            disk_error: 0,
            delete: 0,
            balance: 0,
        };
        let mut plan = Plan {
            partitions: 1,
            replicas: 2,
            rules: Rules {
                durability: Durability::Written,
                durability_alone: Durability::Synced,
                min_insync_replicas: 1,
                replica_lag_time_ms_max: LAG_MS_MAX,
            },
            producers: vec![Acks::All],
            chaos_ms: i64::MAX / 4,
            fault_every_ms: 1_000,
            weights: none,
            delay_ms_max: 0,
            spike_per_mille: 0,
            drop_per_mille: 0,
            duplicate_per_mille: 0,
            sync_ms_max: 0,
            fetch_records_max: 0,
            crash_at_start_per_mille: 0,
            clocks: vec![1_000; 3],
        };
        plan.heal();
        plan
    }

    /// From the end of the chaos on nothing is lost, and everything is fast.
    pub(super) fn heal(&mut self) {
        self.delay_ms_max = 3;
        self.spike_per_mille = 0;
        self.drop_per_mille = 0;
        self.duplicate_per_mille = 0;
        self.sync_ms_max = 3;
        self.fetch_records_max = 20;
        self.crash_at_start_per_mille = 0;
    }
}

fn draw_weights(random: &mut Random) -> Weights {
    let mut some = |per_mille, weight| if random.chance(per_mille) { weight } else { 0 };
    Weights {
        kill: some(700, 20),
        power: some(600, 20),
        power_of_all: some(300, 4),
        pause: some(600, 15),
        cut: some(600, 20),
        isolate: some(500, 10),
        controller: some(500, 8),
        reassign: some(400, 10),
        stop: some(400, 8),
        disk_error: some(300, 6),
        delete: some(300, 8),
        balance: some(300, 8),
    }
}
