//! `cargo xtask verify`: every check that needs no running broker. Writes nothing.

use crate::process::{cargo, run as run_command};
use crate::tidy;
use anyhow::Result;

pub(crate) fn run() -> Result<()> {
    style()?;
    lints()
}

/// What takes seconds.
pub(crate) fn style() -> Result<()> {
    run_command(cargo(&["fmt", "--all", "--check"]))?;
    tidy::run()
}

pub(crate) fn lints() -> Result<()> {
    run_command(cargo(&[
        "clippy",
        // Shares the C libraries and the macros with the build for the tests.
        "--profile",
        "ci",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}
