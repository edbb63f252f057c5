//! `dohle start`: from the command line to a running node, and from a signal to an orderly end.

use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use dohle_storage::LogDirError;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cluster::identity;
use crate::config::{ConfigError, NodeConfig, Overrides};
use crate::logging::{self, LogFormat};
use crate::{Broker, StartError};

const USAGE: &str = "\
Runs a node: a broker, a controller, or both in one process (process.roles).

Usage: dohle start [server.properties] [OPTIONS]

Without a file the node listens on localhost:9092 and keeps its data in ./dohle-data.

Options:
  --set KEY=VALUE       sets a configuration key over the file; may be given several times (--override is the same)
  --data-dir DIR        where the data lies (log.dirs)
  --listen HOST:PORT    where clients connect (listeners)
  --log-level LEVEL     error, warn, info, debug or trace, or a list such as info,dohle_broker=debug [env: DOHLE_LOG]
  --log-format FORMAT   text or json
  -h, --help            prints this text
";

/// What is typed after `dohle start`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    properties: Option<PathBuf>,
    overrides: Overrides,
    log_level: Option<String>,
    log_format: LogFormat,
    help: bool,
}

#[derive(Debug, Error)]
enum MainError {
    #[error("{0}\nTry `dohle start --help`.")]
    Usage(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Logging(String),
    #[error("the runtime does not start: {0}")]
    Runtime(std::io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Companion(String),
    #[error(
        "this node has ended, because it could not follow the metadata of the cluster any more: {0}. If its disk is full or broken, see to that and start it again"
    )]
    Quorum(String),
    #[error("this node has ended, because another process has been registered as broker {0}: each needs a node.id of its own")]
    Superseded(i32),
}

/// What the binary runs beside the broker in its process: begins when clients are served, and is ended before they are no more.
pub trait Companion {
    /// `bootstrap` is the address of this node; the reason is told if it cannot begin, and the node ends.
    fn start(&mut self, config: &NodeConfig, bootstrap: &str) -> impl Future<Output = Result<(), String>>;

    fn shutdown(self) -> impl Future<Output = ()>;
}

/// Runs a node until it is told to stop; `arguments` are those after the name of the command.
pub fn main_start(arguments: impl IntoIterator<Item = OsString>, companion: impl Companion) -> ExitCode {
    let began = Instant::now();
    match run(arguments, companion, began) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dohle start: {error}{}", lock_holder(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>, companion: impl Companion, began: Instant) -> Result<(), MainError> {
    let arguments = parse(arguments)?;
    if arguments.help {
        print!("{USAGE}");
        return Ok(());
    }
    let (config, warnings) = NodeConfig::load(arguments.properties.as_deref(), &arguments.overrides)?;
    logging::start(arguments.log_format, arguments.log_level.as_deref()).map_err(MainError::Logging)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    raise_open_files_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("dohle")
        .build()
        .map_err(MainError::Runtime)?;
    let outcome = runtime.block_on(serve(config, companion, began));
    if outcome.is_err() {
        // Without waiting for a disk that may not answer.
        runtime.shutdown_background();
    }
    outcome
}

/// Who to look for when a directory is in use.
fn lock_holder(error: &MainError) -> String {
    let MainError::Start(StartError::LogDir(LogDirError::Locked { path })) = error else {
        return String::new();
    };
    identity::lock_holder(path)
        .map(|pid| format!("; the lock is held by pid {pid}"))
        .unwrap_or_default()
}

