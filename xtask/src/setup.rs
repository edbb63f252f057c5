//! `cargo xtask setup`: what the tests need beside Rust, from the package registries. Does nothing where all is there.

use crate::process::{command, output, root, run as run_command};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Program that must be on the PATH, and the Debian package that brings it.
const PROGRAMS: &[(&str, &str)] = &[
    ("kcat", "kcat"),
    ("valgrind", "valgrind"),
    ("wrk", "wrk"),
    ("java", "openjdk-17-jre-headless"),
    ("mvn", "maven"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("strace", "strace"),
    ("ip", "iproute2"),
    ("faketime", "faketime"),
    ("mkfs.ext4", "e2fsprogs"),
    ("cc", "build-essential"),
    ("cmake", "cmake"),
];

pub(crate) fn run() -> Result<()> {
    debian_packages()?;
    python_packages()?;
    node_packages()?;
    kafka_jars()?;
    Ok(())
}

/// The interpreter in which the Python clients are installed.
pub(crate) fn python() -> PathBuf {
    root().join("target/clients-venv/bin/python")
}

fn debian_packages() -> Result<()> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    if on_path("python3") && output(command("python3", &["-c", "import ensurepip"])).is_err() {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let as_root: &[&str] = if output(command("id", &["-u"]))?.trim() == "0" {
        &[]
    } else {
        &["sudo"]
    };
    let apt = |arguments: &[&str]| {
        let words: Vec<&str> = as_root
            .iter()
            .copied()
            .chain(["apt-get", "-q"])
            .chain(arguments.iter().copied())
            .collect();
        let mut apt = command(words[0], &words[1..]);
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        run_command(apt)
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat())
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

/// A virtual environment with the versions that `tests/clients/requirements.txt` pins; made anew when the list changes.
fn python_packages() -> Result<()> {
    let wanted = std::fs::read_to_string(root().join("tests/clients/requirements.txt")).context("requirements.txt")?;
    let stamp = root().join("target/clients-venv/installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run_command(command("python3", &["-m", "venv", "--clear", "target/clients-venv"]))?;
    let mut pip = command(
        "target/clients-venv/bin/python",
        &["-m", "pip", "install", "-q", "--disable-pip-version-check"],
    );
    pip.args(["-r", "tests/clients/requirements.txt"]);
    run_command(pip)?;
    python_source(&wanted)?;
    Ok(std::fs::write(stamp, wanted)?)
}

/// kafka-python publishes its integration tests with its source only.
fn python_source(requirements: &str) -> Result<()> {
    let package = requirements
        .lines()
        .find(|line| line.starts_with("kafka-python=="))
        .context("no kafka-python in requirements.txt")?;
    let mut pip = command(
        "target/clients-venv/bin/python",
        &["-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"],
    );
    pip.args(["--no-binary", ":all:", "-d", "target/clients-venv/sdist", package]);
    run_command(pip)
}

/// The packages of `tests/clients/node`, installed outside the source; anew when the list changes.
fn node_packages() -> Result<()> {
    let (source, folder) = (root().join("tests/clients/node"), root().join("target/clients-node"));
    let wanted = std::fs::read_to_string(source.join("package-lock.json")).context("package-lock.json")?;
    let stamp = folder.join("installed.json");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(source.join(file), folder.join(file)).context(file)?;
    }
    run_command(command(
        "npm",
        &[
            "ci",
            "--prefix",
            "target/clients-node",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ],
    ))?;
    Ok(std::fs::write(stamp, wanted)?)
}

/// Apache Kafka's own jars, for its tools and for the differential run.
fn kafka_jars() -> Result<()> {
    let folder = output(command("tests/servers/kafka", &["lib"]))?;
    eprintln!("Apache Kafka's jars: {}", folder.trim());
    Ok(())
}
