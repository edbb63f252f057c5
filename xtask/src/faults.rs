//! `cargo xtask faults`: power cuts against a real process on a loop device, with a checker that knows what was acknowledged.

use crate::test::{pytest, release_binary};
use anyhow::Result;
use std::path::Path;

const CYCLES: &str = "30";
const CYCLES_LONG: &str = "300";

/// On the binary that users run.
pub(crate) fn run(long: bool) -> Result<()> {
    power_cut(&release_binary()?, long)
}

pub(crate) fn power_cut(binary: &Path, long: bool) -> Result<()> {
    let cycles = if long { CYCLES_LONG } else { CYCLES };
    pytest(binary, &["tests/faults", "--cycles", cycles])
}
