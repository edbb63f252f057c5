//! `dohle server-stop`: asks the servers of this user on this machine to stop, and waits until they have.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};

use crate::arguments::run_tool;
use crate::limits::STOP_WAIT;

/// Stop the servers on this machine.
#[derive(Debug, Parser)]
#[command(name = "dohle server-stop", version)]
struct StopArgs {
    /// Only the server that uses this data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, stop)
}

fn stop(args: StopArgs) -> anyhow::Result<ExitCode> {
    let data_dir = args.data_dir.as_deref().map(fs::canonicalize).transpose()?;
    let servers: Vec<Pid> = processes()
        .filter(|process| is_server(process) && data_dir.as_deref().is_none_or(|dir| holds_lock(process, dir)))
        .filter_map(|process| pid_of(&process))
        .collect();
    if servers.is_empty() {
        println!("No server to stop");
        return Ok(ExitCode::FAILURE);
    }
    for &server in &servers {
        println!("Stopping server with process id {}", server.as_raw_nonzero());
        kill_process(server, Signal::TERM)?;
    }
    let deadline = Instant::now() + STOP_WAIT;
    while servers.iter().any(|&server| is_alive(server)) {
        anyhow::ensure!(
            Instant::now() < deadline,
            "A server is still running after {} s",
            STOP_WAIT.as_secs()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(ExitCode::SUCCESS)
}

/// The directories of `/proc` that belong to processes.
fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| pid_of(path).is_some())
}

fn pid_of(process: &Path) -> Option<Pid> {
    process.file_name()?.to_str()?.parse().ok().and_then(Pid::from_raw)
}

/// A process of our program (which may have been replaced by a newer one since) that was started as a node.
fn is_server(process: &Path) -> bool {
    let Ok(command) = fs::read(process.join("cmdline")) else {
        return false;
    };
    let mut arguments = command
        .split(|&byte| byte == 0)
        .map(|argument| PathBuf::from(OsString::from_vec(argument.to_vec())));
    let program = arguments.next().unwrap_or_default();
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let subcommand = arguments.next().unwrap_or_default();
    let starts = subcommand == Path::new("start") || subcommand == Path::new("server-start");
    // Of another user, or of none any more (a zombie), its files cannot be read.
    let is_ours = fs::read_link(process.join("exe")).is_ok();
    is_ours && (name.starts_with("kafka-server-start") || (name == "dohle" && starts))
}

/// Whether the process has the lock file of the data directory open.
fn holds_lock(process: &Path, data_dir: &Path) -> bool {
    let lock = data_dir.join(".lock");
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target == lock)
}

/// A process that has ended but was not waited for is not alive: its `exe` leads nowhere.
fn is_alive(server: Pid) -> bool {
    fs::read_link(format!("/proc/{}/exe", server.as_raw_nonzero())).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_recognised_by_the_lock_it_holds_and_this_test_is_no_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap();
        let me = PathBuf::from(format!("/proc/{}", std::process::id()));
        assert!(!holds_lock(&me, &path));
        let _lock = fs::File::create(path.join(".lock")).unwrap();
        assert!(holds_lock(&me, &path));
        assert!(!is_server(&me));
        assert!(processes().any(|process| process == me));
    }
}
