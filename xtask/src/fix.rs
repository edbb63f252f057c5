//! `cargo xtask fix`: the twin of `verify` that writes.

use crate::process::{cargo, run as run_command};
use anyhow::Result;

pub(crate) fn run() -> Result<()> {
    run_command(cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--fix",
        "--allow-dirty",
        "--allow-staged",
    ]))?;
    run_command(cargo(&["fmt", "--all"]))?;
    let mut docs = cargo(&["test", "--workspace", "--", "docs_are_fresh"]);
    docs.env("DOHLE_REWRITE_DOCS", "1");
    run_command(docs)
}
