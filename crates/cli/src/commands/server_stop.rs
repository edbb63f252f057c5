//! `dohle server-stop`: asks the servers of this user on this machine to stop, and waits until they have.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

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

fn stop(args: &StopArgs) -> anyhow::Result<ExitCode> {
    let data_dir = args.data_dir.as_deref().map(fs::canonicalize).transpose()?;
    // A descriptor means the same process for ever, a number may be given to another.
    let servers: Vec<(Pid, OwnedFd)> = processes()
        .filter_map(|process| Some((pid_of(&process)?, pidfd_open(pid_of(&process)?, PidfdFlags::empty()).ok()?, process)))
        .filter(|(_, _, process)| is_server(process) && data_dir.as_deref().is_none_or(|dir| holds_lock(process, dir)))
        .map(|(pid, descriptor, _)| (pid, descriptor))
        .collect();
    if servers.is_empty() {
        println!("No server to stop");
        return Ok(ExitCode::FAILURE);
    }
    for (pid, descriptor) in &servers {
        println!("Stopping server with process id {}", pid.as_raw_nonzero());
        pidfd_send_signal(descriptor, Signal::TERM)?;
    }
    let deadline = Instant::now() + STOP_WAIT;
    for (pid, descriptor) in &servers {
        let rest = Timespec::try_from(deadline.saturating_duration_since(Instant::now()))?;
        // Readable once the process has ended.
        let ended = poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&rest))?;
        anyhow::ensure!(
            ended > 0,
            "Server with process id {} is still running after {} s",
            pid.as_raw_nonzero(),
            STOP_WAIT.as_secs()
        );
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
