//! `console-producer` and `console-consumer`: the quickstart, keys and headers, positions, codecs and acknowledgements.

use crate::harness::Node;
use crate::tool::{at, at_with_input, run, run_with_input};
use std::collections::BTreeSet;

fn produce(node: &Node, topic: &str, flags: &[&str], input: &str) {
    let arguments = [&["console-producer", "--topic", topic], flags].concat();
    assert_eq!(at_with_input(node, &arguments, input.as_bytes()).quiet(), "");
}

/// Reads from the beginning until this many records have come.
fn consume(node: &Node, topic: &str, count: usize, flags: &[&str]) -> String {
    let count = count.to_string();
    let arguments = ["console-consumer", "--topic", topic, "--from-beginning", "--max-messages", &count];
    let finished = at(node, &[&arguments, flags].concat());
    assert_eq!(finished.errors, format!("Processed a total of {count} messages\n"));
    finished.good()
}

#[test]
fn the_quickstart_works_with_both_names_of_the_servers() {
    let node = Node::start(&[]);
    let address = node.address();
    for flag in ["--bootstrap-server", "--broker-list"] {
        let topic = &format!("quickstart{flag}");
        run(&["topics", "--create", "--topic", topic, "--bootstrap-server", &address]).quiet();
        run_with_input(&["console-producer", "--topic", topic, flag, &address], b"first\nsecond\n").quiet();
        let read = run(&[
            "console-consumer",
            "--topic",
            topic,
            "--from-beginning",
            "--max-messages",
            "2",
            flag,
            &address,
        ]);
        assert_eq!(read.good(), "first\nsecond\n");
    }
}

#[test]
fn a_topic_is_created_by_the_first_line() {
    let node = Node::start(&[]);
    produce(&node, "new", &[], "a\nb\n");
    assert_eq!(consume(&node, "new", 2, &[]), "a\nb\n");
}

#[test]
fn keys_headers_and_nulls_go_in_and_come_out() {
    let node = Node::start(&[]);
    let reading = [
        "--property",
        "parse.key=true",
        "--property",
        "parse.headers=true",
        "--reader-property",
        "null.marker=NIL",
    ];
    produce(&node, "t", &reading, "h1:x,h2:y\tk1\tv1\nNIL\tk2\tNIL\n");
    let printing = [
        "--property",
        "print.key=true",
        "--property",
        "print.headers=true",
        "--formatter-property",
        "null.literal=-",
    ];
    assert_eq!(consume(&node, "t", 2, &printing), "h1:x,h2:y\tk1\tv1\nNO_HEADERS\tk2\t-\n");
    let positions = [
        "--property",
        "print.partition=true",
        "--property",
        "print.offset=true",
        "--property",
        "key.separator=|",
    ];
    assert_eq!(
        consume(&node, "t", 2, &positions),
        "Partition:0|Offset:0|v1\nPartition:0|Offset:1|null\n"
    );
    let stamped = consume(&node, "t", 1, &["--property", "print.timestamp=true"]);
    assert!(stamped.starts_with("CreateTime:1"), "{stamped}");
}

#[test]
fn equal_keys_meet_in_one_partition_and_reading_covers_all_partitions() {
    let node = Node::start(&["num.partitions=4"]);
    let input: String = (0..100).map(|n| format!("{}:{n}\n", n % 10)).collect();
    produce(
        &node,
        "t",
        &["--property", "parse.key=true", "--property", "key.separator=:"],
        &input,
    );
    let printing = ["--property", "print.key=true", "--property", "print.partition=true"];
    let read = consume(&node, "t", 100, &printing);
    let mut places: Vec<(&str, &str)> = read
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|f| (f[1], f[0]))
        .collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 10, "each key is in one partition: {places:?}");
    let mut values: Vec<u32> = read
        .lines()
        .map(|line| line.rsplit('\t').next().unwrap().parse().unwrap())
        .collect();
    values.sort_unstable();
    assert!(values.into_iter().eq(0..100));
}

#[test]
fn reading_begins_where_it_is_told_to() {
    let node = Node::start(&[]);
    produce(&node, "t", &[], "a\nb\nc\nd\n");
    let read = |flags: &[&str]| {
        at(
            &node,
            &[&["console-consumer", "--topic", "t", "--timeout-ms", "500"], flags].concat(),
        )
        .good()
    };
    assert_eq!(read(&["--partition", "0", "--offset", "2"]), "c\nd\n");
    assert_eq!(read(&["--partition", "0", "--offset", "earliest", "--max-messages", "1"]), "a\n");
    assert_eq!(read(&["--partition", "0"]), "", "without an offset from the end");
    assert_eq!(read(&["--partition", "0", "--from-beginning"]), "a\nb\nc\nd\n");
    // Beyond the end the reset policy decides.
    assert_eq!(
        read(&[
            "--partition",
            "0",
            "--offset",
            "99",
            "--consumer-property",
            "auto.offset.reset=earliest"
        ]),
        "a\nb\nc\nd\n"
    );
    let refused = at(
        &node,
        &["console-consumer", "--topic", "t", "--partition", "7", "--timeout-ms", "500"],
    )
    .failed();
    assert!(refused.contains("no partition 7"), "{refused}");
}

