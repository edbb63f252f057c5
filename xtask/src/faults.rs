//! `cargo xtask faults`: power cuts, kills, pauses, cut networks and broken disks against real processes, one node and three, with checkers
//! that know what was acknowledged. docs/reliability.md says what is done and what was found.

use crate::test::{pytest, release_binary};
use anyhow::Result;
use std::path::Path;

/// Power cuts of one node in each of its tests; faults of each kind in a cluster; leaders that are killed.
const CYCLES: &str = "30";
const CYCLES_LONG: &str = "300";
const ROUNDS: &str = "1";
const ROUNDS_LONG: &str = "10";
const KILLS_LONG: &str = "200";

/// On the binary that users run.
pub(crate) fn run(long: bool) -> Result<()> {
    let binary = release_binary()?;
    power_cut(&binary, long)?;
    clusters(&binary, long)?;
    if long {
        pytest(&binary, &["tests/cluster/test_leader_kills.py", "-s", "--kills", KILLS_LONG])?;
    }
    Ok(())
}

pub(crate) fn power_cut(binary: &Path, long: bool) -> Result<()> {
    let cycles = if long { CYCLES_LONG } else { CYCLES };
    pytest(binary, &["tests/faults/test_power_cut.py", "--cycles", cycles])
}

/// What goes wrong is shown with the figures of each test (`-s`): docs/reliability.md is made from them.
pub(crate) fn clusters(binary: &Path, long: bool) -> Result<()> {
    let rounds = if long { ROUNDS_LONG } else { ROUNDS };
    let suites = ["processes", "network", "disks"].map(|name| format!("tests/faults/test_cluster_{name}.py"));
    let mut arguments: Vec<&str> = suites.iter().map(String::as_str).collect();
    arguments.extend(["-s", "-v", "--rounds", rounds]);
    pytest(binary, &arguments)
}
