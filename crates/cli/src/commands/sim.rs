//! `dohle sim`: replays a simulated run by its seed. The simulations are a program of their own, `dohle-sim`: it contains the bugs that
//! they must find, which are to be in no program that is shipped.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::output::print_and_exit;

const PROGRAM: &str = "dohle-sim";

/// What a seed without a world is of.
const WORLD: &str = "cluster";

const HELP: &str = "\
Replays a simulated run: the same seed gives the same run.

Usage: dohle sim [WORLD] --seed SEED [--trace]

WORLD is cluster (the default), groups or quorum; dohle sim WORLD --help tells its options.
";

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    if arguments.first().is_none_or(|first| first == "--help" || first == "-h") {
        return print_and_exit(HELP);
    }
    let names_world = arguments.first().is_some_and(|first| !first.to_string_lossy().starts_with('-'));
    let world = (!names_world).then(|| OsString::from(WORLD));
    let all: Vec<&OsString> = world.iter().chain(arguments).collect();
    let beside = std::env::current_exe().map(|program| program.with_file_name(PROGRAM));
    match beside.and_then(|program| Command::new(program).args(&all).status()) {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(_) => {
            let words: Vec<_> = all.iter().map(|word| word.to_string_lossy()).collect();
            eprintln!(
                "The simulations are a program of their own, {PROGRAM}, which is not beside this one. In the source tree:\n\
                 cargo run --release -p {PROGRAM} -- {}",
                words.join(" ")
            );
            ExitCode::FAILURE
        }
    }
}
