//! `cargo xtask fuzz`: the libFuzzer targets under `fuzz/`, built with the pinned stable toolchain.

use crate::process::{command, root, run as run_command};
use anyhow::{Context, Result};
use std::process::Command;

/// What the sanitizer-coverage pass needs to count edges, without a nightly compiler.
const COVERAGE_FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table --cfg fuzzing";

pub(crate) fn run(seconds: u32) -> Result<()> {
    let mut build = cargo_in_fuzz(&["build", "--release", "--locked"]);
    build.env("RUSTFLAGS", COVERAGE_FLAGS);
    run_command(build)?;
    for target in targets()? {
        let corpus = format!("fuzz/corpus/{target}");
        let artifacts = format!("fuzz/artifacts/{target}/");
        std::fs::create_dir_all(root().join(&artifacts))?;
        let found = root().join(format!("fuzz/target/found/{target}"));
        std::fs::create_dir_all(&found)?;
        // New inputs go to the first folder; the committed corpus is only read.
        let mut fuzz = command(&format!("fuzz/target/x86_64-unknown-linux-gnu/release/{target}"), &[]);
        fuzz.arg(found).arg(corpus);
        fuzz.args([
            "-rss_limit_mb=512",
            "-malloc_limit_mb=64",
            "-timeout=10",
            "-print_final_stats=1",
            "-print_funcs=0",
        ]);
        fuzz.arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={artifacts}"));
        run_command(fuzz).with_context(|| format!("{target}: the input is under {artifacts}"))?;
    }
    Ok(())
}

fn cargo_in_fuzz(arguments: &[&str]) -> Command {
    let mut cargo = crate::process::cargo(arguments);
    cargo.args(["--manifest-path", "fuzz/Cargo.toml", "--target", "x86_64-unknown-linux-gnu"]);
    cargo
}

/// One target a file.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        names.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
