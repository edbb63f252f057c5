//! `dohle dev`: a cluster on this machine, to try things with. Each node is a process of its own, broker and controller; all stop together.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;

use anyhow::Context;
use clap::Parser;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::mpsc;

use crate::arguments::{run_tool, usage};
use crate::connect::block_on;
use crate::limits::{DEV_LINES_AHEAD, DEV_NODES_MAX};
use crate::stop_signal::stop_signal;

/// Run a cluster of several nodes on this machine, until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "dohle dev", version)]
struct DevArgs {
    /// How many nodes; each is a broker and a controller
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=DEV_NODES_MAX))]
    nodes: u16,
    /// Where the data lies: node 1 has the directory node-1 in it, and so on
    #[arg(long, value_name = "DIR", default_value = "./dohle-dev")]
    data_dir: PathBuf,
    /// Where clients reach the first node; its controller takes the next port, then comes the second node
    #[arg(long, value_name = "PORT", default_value_t = 9092)]
    port: u16,
    /// A configuration key for all nodes, also several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

/// What a node has done.
enum Event {
    Line(u16, String),
    Ended(u16, ExitStatus),
}

struct Node {
    number: u16,
    /// A descriptor means the same process for ever, a number may be given to another.
    process: OwnedFd,
    is_ready: bool,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, |args: &DevArgs| {
        check(args)?;
        block_on(dev(args))
    })
}

fn check(args: &DevArgs) -> anyhow::Result<()> {
    if u16::checked_add(args.port, 2 * args.nodes - 1).is_none() {
        return usage(format!("There are no {} ports from {} on", 2 * args.nodes, args.port));
    }
    if let Some(setting) = args.settings.iter().find(|setting| !setting.contains('=')) {
        return usage(format!("--set {setting}: write KEY=VALUE"));
    }
    anyhow::ensure!(
        !args.data_dir.join("meta.properties").exists(),
        "{} is the data directory of a node; choose another one with --data-dir",
        args.data_dir.display()
    );
    Ok(())
}

async fn dev(args: &DevArgs) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let (events, mut received) = mpsc::channel(DEV_LINES_AHEAD);
    let mut nodes: Vec<Node> = Vec::new();
    for number in 1..=args.nodes {
        let arguments = start_arguments(args, number);
        nodes.push(start(number, Command::new(&program).args(arguments), &events)?);
    }
    drop(events);
    let mut code = ExitCode::SUCCESS;
    let mut stopping = false;
    let mut announced = false;
    let mut stop = std::pin::pin!(stop_signal());
    // Ends when the last node has ended.
    loop {
        tokio::select! {
            event = received.recv() => match event {
                None => return Ok(code),
                Some(Event::Line(number, line)) => {
                    say(&format!("node {number} | {line}"));
                    if line.starts_with("dohle node ") && line.contains(" is ready ") {
                        nodes.iter_mut().filter(|node| node.number == number).for_each(|node| node.is_ready = true);
                    }
                }
                Some(Event::Ended(number, status)) => {
                    let place = nodes.iter().position(|node| node.number == number);
                    let ended = nodes.swap_remove(place.expect("a node ends once"));
                    say(&format!("node {number} ended: {status}"));
                    if !stopping && !ended.is_ready {
                        say("It did not start, the others are stopped");
                        (code, stopping) = (ExitCode::FAILURE, true);
                        signal_all(&nodes, Signal::TERM);
                    } else if !stopping {
                        say(&format!("Start it again with: {}", command_line(&start_arguments(args, number))));
                    }
                }
            },
            signalled = &mut stop => {
                signalled?;
                stop.set(stop_signal());
                // Who does not wait for an orderly end says so a second time.
                signal_all(&nodes, if stopping { Signal::KILL } else { Signal::TERM });
                stopping = true;
            }
        }
        let all_are_ready = nodes.len() == usize::from(args.nodes) && nodes.iter().all(|node| node.is_ready);
        if all_are_ready && !announced && !stopping {
            say(&format!(
                "{} nodes are ready at {}; Ctrl-C stops them",
                nodes.len(),
                bootstrap_servers(args)
            ));
            announced = true;
        }
    }
}

/// The cluster goes on even if nobody reads what it says.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn bootstrap_servers(args: &DevArgs) -> String {
    let servers = (1..=args.nodes).map(|number| format!("localhost:{}", port(args, number)));
    servers.collect::<Vec<_>>().join(",")
}

fn port(args: &DevArgs, number: u16) -> u16 {
    args.port + 2 * (number - 1)
}

