//! The measuring tools: their lines have the form that scripts take apart.

use crate::harness::Node;
use crate::tool::{at, at_with_input, run};

/// The numbers in a line, in order.
fn numbers(line: &str) -> Vec<f64> {
    let pieces = line.split(|c: char| !c.is_ascii_digit() && c != '.');
    pieces.filter_map(|piece| piece.trim_matches('.').parse().ok()).collect()
}

#[test]
fn producing_is_measured() {
    let node = Node::start(&[]);
    let servers = format!("bootstrap.servers={}", node.address());
    let arguments = [
        "producer-perf-test",
        "--topic",
        "t",
        "--num-records",
        "2000",
        "--record-size",
        "100",
        "--throughput",
        "-1",
    ];
    let line = run(&[&arguments[..], &["--producer-props", &servers, "linger.ms=1"]].concat()).quiet();
    assert!(line.starts_with("2000 records sent, ") && line.ends_with(" ms 99.9th.\n"), "{line}");
    let words = [
        "records/sec",
        "MB/sec",
        "ms avg latency",
        "ms max latency",
        "ms 50th",
        "ms 95th",
        "ms 99th",
    ];
    assert!(words.iter().all(|word| line.contains(word)), "{line}");
    let figures = numbers(&line);
    assert!(figures[1] > 0.0 && figures[3] <= figures[4], "{line}");
    assert_eq!(at(&node, &["get-offsets", "--topic", "t"]).quiet(), "t:0:2000\n");
}

#[test]
fn the_rate_of_producing_is_limited() {
    let node = Node::start(&[]);
    let arguments = [
        "producer-perf-test",
        "--topic",
        "t",
        "--num-records",
        "100",
        "--payload-monotonic",
        "--throughput",
        "200",
    ];
    let line = at(&node, &arguments).quiet();
    let rate = numbers(&line)[1];
    assert!(rate <= 210.0, "{line}");
    let read = at(
        &node,
        &["console-consumer", "--topic", "t", "--from-beginning", "--max-messages", "100"],
    )
    .good();
    assert!(read.lines().map(|line| line.parse::<u32>().unwrap()).eq(0..100));
    assert!(
        at(
            &node,
            &["producer-perf-test", "--topic", "t", "--num-records", "1", "--throughput", "1"]
        )
        .failed()
        .contains("--record-size")
    );
}

#[test]
fn consuming_is_measured() {
    let node = Node::start(&[]);
    let lines: String = (0..3000).map(|n| format!("{n:0100}\n")).collect();
    at_with_input(&node, &["console-producer", "--topic", "t"], lines.as_bytes()).quiet();
    let text = at(&node, &["consumer-perf-test", "--topic", "t", "--messages", "3000"]).quiet();
    let lines: Vec<&str> = text.lines().collect();
    let names = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, \
                 fetch.MB.sec, fetch.nMsg.sec";
    assert_eq!(lines[0], names);
    let fields: Vec<&str> = lines[1].split(", ").collect();
    assert_eq!((fields.len(), fields[4]), (10, "3000"), "{text}");
    assert!(fields[2].starts_with("0.28"), "{text}");
    let short = at(
        &node,
        &[
            "consumer-perf-test",
            "--topic",
            "t",
            "--num-records",
            "4000",
            "--timeout",
            "500",
            "--hide-header",
        ],
    )
    .quiet();
    assert!(
        short.starts_with("WARNING: Exiting before consuming the expected number of messages"),
        "{short}"
    );
    assert_eq!(short.lines().count(), 2);
}
