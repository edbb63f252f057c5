//! `cargo xtask bench`: speed and memory of the release binary, written to `docs/benchmarks.md`.

use crate::test::{pytest, release_binary};
use anyhow::Result;

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let binary = release_binary()?;
    match only {
        Some(name) => pytest(&binary, &["benches", "-s", "-k", name]),
        None => pytest(&binary, &["benches", "-s"]),
    }
}
