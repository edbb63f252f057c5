//! `cargo xtask test`: everything that CI runs, in the order in which a failure is cheapest to find.

use crate::process::{cargo, command, root, run as run_command};
use crate::{faults, fuzz, instructions, setup, verify};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Per target; a minute in all.
const FUZZ_SECONDS: u32 = 12;

/// Of each world: a minute or two.
const SIMULATED_SEEDS: &str = "20000";

/// The client suites that mean something on several nodes; the others look at the files of one, or start servers of their own.
const ON_THREE_NODES: &[&str] = &[
    "tests/clients/test_confluent.py",
    "tests/clients/test_kafka_python.py",
    "tests/clients/test_kcat.py",
    "tests/clients/test_java_tools.py",
    "tests/clients/groups",
    "--deselect=tests/clients/groups/test_kafka_python_published.py",
];

/// Name, and what it runs.
type Part = (&'static str, fn() -> Result<()>);

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let parts: &[Part] = &[
        ("setup", setup::run),
        ("verify", verify::run),
        ("rust", rust),
        ("clients", clients),
        ("clusters", clusters),
        ("fuzz", || fuzz::run(FUZZ_SECONDS)),
        ("powercut", power_cut),
        ("faults", cluster_faults),
        ("instructions", instructions::run),
    ];
    if let Some(name) = only.filter(|name| !parts.iter().any(|(part, _)| part == name)) {
        bail!(
            "no part named {name}; there are: {}",
            parts.iter().map(|(part, _)| *part).collect::<Vec<_>>().join(", ")
        );
    }
    let mut times = Vec::new();
    for (name, part) in parts.iter().filter(|(part, _)| only.is_none_or(|name| name == *part)) {
        let start = Instant::now();
        part()?;
        times.push(format!("{name} {} s", start.elapsed().as_secs()));
    }
    println!("all passed: {}", times.join(", "));
    Ok(())
}

/// Unit, simulation and in-process tests of every crate, and the tests of the binary with Rust's own Kafka clients.
fn rust() -> Result<()> {
    let mut tests = ci_cargo("test", &["--workspace"]);
    tests.env("DOHLE_SIM_SEEDS", SIMULATED_SEEDS);
    run_command(tests)
}

/// The binary under real clients and beside a real Apache Kafka.
fn clients() -> Result<()> {
    pytest(&ci_binary()?, &["tests/clients"])
}

/// Three nodes under the same clients, what acks mean there, and ten leaders that are killed.
fn clusters() -> Result<()> {
    let binary = ci_binary()?;
    pytest(&binary, &["tests/cluster"])?;
    pytest_on(3, &binary, ON_THREE_NODES)
}

fn cluster_faults() -> Result<()> {
    faults::clusters(&ci_binary()?, false)
}

fn power_cut() -> Result<()> {
    faults::power_cut(&ci_binary()?, false)
}

/// The node that the tests in Rust were run with. Asked for as what one of them needs: `cargo build` would choose other features of the
/// dependencies, and build most of them again.
fn ci_binary() -> Result<PathBuf> {
    run_command(ci_cargo("test", &["--workspace", "--no-run", "--test", "server"]))?;
    Ok(root().join("target/ci/dohle"))
}

/// Optimised a little, and with the system's allocator: jemalloc alone builds for minutes.
fn ci_cargo(subcommand: &str, arguments: &[&str]) -> Command {
    let mut ci = cargo(&[subcommand, "--profile", "ci", "--no-default-features", "--locked"]);
    ci.args(arguments);
    ci
}

/// Builds what users run.
pub(crate) fn release_binary() -> Result<PathBuf> {
    run_command(cargo(&["build", "--release", "--locked", "--package", "dohle"]))?;
    Ok(root().join("target/release/dohle"))
}

/// Runs pytest against `binary` in the environment of the Python clients.
pub(crate) fn pytest(binary: &Path, arguments: &[&str]) -> Result<()> {
    pytest_on(1, binary, arguments)
}

/// The same, where a test that asks for a server gets so many nodes as one.
fn pytest_on(nodes: u32, binary: &Path, arguments: &[&str]) -> Result<()> {
    let python = setup::python();
    let mut pytest = command(
        &python.to_string_lossy(),
        &["-m", "pytest", "-q", "--durations=10", "-p", "no:cacheprovider"],
    );
    pytest.args(arguments);
    pytest.env("DOHLE_BINARY", binary).env("DOHLE_NODES", nodes.to_string());
    run_command(pytest)
}
