//! `dohle rest start`: the proxy in a process of its own.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use dohle_client::Properties;
use tokio::signal::unix::{SignalKind, signal};

use crate::{RestConfig, RestServer};

const USAGE: &str = "\
Runs the REST proxy in a process of its own. In a node's process it is started by rest.listeners.

Usage: dohle rest start [kafka-rest.properties] [OPTIONS]

Options:
  --bootstrap-server HOST:PORT  the cluster, several between commas (bootstrap.servers) [default: localhost:9092]
  --listeners URL               where clients connect (listeners) [default: http://localhost:8082]
  --set KEY=VALUE               sets a configuration key over the file; may be given several times
  -h, --help                    prints this text
";

/// Runs the proxy until it is told to stop; `arguments` are those after `rest start`.
pub fn main_start(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dohle rest start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let Some(properties) = parse(arguments)? else {
        print!("{USAGE}");
        return Ok(());
    };
    let config = RestConfig::from_properties(&properties).map_err(|error| error.to_string())?;
    let filter = tracing_subscriber::EnvFilter::try_from_env("DOHLE_LOG").unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // The binary may have set up its own log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("dohle-rest")
        .build();
    runtime.map_err(|error| error.to_string())?.block_on(serve(config))
}

async fn serve(config: RestConfig) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut terminate = signal(SignalKind::terminate()).map_err(text)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(text)?;
    let advertised = config.advertised.clone();
    let server = RestServer::start(config).await.map_err(|error| error.to_string())?;
    println!("dohle rest is ready on {advertised}");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(1);
    });
    server.shutdown().await;
    Ok(())
}

/// `None`: help is asked for.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Properties>, String> {
    let mut file = None;
    let mut set = Vec::new();
    let mut rest = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    while let Some(argument) = rest.next() {
        let (flag, inline) = match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
            _ => (argument.clone(), None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| rest.next())
                .ok_or_else(|| format!("{flag} needs a value"))
        };
        match flag.as_str() {
            "-h" | "--help" => return Ok(None),
            "--bootstrap-server" => set.push(format!("bootstrap.servers={}", value()?)),
            "--listeners" => set.push(format!("listeners={}", value()?)),
            "--set" => set.push(value()?),
            unknown if unknown.starts_with('-') => return Err(format!("unknown option {unknown}\nTry `dohle rest start --help`.")),
            _ if file.is_some() => return Err(format!("{argument}: only one properties file can be given")),
            _ => file = Some(argument),
        }
    }
    let mut properties = match file {
        Some(path) => Properties::from_file(Path::new(&path)).map_err(|error| error.to_string())?,
        None => Properties::default(),
    };
    properties.add_pairs(&set).map_err(|error| error.to_string())?;
    Ok(Some(properties))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_rest_start() {
        let parsed = |arguments: &[&str]| parse(arguments.iter().map(OsString::from));
        let properties = parsed(&["--bootstrap-server", "a:1", "--set=id=x", "--listeners=http://h:1"])
            .unwrap()
            .unwrap();
        let found = ["bootstrap.servers", "id", "listeners"].map(|key| properties.get(key));
        assert_eq!(found, [Some("a:1"), Some("x"), Some("http://h:1")]);
        assert!(parsed(&["--help"]).unwrap().is_none());
        assert!(parsed(&["--nonsense"]).unwrap_err().contains("--nonsense"));
        assert!(parsed(&["--set"]).unwrap_err().contains("needs a value"));
    }
}
