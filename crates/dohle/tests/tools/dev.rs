//! `dev`: three nodes that start and stop together.
#![allow(clippy::disallowed_methods, reason = "other processes have no event that could be waited for")]

use crate::tool::{finish, run, start};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first of six free ports in a row, which no other test here is given.
fn free_ports() -> u16 {
    static STEP: AtomicU16 = AtomicU16::new(0);
    loop {
        let first = 12_000 + std::process::id() as u16 % 500 * 20 + STEP.fetch_add(6, Ordering::Relaxed);
        if (first..first + 6).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
}

fn wait_for(lines: &mut BufReader<ChildStdout>, wanted: &str) -> String {
    let mut seen = String::new();
    while !seen.lines().last().is_some_and(|line| line.contains(wanted)) {
        let read = lines.read_line(&mut seen).unwrap();
        assert!(read > 0, "it ended without {wanted:?}:\n{seen}");
    }
    seen
}

fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

#[test]
fn three_nodes_form_a_cluster_and_stop_together() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let port = free_ports();
    let mut dev = start(&["dev", "--data-dir", data, "--port", &port.to_string()]);
    let mut lines = BufReader::new(dev.stdout.take().unwrap());
    let ready = wait_for(&mut lines, " nodes are ready at ");
    let bootstrap = format!("localhost:{port},localhost:{},localhost:{}", port + 2, port + 4);
    assert!(
        ready.ends_with(&format!("3 nodes are ready at {bootstrap}; Ctrl-C stops them\n")),
        "{ready}"
    );
    assert!(
        (1..=3).all(|node| ready.contains(&format!("node {node} | dohle node {node} is ready "))),
        "{ready}"
    );
    let server = ["--bootstrap-server", &bootstrap];
    run(&[&["topics"], &server[..], &["--create", "--topic", "t"]].concat()).quiet();
    let described = run(&[&["topics"], &server[..], &["--describe", "--topic", "t"]].concat()).quiet();
    assert!(described.contains("ReplicationFactor: 3"), "{described}");
    terminate(&dev);
    // What the nodes say in the end has to be read.
    let rest = std::thread::spawn(move || lines.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n"));
    let ended = finish(dev);
    let rest = rest.join().unwrap();
    assert_eq!(ended.code, 0, "{rest}\n{}", ended.errors);
    assert!(
        (1..=3).all(|node| rest.contains(&format!("node {node} ended: exit status: 0"))),
        "{rest}"
    );
    assert!((1..=3).all(|node| folder.path().join(format!("node-{node}/meta.properties")).exists()));
}

#[test]
fn a_node_that_does_not_start_stops_all() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let port = free_ports();
    let _taken = TcpListener::bind(("127.0.0.1", port + 2)).unwrap();
    let text = run(&["dev", "--data-dir", data, "--port", &port.to_string()]).failed();
    assert!(text.contains("It did not start, the others are stopped"), "{text}");
    assert!((1..=3).all(|node| text.contains(&format!("node {node} ended: "))), "{text}");
}
