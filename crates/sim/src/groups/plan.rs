//! What a seed stands for: who takes part, and which faults there are. Each kind of fault is left out of some runs, so that it cannot hide others.

use dohle_coordinator::GroupConfig;

use crate::random::Random;

pub(super) const TOPICS: [&str; 3] = ["t0", "t1", "t2"];
/// Of each topic.
pub(super) const PARTITIONS: [u8; 3] = [4, 3, 1];
pub(super) const GROUPS: [&str; 2] = ["g0", "g1"];

/// Of members that are not slow.
pub(super) const REBALANCE_MS_MAX: i64 = 9_000;

/// The versions of the APIs that a client of some age speaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Versions {
    pub(super) join: i16,
    pub(super) sync: i16,
    pub(super) heartbeat: i16,
    pub(super) leave: i16,
    pub(super) commit: i16,
    pub(super) fetch: i16,
}

pub(super) const VERSIONS: [Versions; 5] = [
    versions(2, 1, 1, 1, 3, 2),
    versions(4, 2, 2, 2, 5, 5),
    versions(5, 3, 3, 3, 7, 6),
    versions(7, 4, 4, 4, 8, 7),
    versions(9, 5, 4, 5, 9, 9),
];
/// From here on they speak of instances.
const STATIC_VERSIONS: usize = 2;

#[derive(Debug, Clone)]
pub(super) struct MemberPlan {
    pub(super) group: &'static str,
    pub(super) instance: Option<String>,
    pub(super) protocol_type: &'static str,
    /// The favourite first.
    pub(super) protocols: Vec<&'static str>,
    pub(super) topics: Vec<&'static str>,
    /// It goes on with what it owns while a rebalance runs (KIP-429).
    pub(super) is_cooperative: bool,
    pub(super) versions: Versions,
    pub(super) session_ms: i32,
    pub(super) rebalance_ms: i32,
    pub(super) heartbeat_ms: i64,
    pub(super) commit_ms: i64,
    pub(super) starts_after_ms: i64,
}

/// A mean time between events of None: they do not happen.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) config: GroupConfig,
    pub(super) members: Vec<MemberPlan>,
    pub(super) chaos_ms: i64,
    pub(super) network_delay_ms_max: i64,
    pub(super) drop_per_mille: u32,
    pub(super) duplicate_per_mille: u32,
    pub(super) commit_delay_ms_max: i64,
    pub(super) commit_stall_per_mille: u32,
    pub(super) timer_lag_ms_max: i64,
    pub(super) append_failure_per_mille: u32,
    pub(super) crash_every_ms: Option<i64>,
    pub(super) mischief_every_ms: Option<i64>,
    pub(super) stranger_every_ms: Option<i64>,
    pub(super) operator_every_ms: Option<i64>,
}

impl Plan {
    pub(super) fn draw(random: &mut Random) -> Plan {
        let members = draw_members(random);
        let mut some = |per_mille, range| random.chance(per_mille).then(|| random.between(range));
        let crash_every_ms = some(500, 5_000..=40_000);
        let mischief_every_ms = some(900, 1_500..=8_000);
        let stranger_every_ms = some(400, 200..=3_000);
        let operator_every_ms = some(800, 300..=3_000);
        let drop = some(400, 5..=60);
        let duplicate = some(500, 10..=150);
        let stall = some(300, 5..=50);
        let append_failure = some(250, 2..=30);
        Plan {
            config: draw_config(random),
            members,
            chaos_ms: random.between(15_000..=50_000),
            network_delay_ms_max: *random.pick(&[2, 20, 300, 2_000]),
            drop_per_mille: drop.unwrap_or(0) as u32,
            duplicate_per_mille: duplicate.unwrap_or(0) as u32,
            commit_delay_ms_max: *random.pick(&[0, 5, 50, 400]),
            commit_stall_per_mille: stall.unwrap_or(0) as u32,
            timer_lag_ms_max: *random.pick(&[0, 0, 10, 500]),
            append_failure_per_mille: append_failure.unwrap_or(0) as u32,
            crash_every_ms,
            mischief_every_ms,
            stranger_every_ms,
            operator_every_ms,
        }
    }

    /// From the end of the chaos on nothing is lost, and everything is fast.
    pub(super) fn heal(&mut self) {
        self.network_delay_ms_max = 5;
        self.drop_per_mille = 0;
        self.duplicate_per_mille = 0;
        self.commit_delay_ms_max = 5;
        self.commit_stall_per_mille = 0;
        self.append_failure_per_mille = 0;
        self.crash_every_ms = None;
        self.mischief_every_ms = None;
        self.stranger_every_ms = None;
        self.operator_every_ms = None;
        self.config.group_size_max = GroupConfig::default().group_size_max;
    }
}

const fn versions(join: i16, sync: i16, heartbeat: i16, leave: i16, commit: i16, fetch: i16) -> Versions {
    Versions {
        join,
        sync,
        heartbeat,
        leave,
        commit,
        fetch,
    }
}

fn draw_config(random: &mut Random) -> GroupConfig {
    let mut config = GroupConfig {
        initial_rebalance_delay_ms: *random.pick(&[0, 0, 500, 3_000]),
        ..Default::default()
    };
    if random.chance(300) {
        config.offsets_retention_ms = random.between(5_000..=30_000);
        config.offsets_retention_check_interval_ms = random.between(1_000..=5_000);
    }
    if random.chance(150) {
        config.group_size_max = random.between(1..=4) as usize;
    }
    if random.chance(100) {
        config.offset_metadata_bytes_max = 4;
    }
    config
}

fn draw_members(random: &mut Random) -> Vec<MemberPlan> {
    let groups = &GROUPS[..=usize::from(random.chance(250))];
    let count = random.between(1..=6);
    let static_per_mille = *random.pick(&[0, 300, 1_000]);
    let odd_per_mille = *random.pick(&[0, 0, 0, 150]);
    let protocol_type = if random.chance(900) { "consumer" } else { "connect" };
    let is_slow = random.chance(20);
    let mut members = Vec::new();
    for index in 0..count {
        let instance = random.chance(static_per_mille).then(|| {
            // Sometimes two processes believe to be the same.
            let of = if random.chance(150) { 0 } else { index };
            format!("i{of}")
        });
        let oldest = if instance.is_some() { STATIC_VERSIONS } else { 0 };
        let session_ms = random.between(6_000..=10_000) as i32;
        members.push(MemberPlan {
            group: random.pick::<&str>(groups),
            instance,
            protocol_type,
            protocols: draw_protocols(random, odd_per_mille),
            topics: draw_topics(random),
            is_cooperative: random.chance(300),
            versions: *random.pick(&VERSIONS[oldest..]),
            session_ms,
            rebalance_ms: if is_slow {
                330_000
            } else {
                random.between(2_000..=REBALANCE_MS_MAX) as i32
            },
            heartbeat_ms: random.between(700..=i64::from(session_ms) / 3),
            commit_ms: random.between(400..=5_000),
            starts_after_ms: random.between(0..=8_000),
        });
    }
    members
}

fn draw_protocols(random: &mut Random, odd_per_mille: u32) -> Vec<&'static str> {
    if random.chance(odd_per_mille) {
        return vec!["odd"];
    }
    random
        .pick(&[vec!["range"], vec!["range", "sticky"], vec!["sticky", "range"]])
        .clone()
}

pub(super) fn draw_topics(random: &mut Random) -> Vec<&'static str> {
    match random.below(4) {
        0 => TOPICS.to_vec(),
        1 => TOPICS[..2].to_vec(),
        _ => TOPICS[..1].to_vec(),
    }
}
