//! `topics`: the life of a topic, and rows C2 and C3.

use crate::harness::Node;
use crate::tool::at;

/// The word behind `label` in a line of fields separated by tabs.
fn field<'a>(line: &'a str, label: &str) -> &'a str {
    line.split('\t')
        .find_map(|field| field.strip_prefix(label))
        .unwrap_or_else(|| panic!("no {label} in {line}"))
}

#[test]
fn a_topic_is_created_listed_described_extended_and_deleted() {
    let node = Node::start(&[]);
    assert_eq!(at(&node, &["topics", "--list"]).quiet(), "\n");
    let create = [
        "topics",
        "--create",
        "--topic",
        "events",
        "--partitions",
        "3",
        "--config",
        "retention.ms=1000",
    ];
    assert_eq!(at(&node, &create).quiet(), "Created topic events.\n");
    assert_eq!(at(&node, &["topics", "--list"]).quiet(), "events\n");
    let described = at(&node, &["topics", "--describe", "--topic", "events"]).quiet();
    let lines: Vec<&str> = described.lines().collect();
    let id = field(lines[0], "TopicId: ").to_owned();
    assert_eq!(id.len(), 22);
    assert_eq!(
        lines[0].replace(&id, "ID"),
        "Topic: events\tTopicId: ID\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: flush.policy=commit,retention.ms=1000"
    );
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[2],
        "\tTopic: events\tPartition: 1\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: "
    );
    assert_eq!(at(&node, &["topics", "--describe", "--topic-id", &id]).quiet(), described);
    assert_eq!(
        at(&node, &["topics", "--alter", "--topic", "events", "--partitions", "5"]).quiet(),
        ""
    );
    assert_eq!(at(&node, &["topics", "--describe", "--topic", "events"]).quiet().lines().count(), 6);
    assert_eq!(at(&node, &["topics", "--delete", "--topic", "events"]).quiet(), "");
    assert_eq!(at(&node, &["topics", "--list"]).quiet(), "\n");
}

#[test]
fn topics_are_chosen_by_patterns_and_by_what_is_set_for_them() {
    let node = Node::start(&[]);
    for topic in ["alpha", "alphabet", "beta"] {
        at(&node, &["topics", "--create", "--topic", topic]).quiet();
    }
    at(
        &node,
        &["topics", "--create", "--topic", "gamma", "--config", "cleanup.policy=compact"],
    )
    .quiet();
    assert_eq!(at(&node, &["topics", "--list", "--topic", "alpha.*"]).quiet(), "alpha\nalphabet\n");
    assert_eq!(at(&node, &["topics", "--list", "--topic", "alpha,beta"]).quiet(), "alpha\nbeta\n");
    let overridden = at(&node, &["topics", "--describe", "--topics-with-overrides"]).quiet();
    assert_eq!(overridden.lines().map(|line| field(line, "Topic: ")).collect::<Vec<_>>(), ["gamma"]);
    assert_eq!(at(&node, &["topics", "--describe", "--under-replicated-partitions"]).quiet(), "");
    assert_eq!(at(&node, &["topics", "--describe", "--unavailable-partitions"]).quiet(), "");
    assert_eq!(
        at(&node, &["topics", "--describe", "--at-min-isr-partitions"])
            .quiet()
            .lines()
            .count(),
        4
    );
    at(&node, &["topics", "--delete", "--topic", "al.*"]).quiet();
    assert_eq!(at(&node, &["topics", "--list"]).quiet(), "beta\ngamma\n");
}

#[test]
fn a_topic_with_replicas_by_hand_has_as_many_partitions_as_are_given() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t", "--replica-assignment", "1,1"]).quiet();
    assert_eq!(at(&node, &["topics", "--describe", "--topic", "t"]).quiet().lines().count(), 3);
    let refused = at(&node, &["topics", "--create", "--topic", "u", "--replica-assignment", "1,7"]).failed();
    assert!(refused.contains("Error while executing topic command"), "{refused}");
}

#[test]
fn c2_numbers_that_cannot_be_are_refused() {
    let node = Node::start(&[]);
    for count in ["0", "-1"] {
        let refused = at(&node, &["topics", "--create", "--topic", "t", "--partitions", count]).failed();
        assert!(refused.contains("The partitions must be greater than 0"), "{refused}");
    }
    let refused = at(&node, &["topics", "--create", "--topic", "t", "--partitions", "abc"]).failed();
    assert!(refused.contains("abc"), "{refused}");
    let refused = at(&node, &["topics", "--create", "--topic", "t", "--replication-factor", "3"]).failed();
    assert!(
        refused.contains("target replication factor of 3 cannot be reached because only 1 broker(s) are registered"),
        "{refused}"
    );
    let refused = at(&node, &["topics", "--create", "--topic", "t", "--config", "no.such.key=1"]).failed();
    assert!(refused.contains("Unknown topic config name: no.such.key"), "{refused}");
    assert_eq!(at(&node, &["topics", "--list"]).quiet(), "\n");
}

#[test]
fn c3_what_exists_is_not_created_and_what_does_not_is_not_altered() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t", "--partitions", "3"]).quiet();
    let refused = at(&node, &["topics", "--create", "--topic", "t"]).failed();
    assert_eq!(refused, "Error while executing topic command : Topic 't' already exists.\n");
    assert_eq!(at(&node, &["topics", "--create", "--topic", "t", "--if-not-exists"]).quiet(), "");
    let refused = at(&node, &["topics", "--alter", "--topic", "t", "--partitions", "1"]).failed();
    assert_eq!(
        refused,
        "Error while executing topic command : The topic t currently has 3 partition(s); 1 would not be an increase.\n"
    );
    for action in [&["--describe"][..], &["--delete"], &["--alter", "--partitions", "4"]] {
        let missing = [&["topics", "--topic", "missing"], action].concat();
        let refused = at(&node, &missing).failed();
        assert!(refused.contains("Topic 'missing' does not exist as expected"), "{refused}");
        assert_eq!(at(&node, &[&missing[..], &["--if-exists"]].concat()).quiet(), "");
    }
}
