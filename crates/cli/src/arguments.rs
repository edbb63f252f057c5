//! How tools read their flags, and how they end.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::output;

/// The arguments fit the syntax, but not each other; the usage is printed behind it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Shorthand for an error that is a [`UsageError`].
pub(crate) fn usage<T>(message: impl Into<String>) -> anyhow::Result<T> {
    Err(UsageError(message.into()).into())
}

/// Reads the arguments and runs the tool; what it fails with is printed as `tool`'s Kafka script would, without a trace.
pub(crate) fn run_tool<T: Parser>(arguments: &[OsString], tool: impl FnOnce(&T) -> anyhow::Result<ExitCode>) -> ExitCode {
    run_tool_reporting(arguments, tool, |error| eprintln!("{error:#}"))
}

/// Like [`run_tool`], for tools that word their failures in a way of their own.
pub(crate) fn run_tool_reporting<T: Parser>(
    arguments: &[OsString],
    tool: impl FnOnce(&T) -> anyhow::Result<ExitCode>,
    report: impl FnOnce(&anyhow::Error),
) -> ExitCode {
    if let Some(answer) = zookeeper_answer(arguments) {
        eprintln!("{answer}");
        return ExitCode::FAILURE;
    }
    let mut command = T::command().no_binary_name(true).infer_long_args(true);
    let parsed = command
        .try_get_matches_from_mut(arguments)
        .and_then(|matches| T::from_arg_matches(&matches));
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return end_with(&error),
    };
    match tool(&parsed) {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<UsageError>() {
            Some(UsageError(message)) => end_with(&command.error(ErrorKind::ArgumentConflict, message)),
            None => {
                report(&error);
                ExitCode::FAILURE
            }
        },
    }
}

/// Help and version go to stdout and succeed; all else goes to stderr with the usage.
fn end_with(error: &clap::Error) -> ExitCode {
    // Nobody reads any more: nothing can be done about it.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn zookeeper_answer(arguments: &[OsString]) -> Option<&'static str> {
    let names_zookeeper = |argument: &OsString| {
        argument
            .to_str()
            .is_some_and(|text| text == "--zookeeper" || text.starts_with("--zookeeper="))
    };
    arguments.iter().any(names_zookeeper).then_some(
        "--zookeeper is not supported: the brokers keep the metadata themselves, give their address with --bootstrap-server (for example localhost:9092).",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_zookeeper_is_recognised_in_both_spellings_and_only_as_a_flag() {
        let answer = |arguments: &[&str]| zookeeper_answer(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(
            answer(&["--create", "--zookeeper", "localhost:2181"])
                .unwrap()
                .contains("--bootstrap-server")
        );
        assert!(answer(&["--zookeeper=localhost:2181"]).is_some());
        assert!(answer(&["--topic", "zookeeper"]).is_none());
    }
}
