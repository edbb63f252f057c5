//! The one binary: `start` runs a node, `rest start` the REST proxy alone, everything else is a tool.

mod rest_beside;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use rest_beside::RestBeside;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match command(&arguments) {
        Command::Start(rest) => dohle_broker::main_start(rest.iter().cloned(), RestBeside::default()),
        Command::RestStart(rest) => dohle_rest::main_start(rest.iter().cloned()),
        Command::Tool => dohle_cli::run(arguments),
    }
}

/// What is asked for, with the arguments after it.
enum Command<'a> {
    Start(&'a [OsString]),
    RestStart(&'a [OsString]),
    Tool,
}

/// By a subcommand, or by calling the binary by the name of Kafka's script.
fn command(arguments: &[OsString]) -> Command<'_> {
    let program = arguments.first().and_then(|path| Path::new(path).file_stem()).unwrap_or_default();
    if program == "kafka-server-start" {
        return Command::Start(&arguments[1..]);
    }
    let word = |index: usize| arguments.get(index).and_then(|word| word.to_str());
    match (word(1), word(2)) {
        (Some("start" | "server-start"), _) => Command::Start(&arguments[2..]),
        (Some("rest"), Some("start")) => Command::RestStart(&arguments[3..]),
        _ => Command::Tool,
    }
}
