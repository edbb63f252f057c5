//! Rows C1 and C4: what cannot work is said in a sentence, at once, and with the right exit code.

use crate::harness::free_port;
use crate::tool::{run, run_with_input};
use std::time::{Duration, Instant};

const ONLINE_TOOLS: [&[&str]; 13] = [
    &["topics", "--list"],
    &["console-producer", "--topic", "t"],
    &["console-consumer", "--topic", "t"],
    &["configs", "--describe", "--topic", "t"],
    &["get-offsets"],
    &["delete-records", "--offset-json-file", "/dev/stdin"],
    &["log-dirs", "--describe"],
    &["cluster", "cluster-id"],
    &["broker-api-versions"],
    &["metadata-quorum", "describe", "--status"],
    &[
        "producer-perf-test",
        "--topic",
        "t",
        "--num-records",
        "1",
        "--record-size",
        "1",
        "--throughput",
        "-1",
    ],
    &["consumer-perf-test", "--topic", "t", "--messages", "1"],
    &["consumer-groups", "--list"],
];

#[test]
fn c1_zookeeper_is_answered_with_the_flag_that_took_its_place() {
    for arguments in [
        &[
            "topics",
            "--create",
            "--zookeeper",
            "localhost:2181",
            "--replication-factor",
            "1",
            "--partitions",
            "1",
            "--topic",
            "test",
        ][..],
        &["topics", "--list", "--zookeeper=localhost:2181"],
        &[
            "console-consumer",
            "--zookeeper",
            "localhost:2181",
            "--topic",
            "test",
            "--from-beginning",
        ],
        &["configs", "--zookeeper", "localhost:2181", "--describe", "--entity-type", "topics"],
        &["consumer-groups", "--zookeeper", "localhost:2181", "--list"],
    ] {
        let finished = run(arguments);
        assert!(finished.bytes.is_empty());
        let answer = finished.failed();
        assert!(answer.contains("--bootstrap-server") && answer.lines().count() == 1, "{answer}");
    }
}

#[test]
fn c4_a_server_that_cannot_be_reached_is_named_within_a_bounded_time() {
    let nobody = format!("127.0.0.1:{}", free_port());
    for address in [nobody.as_str(), "no-such-host.invalid:9092"] {
        for tool in ONLINE_TOOLS {
            let began = Instant::now();
            let arguments = [tool, &["--bootstrap-server", address]].concat();
            let refused = run_with_input(&arguments, br#"{"partitions":[{"topic":"t","partition":0,"offset":1}]}"#).failed();
            assert!(refused.contains(address), "{arguments:?}: {refused}");
            assert!(began.elapsed() < Duration::from_secs(20), "{arguments:?}");
        }
    }
    let refused = run(&["topics", "--list", "--bootstrap-server", "localhost"]).failed();
    assert!(refused.contains("localhost") && refused.contains("host:port"), "{refused}");
}

#[test]
fn c4_a_server_that_does_not_speak_the_protocol_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        std::io::Read::read_to_end(&mut stream, &mut Vec::new())
    });
    let refused = run(&["topics", "--list", "--bootstrap-server", &address]).failed();
    assert!(refused.contains(&address) && refused.contains("HTTP"), "{refused}");
    server.join().unwrap().ok();
}

#[test]
fn c4_unknown_flags_and_missing_arguments_are_answered_with_the_usage() {
    for tool in ONLINE_TOOLS
        .iter()
        .map(|tool| tool[0])
        .chain(["dump-log", "storage", "server-stop"])
    {
        let finished = run(&[tool, "--no-such-flag"]);
        assert!(finished.bytes.is_empty());
        let refused = finished.failed();
        assert!(
            refused.contains("--no-such-flag") && refused.contains("Usage:"),
            "{tool}: {refused}"
        );
        let help = run(&[tool, "--help"]).quiet();
        assert!(help.contains("Usage:"), "{help}");
    }
    for tool in [
        "topics",
        "console-producer",
        "console-consumer",
        "configs",
        "delete-records",
        "log-dirs",
        "dump-log",
        "storage",
        "cluster",
    ] {
        assert!(run(&[tool]).failed().contains("Usage:"), "{tool}");
    }
    assert!(run(&[]).failed().contains("console-producer"));
    assert!(run(&["no-such-tool"]).failed().contains("no-such-tool"));
    assert!(run(&["--help"]).quiet().contains("server-start"));
    assert!(run(&["--version"]).quiet().starts_with("dohle "));
}
