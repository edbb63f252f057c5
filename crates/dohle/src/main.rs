//! The one binary: `start` runs a node, everything else is a tool.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match command(&arguments) {
        Some(rest) => dohle_broker::main_start(rest.iter().cloned()),
        None => dohle_cli::run(arguments),
    }
}

/// The arguments of `start`, if that is what is asked for: as a subcommand, or because the binary is called by the name of Kafka's script.
fn command(arguments: &[OsString]) -> Option<&[OsString]> {
    let program = arguments.first().and_then(|path| Path::new(path).file_stem()).unwrap_or_default();
    if program == "kafka-server-start" {
        return Some(&arguments[1..]);
    }
    let subcommand = arguments.get(1)?;
    (subcommand == "start" || subcommand == "server-start").then(|| &arguments[2..])
}
