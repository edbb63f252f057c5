//! Every command-line tool, with Kafka's flags, output and exit codes.
//!
//! It must not know the broker: tools talk to servers through `dohle_client`, and to files through `dohle_storage` and
//! `dohle_protocol` (dumping and formatting, offline).
//!
//! Start at [`run`] and [`tool`] (the list of tools); each tool is one file under [`commands`], and `arguments` says how all of
//! them read their flags and report what is wrong.

mod arguments;
mod commands;
mod connect;
mod controller_listeners;
mod date_format;
mod limits;
mod output;
mod progress;
mod stop_signal;
mod table;
mod time_text;
mod tool;
mod topic_pattern;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use tool::{TOOLS, Tool};

/// Runs the tool that the arguments name (the first one is the program), and returns what it exits with.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    start_log();
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_default();
    let program = Path::new(&program).file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    // Called by the name of one of Kafka's scripts.
    if let Some(tool) = program.strip_prefix("kafka-").and_then(find) {
        return tool.run(&arguments.collect::<Vec<_>>());
    }
    let Some(name) = arguments.next() else {
        eprint!("{}", tool::overview());
        return ExitCode::FAILURE;
    };
    match name.to_str().map(|name| (name, find(name))) {
        Some(("help" | "--help" | "-h", _)) => output::print_and_exit(&tool::overview()),
        Some(("version" | "--version" | "-V", _)) => output::print_and_exit(&format!("dohle {}\n", env!("CARGO_PKG_VERSION"))),
        Some((_, Some(tool))) => tool.run(&arguments.collect::<Vec<_>>()),
        _ => {
            eprint!("There is no tool {name:?}.\n\n{}", tool::overview());
            ExitCode::FAILURE
        }
    }
}

fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// Warnings of the client go to stderr; `DOHLE_LOG=debug` shows more.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("DOHLE_LOG").unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // The binary may have set up its own log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}
