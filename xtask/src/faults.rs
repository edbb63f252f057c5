//! `cargo xtask faults`: power cuts, kills, pauses, cut networks and broken disks against real processes, one node and three, with checkers
//! that know what was acknowledged. docs/reliability.md says what is done and what was found.

use crate::test::{TESTS_TIME_MAX, pytest_on, release_binary};
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// Power cuts of one node in each of its tests; faults of each kind in a cluster; leaders that are killed.
const CYCLES: &str = "30";
const CYCLES_LONG: &str = "300";
const ROUNDS_LONG: &str = "10";
const KILLS_LONG: &str = "200";
/// Of each part of a long run.
const TIME_MAX: Duration = Duration::from_secs(3 * 60 * 60);
/// What `cargo xtask test` leaves out of its run on three nodes.
const CLIENTS_ON_THREE_NODES: &[&str] = &[
    "tests/clients/test_java_tools.py",
    "tests/clients/groups/test_java_groups.py",
    "tests/clients/groups/test_storm.py",
];

/// On the binary that users run.
pub(crate) fn run(long: bool) -> Result<()> {
    let binary = release_binary()?;
    if long {
        let kills = ["tests/cluster/test_leader_kills.py", "-s", "--kills", KILLS_LONG];
        pytest_on(1, TIME_MAX, &binary, &kills)?;
    }
    power_cut(&binary, long)?;
    if long {
        clusters(&binary, TIME_MAX, &["--rounds", ROUNDS_LONG])?;
    } else {
        clusters(&binary, TESTS_TIME_MAX, &[])?;
    }
    pytest_on(3, TIME_MAX, &binary, CLIENTS_ON_THREE_NODES)
}

pub(crate) fn power_cut(binary: &Path, long: bool) -> Result<()> {
    let (cycles, time_max) = if long { (CYCLES_LONG, TIME_MAX) } else { (CYCLES, TESTS_TIME_MAX) };
    pytest_on(1, time_max, binary, &["tests/faults/test_power_cut.py", "--cycles", cycles])
}

/// `options` are pytest's: how many `--rounds`, which tests. The figures of each test are shown (`-s`): docs/reliability.md is made from
/// them.
pub(crate) fn clusters(binary: &Path, time_max: Duration, options: &[&str]) -> Result<()> {
    let suites = ["processes", "network", "disks"].map(|name| format!("tests/faults/test_cluster_{name}.py"));
    let mut arguments: Vec<&str> = suites.iter().map(String::as_str).collect();
    arguments.extend(["-s", "-v"]);
    arguments.extend(options);
    pytest_on(1, time_max, binary, &arguments)
}
