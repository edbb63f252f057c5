//! `dohle start` as a process: what it reads, what it prints, how it ends, and with which words it refuses to begin.

#[path = "../harness/mod.rs"]
mod harness;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use harness::{BINARY, Node, free_port};

/// Exit code, and what was printed on standard error.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(BINARY)
        .arg("start")
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.stdout.is_empty());
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is left behind");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn assert_refused(arguments: &[&str], words: &[&str]) {
    let (code, text) = refused(arguments);
    assert_eq!(code, Some(1), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(text.lines().count() <= 2 && !text.contains("panicked"), "{text}");
}

#[test]
fn g1_mistakes_in_the_configuration_are_named() {
    assert_refused(
        &["--set", "log.retention.hour=1"],
        &["log.retention.hour", "did you mean log.retention.hours?"],
    );
    assert_refused(
        &["--set", "log.segment.bytes=-1"],
        &["log.segment.bytes", "-1", "a whole number from 1048576 to 2147483647"],
    );
    assert_refused(&["--set", "log.segment.bytes=99999999999999"], &["99999999999999", "2147483647"]);
    assert_refused(
        &["--set", "auto.create.topics.enable=yes"],
        &["auto.create.topics.enable", "yes", "true or false"],
    );
}

#[test]
fn g3_g4_directories_and_addresses_that_cannot_be_used_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused(&["--listen", &address], &[&address, "Address already in use"]);
    assert_refused(
        &["--set", "advertised.listeners=PLAINTEXT://0.0.0.0:9092"],
        &["0.0.0.0", "no client can connect to"],
    );
    assert_refused(
        &["--set", "listener.security.protocol.map=A:B"],
        &["listener.security.protocol.map", "A:B"],
    );
    assert_refused(&["--set", "listeners=SSL://127.0.0.1:0"], &["SSL", "not supported yet"]);
    let port = free_port().to_string();
    assert_refused(
        &["--listen", &format!("127.0.0.1:{port}"), "--data-dir", "/proc/nowhere"],
        &["/proc/nowhere"],
    );
}

#[test]
fn g7_c4_a_file_that_cannot_be_read_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.properties");
    fs::write(&file, "node.id=1\nlog.dirs=\\u12\n").unwrap();
    assert_refused(&[file.to_str().unwrap()], &[file.to_str().unwrap(), "line 2"]);
    assert_refused(&["/nowhere/server.properties"], &["/nowhere/server.properties"]);
    assert_refused(&["--nonsense"], &["--nonsense", "--help"]);
}

#[test]
fn g6_the_process_that_holds_a_data_directory_is_named() {
    let node = Node::start(&[]);
    let pid = node.id().to_string();
    let port = free_port();
    let data = node.data();
    let (code, text) = refused(&["--listen", &format!("127.0.0.1:{port}"), "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains(data.to_str().unwrap()) && text.contains(&format!("held by pid {pid}")),
        "{text}"
    );
}

#[test]
fn a_node_says_when_it_is_ready_raises_its_limits_and_stops_in_order() {
    let mut node = Node::start(&["num.io.threads=8"]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", node.id())).unwrap();
    let files: Vec<&str> = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(files[3], files[4], "the soft limit is the hard one");
    assert_eq!(node.stop().code(), Some(0));
    assert!(node.data().join(".kafka_cleanshutdown").exists());
    let log = node.log();
    assert!(
        log.contains("dohle node 1 is ready after ") && log.contains(&node.address()),
        "{log}"
    );
    assert!(log.contains("known to Kafka, not acted on: num.io.threads"), "{log}");
    assert!(log.contains("SIGTERM: stopping"), "{log}");
    node.start_again();
    node.kill();
    node.start_again();
}

#[test]
fn kafkas_own_file_starts_a_node_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (port, controller) = (free_port(), free_port());
    let data = folder.path().join("kraft-combined-logs");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:{controller}\n\
         listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}\ninter.broker.listener.name=PLAINTEXT\n\
         advertised.listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
         num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\nsocket.receive.buffer.bytes=102400\n\
         socket.request.max.bytes=104857600\nlog.dirs={}\nnum.partitions=1\nnum.recovery.threads.per.data.dir=1\n\
         offsets.topic.replication.factor=1\nshare.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\ntransaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         log.retention.hours=168\nlog.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n",
        data.display()
    );
    let file = folder.path().join("server.properties");
    fs::write(&file, text).unwrap();
    let mut process = Command::new(BINARY)
        .args(["server-start", file.to_str().unwrap(), "--log-format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(
        ready.contains("is ready") && ready.contains(&format!("127.0.0.1:{port}")),
        "{ready}"
    );
    assert!(data.join("meta.properties").exists());
    process.kill().unwrap();
    let log = String::from_utf8(process.wait_with_output().unwrap().stderr).unwrap();
    let warnings: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with('{') && line.contains("\"level\":\"WARN\""))
        .collect();
    assert!(warnings.len() == 1 && warnings[0].contains("not acted on"), "{log}");
}
