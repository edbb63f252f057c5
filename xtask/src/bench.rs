//! `cargo xtask bench`: speed and memory of the release binary, alone and beside others.
//!
//! A whole run writes `docs/benchmarks.md` and its plots; a part of it (`--only`), or a quick one, writes them to `target/bench`.

use crate::process::{cargo, root, run as run_command};
use crate::test::{pytest, release_binary};
use anyhow::Result;

pub(crate) struct Bench<'a> {
    /// Part of the names of the tests to run.
    pub(crate) only: Option<&'a str>,
    /// One round, and smaller counts.
    pub(crate) quick: bool,
    /// File for all raw values.
    pub(crate) json: Option<&'a str>,
}

pub(crate) fn run(bench: &Bench<'_>) -> Result<()> {
    let binary = release_binary()?;
    let peers = ["--package", "dohle-floor", "--package", "dohle-load"];
    run_command(cargo(&[&["build", "--release", "--locked"], &peers[..]].concat()))?;
    let is_whole = bench.only.is_none() && !bench.quick;
    let page = root().join(if is_whole { "docs" } else { "target/bench" });
    let json = bench.json.map(std::path::absolute).transpose()?;
    let (page, json) = (page.to_string_lossy(), json.as_ref().map(|path| path.to_string_lossy()));
    let mut arguments = vec!["benches", "-s", "--page", &page];
    if bench.quick {
        arguments.push("--quick");
    }
    if let Some(file) = &json {
        arguments.extend(["--json", file]);
    }
    if let Some(name) = bench.only {
        arguments.extend(["-k", name]);
    }
    pytest(&binary, &arguments)
}
