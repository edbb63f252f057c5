//! Standard output that ends quietly when nobody reads it any more.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

/// Buffered when it goes to a file or a pipe, line by line when it goes to a terminal.
pub(crate) fn stdout() -> Box<dyn Write + Send> {
    if io::stdout().is_terminal() {
        Box::new(io::stdout())
    } else {
        Box::new(BufWriter::with_capacity(64 * 1024, io::stdout()))
    }
}

/// Whether the error says that the reader of our output has gone.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

pub(crate) fn print_and_exit(text: &str) -> ExitCode {
    // A reader that has gone has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
