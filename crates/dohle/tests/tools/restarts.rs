//! The console producer over a kill of the node: everything is there once, in order.

use crate::harness::Node;
use crate::tool::{at, finish, start};
use std::io::Write;
use std::thread;

const LINES: u32 = 60_000;

#[test]
fn lines_are_delivered_once_and_in_order_across_kills() {
    let mut node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t"]).quiet();
    let patience = ["--message-send-max-retries", "1000", "--request-timeout-ms", "5000"];
    let address = node.address();
    let arguments = ["console-producer", "--topic", "t", "--bootstrap-server", &address];
    let mut producer = start(&[&arguments[..], &patience].concat());
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
    let closing = thread::spawn(move || drop(stdin));
    assert_eq!(finish(producer).quiet(), "");
    closing.join().unwrap();
    let read = at(
        &node,
        &["console-consumer", "--topic", "t", "--from-beginning", "--timeout-ms", "1000"],
    )
    .good();
    assert_eq!(read.lines().count(), LINES as usize);
    assert!(read.lines().map(|line| line.parse::<u32>().unwrap()).eq(0..LINES));
}
