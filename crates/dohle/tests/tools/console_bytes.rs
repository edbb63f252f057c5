//! Row C5: the console tools keep bytes as they are, go on after a record that is too large, and end when nobody reads.

use crate::harness::Node;
use crate::tool::{at, at_with_input, finish, start};
use std::io::{BufRead, BufReader, Write};

fn read_all(node: &Node, topic: &str, count: usize) -> Vec<u8> {
    let count = count.to_string();
    at(
        node,
        &["console-consumer", "--topic", topic, "--from-beginning", "--max-messages", &count],
    )
    .bytes
}

#[test]
fn c5_bytes_are_kept_as_they_are() {
    let node = Node::start(&[]);
    let every_byte: Vec<u8> = (0..=255).filter(|&byte| byte != b'\n').collect();
    let input = [b"nul\0nul\n", &every_byte[..], b"\n\n\xff\xfe invalid\r\nno line end"].concat();
    at_with_input(&node, &["console-producer", "--topic", "t"], &input).quiet();
    assert_eq!(read_all(&node, "t", 5), [&input[..], b"\n"].concat());
}

#[test]
fn c5_a_line_that_is_too_long_is_reported_and_the_next_ones_are_sent() {
    let node = Node::start(&[]);
    let input = [&vec![b'x'; 2 << 20][..], b"\nafter\n"].concat();
    let finished = at_with_input(&node, &["console-producer", "--topic", "client"], &input);
    assert_eq!(finished.code, 0);
    assert!(
        finished.errors.contains("value: 2097152 bytes with error: The message is 2097"),
        "refused before it is sent: {}",
        finished.errors
    );
    // A client that would send it is refused by the node, with error 10.
    let flags = [
        "console-producer",
        "--topic",
        "node",
        "--producer-property",
        "max.request.size=10000000",
    ];
    let finished = at_with_input(&node, &flags, &input);
    assert_eq!(finished.code, 0);
    assert!(finished.errors.contains("value: 2097152 bytes with error: "), "{}", finished.errors);
    for topic in ["client", "node"] {
        assert_eq!(read_all(&node, topic, 1), b"after\n");
    }
}

#[test]
fn a_batch_that_is_too_large_for_the_topic_is_sent_in_parts() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t", "--config", "max.message.bytes=2000"]).quiet();
    let input: Vec<u8> = (0..1000)
        .flat_map(|n| format!("line {n} {}\n", "x".repeat(50)).into_bytes())
        .collect();
    at_with_input(&node, &["console-producer", "--topic", "t"], &input).quiet();
    assert_eq!(read_all(&node, "t", 1000), input);
}

#[test]
fn c5_a_consumer_whose_output_is_closed_ends_well() {
    let node = Node::start(&[]);
    let input: Vec<u8> = (0..20_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    at_with_input(&node, &["console-producer", "--topic", "t"], &input).quiet();
    let mut child = start(&[
        "console-consumer",
        "--topic",
        "t",
        "--from-beginning",
        "--bootstrap-server",
        &node.address(),
    ]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "line 0\n");
    drop(stdout);
    // It may have written everything before the pipe closed: the next record finds out.
    at_with_input(&node, &["console-producer", "--topic", "t"], b"one more\n").quiet();
    let finished = finish(child);
    assert_eq!(finished.code, 0);
    assert!(
        finished.errors.contains("Unable to write to standard out, closing consumer."),
        "{}",
        finished.errors
    );
    assert!(finished.errors.contains("Processed a total of "), "{}", finished.errors);
}

#[test]
fn other_tools_end_well_when_nobody_reads() {
    let node = Node::start(&[]);
    for _ in 0..5 {
        let mut child = start(&[
            "configs",
            "--describe",
            "--broker",
            "1",
            "--all",
            "--bootstrap-server",
            &node.address(),
        ]);
        drop(child.stdout.take());
        let finished = finish(child);
        assert_eq!((finished.code, finished.errors.as_str()), (0, ""));
    }
}

#[test]
fn lines_arrive_while_the_producer_stays_open() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t"]).quiet();
    let mut producer = start(&[
        "console-producer",
        "--topic",
        "t",
        "--timeout",
        "5",
        "--bootstrap-server",
        &node.address(),
    ]);
    let mut consumer = start(&[
        "console-consumer",
        "--topic",
        "t",
        "--from-beginning",
        "--bootstrap-server",
        &node.address(),
    ]);
    let mut stdin = producer.stdin.take().unwrap();
    let mut stdout = BufReader::new(consumer.stdout.take().unwrap());
    for line in ["first\n", "second\n"] {
        stdin.write_all(line.as_bytes()).unwrap();
        let mut read = String::new();
        stdout.read_line(&mut read).unwrap();
        assert_eq!(read, line);
    }
    drop(stdin);
    assert_eq!(finish(producer).quiet(), "");
    consumer.kill().unwrap();
    consumer.wait().unwrap();
}
