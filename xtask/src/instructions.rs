//! `cargo xtask instructions`: counts the instructions of the steps that every byte takes, and compares them with what is allowed.
//!
//! The counts are the same under any load, so a step that got dearer is noticed by the change that made it so. They say nothing about the kernel, memory
//! or waiting: that is what the bench is for.

use crate::process::{cargo, command, output, root, run as run_command};
use anyhow::{Context, Result, bail};
use std::fs;

/// Enough that what happens once does not count.
const TIMES: u64 = 100;
const THRESHOLDS: &str = "benches/instructions/thresholds.txt";

pub(crate) fn run() -> Result<()> {
    run_command(cargo(&["build", "--release", "--locked", "--package", "dohle-instructions"]))?;
    let thresholds = fs::read_to_string(root().join(THRESHOLDS))?;
    let mut exceeded = Vec::new();
    for line in thresholds.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (step, max) = line
            .split_once(' ')
            .with_context(|| format!("{THRESHOLDS}: {line:?} is no step and number"))?;
        let max: u64 = max.trim().parse().with_context(|| format!("{THRESHOLDS}: {line:?}"))?;
        let count = count(step)?;
        println!("{step:<20} {count:>9} instructions, at most {max}");
        if count > max {
            exceeded.push(step);
        }
    }
    if !exceeded.is_empty() {
        bail!("dearer than {THRESHOLDS} allows: {}", exceeded.join(", "));
    }
    Ok(())
}

/// Instructions of one time.
fn count(step: &str) -> Result<u64> {
    let results = root().join("target/callgrind.out");
    let arguments = [
        "--tool=callgrind",
        &format!("--callgrind-out-file={}", results.display()),
        "--collect-atstart=no",
        "--toggle-collect=dohle_instructions::measured*",
        "target/release/dohle-instructions",
        step,
        &TIMES.to_string(),
    ];
    output(command("valgrind", &arguments))?;
    let text = fs::read_to_string(&results)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.context("callgrind wrote no totals")?.trim().parse()?;
    if total == 0 {
        bail!("nothing was counted of {step}: is `measured` still a function of its own?");
    }
    Ok(total / TIMES)
}
