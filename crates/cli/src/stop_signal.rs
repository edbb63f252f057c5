//! SIGINT and SIGTERM, for tools that have something to finish first.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for a signal that asks to stop; what a tool that obeys it exits with. A later call waits for the next signal.
pub(crate) async fn stop_signal() -> anyhow::Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // As a shell reports it: 128 and the number of the signal.
    tokio::select! {
        _ = interrupt.recv() => Ok(ExitCode::from(128 + 2)),
        _ = terminate.recv() => Ok(ExitCode::from(128 + 15)),
    }
}
