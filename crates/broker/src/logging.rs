//! The log of the process: to standard error, as text or JSON.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is logged if neither `--log-level` nor `DOHLE_LOG` says otherwise. What the consensus library says of others
/// that it cannot reach is said better, and less often, by us.
const FILTER_DEFAULT: &str = "info,openraft=off";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Starts logging. `level` is a level or a list of `target=level`; tests may have started it already, which is fine.
pub(crate) fn start(format: LogFormat, level: Option<&str>) -> Result<(), String> {
    let from_environment = std::env::var("DOHLE_LOG").ok();
    let text = level.or(from_environment.as_deref()).unwrap_or(FILTER_DEFAULT);
    let filter = EnvFilter::try_new(text).map_err(|error| format!("log level \"{text}\": {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
    Ok(())
}
