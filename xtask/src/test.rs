//! `cargo xtask test`: everything that CI runs.
//!
//! Tests wait a lot. What only computes (lints, fuzzing, counts of instructions) runs beside them, on the processor time that they leave.

use crate::process::{cargo, command, line, root, run as run_command, run_within};
use crate::{faults, fuzz, instructions, setup, verify};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Per target; a minute in all.
const FUZZ_SECONDS: u32 = 12;

/// Of each world: a minute or two.
const SIMULATED_SEEDS: &str = "20000";

/// The client suites that mean something on several nodes; the others look at the files of one, or start servers of their own. Apache's
/// tools, which take long to start, and the storm are left to `cargo xtask faults`.
const ON_THREE_NODES: &[&str] = &[
    "tests/clients/test_confluent.py",
    "tests/clients/test_kafka_python.py",
    "tests/clients/test_kcat.py",
    "tests/clients/groups/test_aiokafka_groups.py",
    "tests/clients/groups/test_confluent_groups.py",
    "tests/clients/groups/test_kafka_python_groups.py",
    "tests/clients/groups/test_kafkajs_groups.py",
    "tests/clients/groups/test_kcat_groups.py",
];
/// Much longer than the tests of one kind take, and short enough that CI still shows what hangs.
pub(crate) const TESTS_TIME_MAX: Duration = Duration::from_secs(35 * 60);

/// Name, and what it runs.
type Part = (&'static str, fn() -> Result<()>);

/// Without these there is nothing to test.
const FIRST: &[Part] = &[
    ("setup", setup::run),
    ("style", verify::style),
    ("build", || ci_binary().map(|_| ())),
];
const TESTS: &[Part] = &[
    ("rust", rust),
    ("clients", clients),
    ("clusters", clusters),
    ("powercut", power_cut),
    ("faults", cluster_faults),
];
/// Lints come last: they wait for the same lock as the start of `rust`.
const BESIDE: &[Part] = &[
    ("fuzz", || fuzz::run(FUZZ_SECONDS)),
    ("instructions", instructions::run),
    ("lints", verify::lints),
];

/// `only` names parts, with commas between them.
pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let Some(only) = only else { return whole() };
    let parts = || FIRST.iter().chain(TESTS).chain(BESIDE);
    let mut chosen = Vec::new();
    for name in only.split(',') {
        let Some(part) = parts().find(|(part, _)| *part == name) else {
            let names: Vec<&str> = parts().map(|(part, _)| *part).collect();
            bail!("no part named {name}; there are: {}", names.join(", "));
        };
        chosen.push(*part);
    }
    println!("all passed: {}", each(&chosen)?);
    Ok(())
}

fn whole() -> Result<()> {
    let first = each(FIRST)?;
    let beside = Beside::start()?;
    let tests = each(TESTS);
    // Waited for in any case: one run shows all that is wrong.
    let others = beside.finish();
    println!("all passed: {first}, {}, beside them {}", tests?, others?);
    Ok(())
}

/// Runs the parts one after the other, all of them even if some fail. Returns how long each took.
fn each(parts: &[Part]) -> Result<String> {
    let (mut times, mut failures) = (Vec::new(), Vec::new());
    for (name, part) in parts {
        let start = Instant::now();
        if let Err(error) = part() {
            eprintln!("xtask test: {name}: {error:#}");
            failures.push(*name);
        }
        times.push(format!("{name} {} s", start.elapsed().as_secs()));
    }
    if !failures.is_empty() {
        bail!("failed: {}", failures.join(", "));
    }
    Ok(times.join(", "))
}

/// The parts that run beside the tests: this program again, which lets everybody else go first.
struct Beside {
    child: Child,
    output: PathBuf,
}

impl Beside {
    fn start() -> Result<Beside> {
        let output = root().join("target/test-beside.txt");
        let file = File::create(&output)?;
        let names: Vec<&str> = BESIDE.iter().map(|(name, _)| *name).collect();
        let program = std::env::current_exe()?;
        let arguments = ["-n", "19", &program.to_string_lossy(), "test", "--only", &names.join(",")];
        let mut beside = command("nice", &arguments);
        eprintln!("$ {} > {}", line(&beside), output.display());
        beside.stdout(file.try_clone()?).stderr(file);
        Ok(Beside {
            child: beside.spawn()?,
            output,
        })
    }

    /// Waits for the end and returns the last line. The rest is printed only if something failed: the end of the output is
    /// for what the tests said.
    fn finish(mut self) -> Result<String> {
        let status = self.child.wait()?;
        let printed = fs::read(&self.output)?;
        let printed = String::from_utf8_lossy(&printed);
        if !status.success() {
            println!("{printed}");
            bail!("what runs beside the tests ended with {status}");
        }
        let last = printed.lines().last().context("what runs beside the tests printed nothing")?;
        Ok(last.trim_start_matches("all passed: ").to_owned())
    }
}

/// Unit, simulation and in-process tests of every crate, and the tests of the binary with Rust's own Kafka clients.
fn rust() -> Result<()> {
    let mut tests = ci_cargo("test", &["--workspace", "--no-fail-fast"]);
    tests.env("DOHLE_SIM_SEEDS", SIMULATED_SEEDS);
    run_within(TESTS_TIME_MAX, tests)
}

/// The binary under real clients and beside a real Apache Kafka.
fn clients() -> Result<()> {
    pytest(&ci_binary()?, &["tests/clients"])
}

/// Three nodes under the same clients, what acks mean there, and ten leaders that are killed.
fn clusters() -> Result<()> {
    let binary = ci_binary()?;
    pytest(&binary, &["tests/cluster"])?;
    pytest_on(3, TESTS_TIME_MAX, &binary, ON_THREE_NODES)
}

fn cluster_faults() -> Result<()> {
    faults::clusters(&ci_binary()?, TESTS_TIME_MAX, &["-m", "not long"])
}

fn power_cut() -> Result<()> {
    faults::power_cut(&ci_binary()?, false)
}

/// Builds the tests in Rust, and with them the node that they run.
fn ci_binary() -> Result<PathBuf> {
    static BUILT: OnceLock<()> = OnceLock::new();
    if BUILT.get().is_none() {
        run_command(ci_cargo("test", &["--workspace", "--no-run"]))?;
        BUILT.get_or_init(|| ());
    }
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
    pytest_on(1, TESTS_TIME_MAX, binary, arguments)
}

/// The same, where a test that asks for a server gets so many nodes as one, and all have so much time.
pub(crate) fn pytest_on(nodes: u32, time_max: Duration, binary: &Path, arguments: &[&str]) -> Result<()> {
    let python = setup::python();
    let mut pytest = command(
        &python.to_string_lossy(),
        &["-m", "pytest", "-q", "--durations=10", "-p", "no:cacheprovider"],
    );
    pytest.args(arguments);
    pytest.env("DOHLE_BINARY", binary).env("DOHLE_NODES", nodes.to_string());
    run_within(time_max, pytest)
}