/// As somebody would type them; what the user sets comes last, and wins.
fn start_arguments(args: &DevArgs, number: u16) -> Vec<OsString> {
    let voters = (1..=args.nodes).map(|voter| format!("{voter}@localhost:{}", port(args, voter) + 1));
    let voters = voters.collect::<Vec<_>>().join(",");
    let (clients, controller) = (port(args, number), port(args, number) + 1);
    let replicas = args.nodes.min(3);
    let mut settings = vec![
        format!("node.id={number}"),
        "process.roles=broker,controller".to_owned(),
        format!("listeners=PLAINTEXT://localhost:{clients},CONTROLLER://localhost:{controller}"),
        format!("advertised.listeners=PLAINTEXT://localhost:{clients}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        format!("controller.quorum.voters={voters}"),
        format!("default.replication.factor={replicas}"),
        format!("min.insync.replicas={}", if replicas > 2 { 2 } else { 1 }),
    ];
    settings.extend(args.settings.iter().cloned());
    let mut arguments: Vec<OsString> = vec!["start".into(), "--data-dir".into()];
    arguments.push(args.data_dir.join(format!("node-{number}")).into());
    for setting in settings {
        arguments.extend(["--set".into(), setting.into()]);
    }
    arguments
}

/// For a person: what a shell would not read as it stands is in quotes.
fn command_line(arguments: &[OsString]) -> String {
    let quoted = arguments.iter().map(|argument| {
        let text = argument.to_string_lossy();
        let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./,:=@".contains(c));
        if is_plain { text.into_owned() } else { format!("'{text}'") }
    });
    format!("dohle {}", quoted.collect::<Vec<_>>().join(" "))
}

fn start(number: u16, command: &mut Command, events: &mpsc::Sender<Event>) -> anyhow::Result<Node> {
    // In a group of its own: Ctrl-C reaches this process only, which then stops the nodes, once.
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("node {number} cannot be started"))?;
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let readers = [
        forward(number, child.stdout.take(), events.clone()),
        forward(number, child.stderr.take(), events.clone()),
    ];
    let events = events.clone();
    thread::spawn(move || {
        let last = await_end(&mut child, readers);
        // Nobody listens when this process ends itself.
        last.map(|status| events.blocking_send(Event::Ended(number, status)))
    });
    Ok(Node {
        number,
        process,
        is_ready: false,
    })
}

/// What it said last comes before its end.
fn await_end(child: &mut Child, readers: [thread::JoinHandle<()>; 2]) -> io::Result<ExitStatus> {
    for reader in readers {
        // A panic of a reader has been printed.
        let _ = reader.join();
    }
    child.wait()
}

fn forward(number: u16, stream: Option<impl Read + Send + 'static>, events: mpsc::Sender<Event>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let Some(stream) = stream else { return };
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if events.blocking_send(Event::Line(number, line)).is_err() {
                return;
            }
        }
    })
}

fn signal_all(nodes: &[Node], signal: Signal) {
    for node in nodes {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&node.process, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(arguments: &[&str]) -> Result<DevArgs, String> {
        let args = DevArgs::try_parse_from([&["dev"], arguments].concat()).map_err(|error| error.to_string())?;
        check(&args).map_err(|error| error.to_string()).map(|()| args)
    }

    #[test]
    fn each_node_has_ports_and_a_directory_of_its_own_and_knows_all_voters() {
        let args = args(&["--data-dir", "/d", "--port", "1000", "--set", "num.partitions=7"]).unwrap();
        let line = command_line(&start_arguments(&args, 2));
        assert_eq!(
            line,
            "dohle start --data-dir /d/node-2 --set node.id=2 --set process.roles=broker,controller \
             --set listeners=PLAINTEXT://localhost:1002,CONTROLLER://localhost:1003 --set advertised.listeners=PLAINTEXT://localhost:1002 \
             --set controller.listener.names=CONTROLLER \
             --set controller.quorum.voters=1@localhost:1001,2@localhost:1003,3@localhost:1005 \
             --set default.replication.factor=3 --set min.insync.replicas=2 --set num.partitions=7"
        );
        assert_eq!(bootstrap_servers(&args), "localhost:1000,localhost:1002,localhost:1004");
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let node = tempfile::tempdir().unwrap();
        std::fs::write(node.path().join("meta.properties"), "").unwrap();
        for (arguments, part) in [
            (&["--nodes", "0"][..], "0"),
            (&["--nodes", "100"], "100"),
            (&["--port", "65533"], "no 6 ports"),
            (&["--set", "a"], "write KEY=VALUE"),
            (&["--data-dir", node.path().to_str().unwrap()], "data directory of a node"),
        ] {
            let error = args(arguments).unwrap_err();
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
        assert!(args(&["--nodes", "1", "--port", "65534"]).is_ok());
    }
}
