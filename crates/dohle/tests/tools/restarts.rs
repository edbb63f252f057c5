//! The console tools over kills of the node: everything is there once, in order, and a reader goes on. And over signals to the tools.

use crate::harness::Node;
use crate::tool::{at, finish, start};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::process::Child;
use std::thread;

const LINES: u32 = 60_000;

#[test]
fn lines_are_delivered_once_and_in_order_across_kills() {
    let mut node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t"]).quiet();
    let (address, count) = (node.address(), LINES.to_string());
    let reading = ["console-consumer", "--topic", "t", "--from-beginning", "--max-messages", &count];
    let reader = start(&[&reading[..], &["--bootstrap-server", &address]].concat());
    let reader = thread::spawn(move || finish(reader));
    let writing = [
        "console-producer",
        "--topic",
        "t",
        "--message-send-max-retries",
        "1000",
        "--request-timeout-ms",
        "5000",
    ];
    let mut producer = start(&[&writing[..], &["--bootstrap-server", &address]].concat());
    let mut stdin = producer.stdin.take().unwrap();
    for part in 0..3 {
        for line in part * LINES / 3..(part + 1) * LINES / 3 {
            writeln!(stdin, "{line}").unwrap();
        }
        if part < 2 {
            node.kill();
            node.start_again();
        }
    }
    drop(stdin);
    assert_eq!(finish(producer).quiet(), "");
    let in_order = |text: &str| text.lines().map(|line| line.parse::<u32>().unwrap()).eq(0..LINES);
    assert!(in_order(&reader.join().unwrap().good()), "read while it was written");
    let read = at(
        &node,
        &["console-consumer", "--topic", "t", "--from-beginning", "--timeout-ms", "1000"],
    );
    assert!(in_order(&read.good()), "read afterwards");
}

#[test]
fn a_signal_ends_the_producer_after_delivery_and_the_consumer_with_its_count() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t"]).quiet();
    let address = node.address();
    // One line fits into a batch: the second one sends the first off, and would itself wait for a minute.
    let writing = [
        "console-producer",
        "--topic",
        "t",
        "--timeout",
        "60000",
        "--batch-size",
        "90",
        "--bootstrap-server",
        &address,
    ];
    let mut producer = start(&writing);
    let mut consumer = start(&[
        "console-consumer",
        "--topic",
        "t",
        "--from-beginning",
        "--bootstrap-server",
        &address,
    ]);
    let mut stdin = producer.stdin.take().unwrap();
    let mut lines = BufReader::new(consumer.stdout.take().unwrap()).lines();
    stdin.write_all(b"first\nsecond\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    signal(&producer, Signal::INT);
    assert_eq!(finish(producer).code, 130);
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    signal(&consumer, Signal::TERM);
    let finished = finish(consumer);
    assert_eq!(
        (finished.code, finished.errors.as_str()),
        (143, "Processed a total of 2 messages\n")
    );
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}
