//! `configs`: what is set, what is not, for topics and brokers.

use crate::harness::Node;
use crate::tool::at;

#[test]
fn the_configuration_of_a_topic_is_altered_and_described() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t"]).quiet();
    let describe = ["configs", "--describe", "--topic", "t"];
    assert_eq!(at(&node, &describe).quiet(), "Dynamic configs for topic t are:\n");
    let alter = [
        "configs",
        "--alter",
        "--topic",
        "t",
        "--add-config",
        "retention.ms=2000,cleanup.policy=[compact,delete]",
    ];
    assert_eq!(at(&node, &alter).quiet(), "Completed updating config for topic t.\n");
    assert_eq!(
        at(&node, &describe).quiet(),
        "Dynamic configs for topic t are:\n  \
         cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, \
         DEFAULT_CONFIG:log.cleanup.policy=delete}\n  \
         retention.ms=2000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=2000}\n"
    );
    let all = at(
        &node,
        &["configs", "--describe", "--entity-type", "topics", "--entity-name", "t", "--all"],
    )
    .quiet();
    assert!(all.starts_with("All configs for topic t are:\n"), "{all}");
    assert!(
        all.contains("  max.message.bytes=1048588 sensitive=false synonyms={DEFAULT_CONFIG:message.max.bytes=1048588}\n"),
        "{all}"
    );
    assert!(all.contains("  flush.policy=commit "), "{all}");
    at(
        &node,
        &[
            "configs",
            "--alter",
            "--topic",
            "t",
            "--delete-config",
            "retention.ms,cleanup.policy",
        ],
    )
    .quiet();
    assert_eq!(at(&node, &describe).quiet(), "Dynamic configs for topic t are:\n");
}

#[test]
fn what_cannot_be_set_is_refused() {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t"]).quiet();
    for (change, part) in [
        ("no.such.key=1", "no.such.key"),
        ("retention.ms=x", "retention.ms"),
        ("cleanup.policy=forget", "cleanup.policy"),
    ] {
        let refused = at(&node, &["configs", "--alter", "--topic", "t", "--add-config", change]).failed();
        assert!(
            refused.contains("Error while executing config command with args") && refused.contains(part),
            "{refused}"
        );
    }
    let missing = at(&node, &["configs", "--describe", "--topic", "missing"]).quiet();
    assert_eq!(missing, "The topic 'missing' doesn't exist and doesn't have dynamic config.\n");
    assert_eq!(
        at(&node, &["configs", "--describe", "--topic", "t"]).quiet(),
        "Dynamic configs for topic t are:\n"
    );
}

#[test]
fn the_configuration_of_a_broker_and_of_all_brokers() {
    let node = Node::start(&["num.partitions=7"]);
    let own = at(&node, &["configs", "--describe", "--broker", "1"]).quiet();
    assert_eq!(own, "Dynamic configs for broker 1 are:\n");
    let all = at(&node, &["configs", "--describe", "--broker", "1", "--all"]).quiet();
    assert!(
        all.contains("  num.partitions=7 sensitive=false synonyms={STATIC_BROKER_CONFIG:num.partitions=7, "),
        "{all}"
    );
    let alter = ["configs", "--alter", "--broker-defaults", "--add-config", "log.retention.ms=5000"];
    assert_eq!(
        at(&node, &alter).quiet(),
        "Completed updating default config for brokers in the cluster.\n"
    );
    let described = at(&node, &["configs", "--describe", "--entity-type", "brokers"]).quiet();
    assert!(
        described.contains("Default configs for brokers in the cluster are:\n  log.retention.ms=5000 "),
        "{described}"
    );
    let refused = at(&node, &["configs", "--describe", "--broker", "one"]).failed();
    assert!(refused.contains("must be a valid integer broker id"), "{refused}");
}
