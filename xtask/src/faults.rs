//! `cargo xtask faults`: power cuts against a real process on a loop device, with a checker that knows what was acknowledged.

use crate::test::{pytest, release_binary};
use anyhow::Result;

const CYCLES: &str = "30";
const CYCLES_LONG: &str = "300";

pub(crate) fn run(long: bool) -> Result<()> {
    release_binary()?;
    let cycles = if long { CYCLES_LONG } else { CYCLES };
    pytest(&["tests/faults", "--cycles", cycles])
}
