//! Chores of the repository, run as `cargo xtask NAME`.
//!
//! `verify` only reads, `fix` writes, `test` is what CI runs. Start with [`test`] to see what a full run consists of.

mod bench;
mod faults;
mod fix;
mod fuzz;
mod instructions;
mod process;
mod setup;
mod test;
mod tidy;
mod verify;

use anyhow::Result;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask NAME

  tidy              check the house rules (layers, lengths, module docs, words)
  verify            tidy, rustfmt --check, clippy; writes nothing
  fix               rustfmt and clippy --fix, and rewrite the generated pages under docs/
  setup             install what the tests need (Debian, PyPI, Maven Central); `test` does it by itself
  test [--only X]   everything CI runs; X is a list of: setup, style, build, rust, clients, clusters, powercut, faults, fuzz, instructions, lints
  fuzz [--seconds N]    run every fuzz target for N seconds (default 60)
  bench [--quick] [--only NAME] [--json FILE]
                    measure speed and memory and rewrite docs/benchmarks.md; with --quick (minutes) or --only (p7_, rest, ...)
                    the page goes to target/bench; FILE gets all raw values
  instructions      count the instructions of the steps that every byte takes, against thresholds
  faults [--long]   power cuts, crashes, cut networks and broken disks against real processes; --long takes more than an hour";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(name, rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one chore; `false` when there is none of that name.
fn run(name: &str, rest: &[String]) -> Result<bool> {
    match name {
        "tidy" => tidy::run()?,
        "verify" => verify::run()?,
        "fix" => fix::run()?,
        "setup" => setup::run()?,
        "test" => test::run(option(rest, "--only"))?,
        "fuzz" => fuzz::run(option(rest, "--seconds").unwrap_or("60").parse()?)?,
        "bench" => bench::run(&bench::Bench {
            only: option(rest, "--only"),
            quick: rest.iter().any(|word| word == "--quick"),
            json: option(rest, "--json"),
        })?,
        "instructions" => instructions::run()?,
        "faults" => faults::run(rest.iter().any(|word| word == "--long"))?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The word after `name`, if there is one.
fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let position = arguments.iter().position(|word| word == name)?;
    arguments.get(position + 1).map(String::as_str)
}
