//! Running other programs: in the repository's root, loudly, and with the command line in the error.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root")
        .to_path_buf()
}

/// A command that runs in the root.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command with its output on the terminal; anything but exit status 0 is an error.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let line = line(&command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| line.clone())?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Like [`run`], but a command that hangs is killed after so long, with all that it has started: CI then shows which test it was.
pub(crate) fn run_within(limit: Duration, mut command: Command) -> Result<()> {
    let line = line(&command);
    eprintln!("$ {line}");
    let mut child = command.spawn().with_context(|| line.clone())?;
    let pid = child.id();
    let (ended, has_ended) = mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let is_late = has_ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        for pid in if is_late { with_descendants(pid)? } else { Vec::new() } {
            // It may have ended meanwhile.
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        Ok::<bool, anyhow::Error>(is_late)
    });
    let status = child.wait()?;
    drop(ended);
    if watchdog.join().expect("the watchdog does not panic")? {
        bail!("`{line}` did not end within {} s and was killed", limit.as_secs());
    }
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// This process and all that it and its children have started.
fn with_descendants(pid: u32) -> Result<Vec<u32>> {
    let mut processes: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // "pid (name) state ppid ..."; it may have ended meanwhile.
        let stat = fs::read_to_string(entry?.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        let pid = stat.split(' ').next().and_then(|pid| pid.parse().ok());
        processes.extend(pid.zip(parent));
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(processes.iter().filter(|process| process.1 == parent).map(|process| process.0));
        next += 1;
    }
    Ok(found)
}

/// Runs a command and returns what it printed.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let line = line(&command);
    let output = command.output().with_context(|| line.clone())?;
    if !output.status.success() {
        bail!("`{line}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()), arguments)
}

/// Every file that git tracks, relative to the root.
pub(crate) fn tracked_files() -> Result<Vec<PathBuf>> {
    let listing = output(command("git", &["ls-files", "-z"]))?;
    Ok(listing
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect())
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_killed_with_all_that_it_started() {
        let error = run_within(Duration::from_millis(300), command("sh", &["-c", "sleep 54321 & wait"])).unwrap_err();
        assert!(error.to_string().contains("was killed"), "{error}");
        let left = command("pgrep", &["-f", "sleep 54321$"]).output().unwrap();
        assert!(left.stdout.is_empty());
        run_within(Duration::from_secs(60), command("true", &[])).unwrap();
        run_within(Duration::from_secs(60), command("false", &[])).unwrap_err();
    }
}
