//! `get-offsets` and `delete-records`.

use crate::harness::Node;
use crate::tool::{at, at_with_input};
use std::fs;

#[test]
fn offsets_by_time_and_by_pattern() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "one", "--partitions", "2"]).quiet();
    at(&node, &["topics", "--create", "--topic", "two"]).quiet();
    at_with_input(&node, &["console-producer", "--topic", "two"], b"a\nb\nc\n").quiet();
    assert_eq!(at(&node, &["get-offsets"]).quiet(), "one:0:0\none:1:0\ntwo:0:3\n");
    assert_eq!(at(&node, &["get-offsets", "--topic", "two", "--time", "-2"]).quiet(), "two:0:0\n");
    assert_eq!(
        at(&node, &["get-offsets", "--topic", "two", "--time", "earliest"]).quiet(),
        "two:0:0\n"
    );
    assert_eq!(at(&node, &["get-offsets", "--topic", "two", "--time", "1"]).quiet(), "two:0:0\n");
    assert_eq!(
        at(&node, &["get-offsets", "--topic", "two", "--time", "99999999999999"]).quiet(),
        "",
        "no record is that late"
    );
    let newest = at(&node, &["get-offsets", "--time", "max-timestamp"]).quiet();
    assert!(newest.starts_with("two:0:") && newest.lines().count() == 1, "{newest}");
    assert_eq!(
        at(&node, &["get-offsets", "--topic-partitions", "one:1,tw.*"]).quiet(),
        "one:1:0\ntwo:0:3\n"
    );
    assert_eq!(
        at(&node, &["get-offsets", "--topic", "one", "--partitions", "0"]).quiet(),
        "one:0:0\n"
    );
    let refused = at(&node, &["get-offsets", "--topic", "missing"]).failed();
    assert_eq!(
        refused,
        "Error occurred: Could not match any topic-partitions with the specified filters\n"
    );
    assert!(
        at(&node, &["get-offsets", "--time", "xx"])
            .failed()
            .contains("Malformed time argument xx")
    );
}

#[test]
fn records_are_deleted_below_an_offset() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t"]).quiet();
    at_with_input(&node, &["console-producer", "--topic", "t"], b"a\nb\nc\n").quiet();
    let delete = |json: &str| {
        let file = node.folder().join("offsets.json");
        fs::write(&file, json).unwrap();
        at(&node, &["delete-records", "--offset-json-file", file.to_str().unwrap()])
    };
    let heading = "Executing records delete operation\nRecords delete operation completed:\n";
    let done = delete(r#"{"partitions":[{"topic":"t","partition":0,"offset":2}],"version":1}"#).quiet();
    assert_eq!(done, format!("{heading}partition: t-0\tlow_watermark: 2\n"));
    let read = at(
        &node,
        &["console-consumer", "--topic", "t", "--from-beginning", "--timeout-ms", "500"],
    )
    .good();
    assert_eq!(read, "c\n");
    let out_of_range = delete(r#"{"partitions":[{"topic":"t","partition":0,"offset":100}]}"#).quiet();
    assert!(
        out_of_range.starts_with(&format!("{heading}partition: t-0\terror: ")),
        "{out_of_range}"
    );
    let missing = delete(r#"{"partitions":[{"topic":"missing","partition":0,"offset":1}]}"#).quiet();
    assert!(missing.starts_with(&format!("{heading}partition: missing-0\terror: ")), "{missing}");
    let all = delete(r#"{"partitions":[{"topic":"t","partition":0,"offset":-1}]}"#).quiet();
    assert_eq!(all, format!("{heading}partition: t-0\tlow_watermark: 3\n"));
    assert!(delete("nonsense").failed().contains("not a valid JSON"));
}
