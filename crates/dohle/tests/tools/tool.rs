//! Runs a tool to its end, with a limit on the time it may take.

use crate::harness::{BINARY, Node};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

/// What a tool left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) errors: String,
}

impl Finished {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).expect("text")
    }

    /// Standard output of a tool that must have succeeded without a word on standard error.
    pub(crate) fn quiet(self) -> String {
        assert_eq!((self.code, self.errors.as_str()), (0, ""), "{self:?}");
        self.text()
    }

    /// Standard output of a tool that must have succeeded.
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.text()
    }

    /// Both outputs of a tool that must have failed, without a trace of where in the code.
    pub(crate) fn failed(self) -> String {
        assert_eq!(self.code, 1, "{self:?}");
        let all = self.text() + &self.errors;
        assert!(!all.contains("panicked") && !all.contains("backtrace"), "{all}");
        all
    }
}

/// Runs a tool with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Finished {
    run_with_input(arguments, b"")
}

pub(crate) fn run_with_input(arguments: &[&str], input: &[u8]) -> Finished {
    let mut child = start(arguments);
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // A tool that refuses its arguments does not read.
        let _ = stdin.write_all(&input);
    });
    let finished = finish(child);
    writer.join().unwrap();
    finished
}

/// Runs a tool against a node.
pub(crate) fn at(node: &Node, arguments: &[&str]) -> Finished {
    at_with_input(node, arguments, b"")
}

pub(crate) fn at_with_input(node: &Node, arguments: &[&str], input: &[u8]) -> Finished {
    let (tool, rest) = arguments.split_first().expect("the name of a tool");
    let address = node.address();
    let mut all = vec![*tool];
    // Tools with actions of their own take the flag behind the action.
    let actions = rest.iter().take_while(|argument| !argument.starts_with("--")).count();
    all.extend(&rest[..actions]);
    all.extend(["--bootstrap-server", &address]);
    all.extend(&rest[actions..]);
    run_with_input(&all, input)
}

/// Starts a tool with all three streams piped.
pub(crate) fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env_remove("DOHLE_LOG").spawn().expect("the binary runs")
}

/// Waits for the end of a tool, and kills it if that takes too long.
pub(crate) fn finish(mut child: Child) -> Finished {
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take();
    let read_out = thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.iter_mut().for_each(|stdout| drop(stdout.read_to_end(&mut bytes)));
        bytes
    });
    let read_err = thread::spawn(move || {
        let mut text = String::new();
        stderr.iter_mut().for_each(|stderr| drop(stderr.read_to_string(&mut text)));
        text
    });
    let id = Pid::from_child(&child);
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait().unwrap()));
    let Ok(status) = end.recv_timeout(TIMEOUT) else {
        kill_process(id, Signal::KILL).unwrap();
        panic!("the tool does not end: {:?} {:?}", read_out.join(), read_err.join());
    };
    Finished {
        code: status.code().unwrap_or(-1),
        bytes: read_out.join().unwrap(),
        errors: read_err.join().unwrap(),
    }
}
