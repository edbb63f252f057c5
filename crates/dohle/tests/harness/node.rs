//! One process of ours on loopback: started, stopped, killed, and started again on the same data.
#![allow(clippy::disallowed_methods, reason = "another process has no event that could be waited for")]

use super::Connection;
use dohle_protocol::messages::api_versions::ApiVersionsRequest;
use std::fmt::Debug;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_dohle");
const START_TIMEOUT: Duration = Duration::from_secs(90);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const CHECK_INTERVAL: Duration = Duration::from_millis(2);

/// A node with a directory of its own. The process is killed when this is dropped.
pub(crate) struct Node {
    process: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
    settings: Vec<String>,
    starts: u32,
}

/// The process ended instead of answering.
#[derive(Debug)]
pub(crate) struct StartRefused {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
}

impl Node {
    /// Starts a node with settings of the form `key=value`, and waits until it answers.
    pub(crate) fn start(settings: &[&str]) -> Node {
        let mut node = Node::prepare(settings);
        node.start_again();
        node
    }

    /// Everything but the process, so that files can be put into place first.
    pub(crate) fn prepare(settings: &[&str]) -> Node {
        Node {
            process: None,
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
            settings: settings.iter().map(ToString::to_string).collect(),
            starts: 0,
        }
    }

    /// From the next start on.
    pub(crate) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Starts a node that was stopped or killed, on the same data and port.
    pub(crate) fn start_again(&mut self) {
        self.try_start()
            .unwrap_or_else(|refused| panic!("the node ends with {}:\n{}", refused.status, refused.output));
    }

    pub(crate) fn try_start(&mut self) -> Result<(), StartRefused> {
        assert!(self.process.is_none(), "the node runs");
        self.starts += 1;
        let log = File::create(self.log_path()).unwrap();
        let mut command = Command::new(BINARY);
        command
            .arg("start")
            .arg("--data-dir")
            .arg(self.data())
            .args(["--listen", &self.address()])
            // The first member of a group need not wait for others here, unless a test sets it.
            .args(["--set", "group.initial.rebalance.delay.ms=0"]);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        let mut process = command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        let began = Instant::now();
        while !answers(self.port) {
            if let Some(status) = process.try_wait().unwrap() {
                return Err(StartRefused {
                    status,
                    output: self.log(),
                });
            }
            if began.elapsed() > START_TIMEOUT {
                let _ = process.kill();
                panic!("the node does not answer:\n{}", self.log());
            }
            std::thread::sleep(CHECK_INTERVAL);
        }
        self.process = Some(process);
        Ok(())
    }

    /// SIGKILL: what was not handed to the kernel is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// SIGTERM, then the exit status.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    /// SIGTERM, without waiting for what comes of it.
    pub(crate) fn terminate(&self) {
        let id = self.process.as_ref().expect("the node runs").id();
        let id = rustix::process::Pid::from_raw(id as i32).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("the process is ours");
    }

    /// Waits for the end of a process that was told to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            let process = self.process.as_mut().expect("the node runs");
            if let Some(status) = process.try_wait().unwrap() {
                self.process = None;
                return status;
            }
            assert!(began.elapsed() < STOP_TIMEOUT, "the node does not stop:\n{}", self.log());
            std::thread::sleep(CHECK_INTERVAL);
        }
    }

    /// Waits until the process has done something that its files tell.
    pub(crate) fn wait_until(&self, what: &str, has_done: impl Fn(&Node) -> bool) {
        let began = Instant::now();
        while !has_done(self) {
            assert!(began.elapsed() < STOP_TIMEOUT, "{what}: not yet\n{}", self.log());
            std::thread::sleep(CHECK_INTERVAL);
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.port)
    }

    /// Of the process.
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().expect("the node runs").id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// As clients are told: `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The directory around the data, for files of the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The log directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the process has printed since its last start.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("log.{}", self.starts))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a node on the port answers ApiVersions.
fn answers(port: u16) -> bool {
    let Ok(mut connection) = Connection::try_open(port) else {
        return false;
    };
    connection.call(0, &ApiVersionsRequest::default()).is_some()
}

/// A port that nobody listens on. Not one of those the kernel gives to outgoing connections: a client that dials such a port while the
/// node is down can be connected to itself.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 11_000 + (uuid::Uuid::new_v4().as_u128() % 18_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
