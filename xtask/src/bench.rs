//! `cargo xtask bench`: speed and memory of the release binary, alone and beside others, written to `docs/benchmarks.md`.

use crate::process::{cargo, run as run_command};
use crate::test::{pytest, release_binary};
use anyhow::Result;

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let binary = release_binary()?;
    let peers = ["--package", "dohle-floor", "--package", "dohle-load"];
    run_command(cargo(&[&["build", "--release", "--locked"], &peers[..]].concat()))?;
    match only {
        Some(name) => pytest(&binary, &["benches", "-s", "-k", name]),
        None => pytest(&binary, &["benches", "-s"]),
    }
}