#[test]
fn topics_are_included_by_a_pattern() {
    let node = Node::start(&[]);
    produce(&node, "one", &[], "1\n");
    produce(&node, "two", &[], "2\n");
    let read = at(
        &node,
        &[
            "console-consumer",
            "--include",
            "o.*|tw.",
            "--from-beginning",
            "--max-messages",
            "2",
        ],
    )
    .good();
    let mut lines: Vec<&str> = read.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2"]);
}

#[test]
fn silence_ends_the_consumer_if_it_is_told_to() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t"]).quiet();
    let finished = at(&node, &["console-consumer", "--topic", "t", "--timeout-ms", "300"]);
    assert_eq!((finished.code, finished.bytes.len()), (0, 0));
    assert!(
        finished.errors.ends_with("Processed a total of 0 messages\n"),
        "{}",
        finished.errors
    );
}

#[test]
fn every_codec_and_every_kind_of_acknowledgement() {
    let node = Node::start(&[]);
    let input: String = (0..500).map(|n| format!("line {n} {}\n", "x".repeat(n % 50))).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        produce(&node, codec, &["--compression-codec", codec], &input);
        assert_eq!(consume(&node, codec, 500, &[]), input, "{codec}");
    }
    // Without a value it is gzip.
    produce(&node, "bare", &["--compression-codec"], &input);
    assert_eq!(consume(&node, "bare", 500, &["--isolation-level", "read_committed"]), input);
    for acks in ["0", "1", "-1", "all"] {
        let topic = &format!("acks{acks}");
        at(&node, &["topics", "--create", "--topic", topic]).quiet();
        produce(&node, topic, &["--request-required-acks", acks], &input);
        assert_eq!(consume(&node, topic, 500, &[]), input, "acks {acks}");
    }
    produce(&node, "sync", &["--sync"], "one\nby\none\n");
    assert_eq!(consume(&node, "sync", 3, &[]), "one\nby\none\n");
}

#[test]
fn settings_come_from_properties_and_unknown_ones_are_named() {
    let node = Node::start(&[]);
    let file = node.folder().join("producer.properties");
    std::fs::write(&file, "compression.type=zstd\nbatch.size=100\nno.such.setting=1\n").unwrap();
    let file = file.to_str().unwrap();
    let finished = at_with_input(&node, &["console-producer", "--topic", "t", "--producer.config", file], b"a\nb\n");
    assert!(finished.errors.contains("no.such.setting"), "{}", finished.errors);
    assert_eq!(finished.code, 0);
    assert_eq!(consume(&node, "t", 2, &[]), "a\nb\n");
    let refused = at(
        &node,
        &["console-producer", "--topic", "t", "--producer-property", "linger.ms=soon"],
    )
    .failed();
    assert!(refused.contains("linger.ms"), "{refused}");
}

#[test]
fn a_line_without_its_key_stops_the_producer_after_the_lines_before() {
    let node = Node::start(&[]);
    let finished = at_with_input(
        &node,
        &["console-producer", "--topic", "t", "--property", "parse.key=true"],
        b"k\tv\nnovalue\nk\tw\n",
    );
    assert!(finished.failed().contains("No key separator found on line number 2: 'novalue'"));
    let read = at(
        &node,
        &["console-consumer", "--topic", "t", "--from-beginning", "--timeout-ms", "3000"],
    );
    assert_eq!(read.good(), "v\n");
}

#[test]
fn a_group_goes_on_where_its_last_member_stopped_to_print() {
    let node = Node::start(&["offsets.topic.num.partitions=1"]);
    produce(&node, "t", &[], "a\nb\nc\nd\n");
    produce(&node, "other", &[], "e\n");
    assert_eq!(consume(&node, "t", 2, &["--group", "g"]), "a\nb\n");
    assert_eq!(consume(&node, "t", 1, &["--consumer-property", "group.id=g"]), "c\n");
    assert_eq!(consume(&node, "t", 2, &[]), "a\nb\n", "without a group nothing is remembered");
    let both = [
        "console-consumer",
        "--include",
        "t|o.*",
        "--group",
        "g",
        "--from-beginning",
        "--max-messages",
        "2",
    ];
    let read = at(&node, &both).good();
    assert_eq!(read.lines().collect::<BTreeSet<_>>(), BTreeSet::from(["d", "e"]));
    let offsets = ["--from-beginning", "--timeout-ms", "2000", "--formatter", "OffsetsMessageFormatter"];
    let printed = at(
        &node,
        &[&["console-consumer", "--topic", "__consumer_offsets"], &offsets[..]].concat(),
    )
    .good();
    for offset in [2, 3, 4] {
        let key = r#"{"key":{"type":1,"data":{"group":"g","topic":"t","partition":0}},"value":{"version":3,"data":{"offset":"#;
        assert!(printed.contains(&format!("{key}{offset},")), "{printed}");
    }
}