async fn serve(config: NodeConfig, mut companion: impl Companion, began: Instant) -> Result<(), MainError> {
    let mut stop = StopSignals::listen().map_err(MainError::Runtime)?;
    let data = config
        .log_dirs
        .iter()
        .map(|dir| dir.display().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let node_id = config.node_id;
    let broker = tokio::select! {
        started = Broker::start(config.clone()) => started?,
        // It may have to wait for others for as long as it takes.
        name = stop.next() => {
            tracing::info!("{name}: stopped before the node was ready");
            return Ok(());
        }
    };
    if let Some(address) = own_address(&broker)
        && let Err(reason) = companion.start(&config, &address).await
    {
        broker.shutdown().await;
        return Err(MainError::Companion(reason));
    }
    let mut addresses: Vec<String> = broker
        .listeners()
        .iter()
        .map(|(name, address)| format!("{name}://{address}"))
        .collect();
    if !config.roles.broker {
        let controllers = config.listeners.controllers.iter();
        addresses.extend(controllers.map(|listener| format!("{}://{}", listener.name, listener.bind)));
    }
    let addresses = addresses.join(", ");
    println!(
        "dohle node {node_id} is ready after {} ms on {addresses}, data in {data}",
        began.elapsed().as_millis()
    );
    let name = tokio::select! {
        name = stop.next() => name,
        // Nothing that an orderly end needs can be agreed upon. Others take over from a process that is gone at once.
        failure = broker.failed() => return Err(MainError::Quorum(failure)),
        () = broker.superseded() => return Err(MainError::Superseded(node_id)),
    };
    tracing::info!("{name}: stopping; a second signal ends the process at once");
    tokio::spawn(async move {
        stop.next().await;
        std::process::exit(1);
    });
    companion.shutdown().await;
    broker.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

/// Where clients reach this node from within its machine; `None`: it serves none.
fn own_address(broker: &Broker) -> Option<String> {
    let (_, mut address) = *broker.listeners().first()?;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(address.to_string())
}

/// The signals that ask the process to end.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> std::io::Result<StopSignals> {
        Ok(StopSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Every connection and every segment in use is an open file: take what the system allows.
fn raise_open_files_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    ) {
        tracing::warn!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, MainError> {
    let usage = |text: String| MainError::Usage(text);
    let mut parsed = Arguments::default();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy().into_owned();
        let (flag, inline) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_string(), Some(OsString::from(value))),
            _ => (text.clone(), None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| rest.next())
                .ok_or_else(|| usage(format!("{flag} needs a value")))
        };
        let as_text = |value: OsString| {
            value
                .into_string()
                .map_err(|value| usage(format!("{} is not UTF-8", value.to_string_lossy())))
        };
        match flag.as_str() {
            "-h" | "--help" => parsed.help = true,
            "--set" | "--override" => {
                let pair = as_text(value()?)?;
                let (key, value) = pair
                    .split_once('=')
                    .ok_or_else(|| usage(format!("{flag} {pair}: write KEY=VALUE")))?;
                parsed.overrides.set.push((key.trim().to_string(), value.trim().to_string()));
            }
            "--data-dir" => parsed.overrides.data_dir = Some(PathBuf::from(value()?)),
            "--listen" => parsed.overrides.listen = Some(as_text(value()?)?),
            "--log-level" => parsed.log_level = Some(as_text(value()?)?),
            "--log-format" => {
                parsed.log_format = match as_text(value()?)?.as_str() {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    other => return Err(usage(format!("--log-format {other}: text or json"))),
                }
            }
            unknown if unknown.starts_with('-') => return Err(usage(format!("unknown option {unknown}"))),
            _ if parsed.properties.is_some() => return Err(usage(format!("{text}: only one properties file can be given"))),
            _ => parsed.properties = Some(PathBuf::from(argument)),
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Arguments {
        parse(arguments.iter().map(OsString::from)).unwrap()
    }

    fn refused(arguments: &[&str]) -> String {
        parse(arguments.iter().map(OsString::from)).unwrap_err().to_string()
    }

    #[test]
    fn arguments_of_start() {
        assert_eq!(parsed(&[]), Arguments::default());
        let found = parsed(&[
            "server.properties",
            "--set",
            "a=b=c",
            "--override=d=e",
            "--data-dir",
            "/d",
            "--listen=:1",
            "--log-format=json",
        ]);
        assert_eq!(found.properties, Some(PathBuf::from("server.properties")));
        assert_eq!(
            found.overrides.set,
            [("a".to_string(), "b=c".to_string()), ("d".to_string(), "e".to_string())]
        );
        assert_eq!(found.overrides.data_dir, Some(PathBuf::from("/d")));
        assert_eq!(found.overrides.listen.as_deref(), Some(":1"));
        assert_eq!(found.log_format, LogFormat::Json);
    }

    #[test]
    fn c4_wrong_arguments_are_named() {
        assert!(refused(&["--nonsense"]).contains("unknown option --nonsense"));
        assert!(refused(&["--set"]).contains("--set needs a value"));
        assert!(refused(&["--set", "a"]).contains("write KEY=VALUE"));
        assert!(refused(&["a", "b"]).contains("only one properties file"));
    }
}
