//! What the tools that move leaders, replicas and voters say to a node that is alone. tests/cluster/test_tools.py has three of them.

use crate::harness::Node;
use crate::tool::at;
use std::fs;
use std::path::PathBuf;

fn node_with_topic() -> Node {
    let node = Node::start(&[]);
    at(&node, &["topics", "--create", "--topic", "t", "--partitions", "2"]).quiet();
    node
}

/// A file beside the data of the node.
fn file(node: &Node, content: &str) -> String {
    let path: PathBuf = node.data().with_file_name("plan.json");
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn leaders_that_need_no_election_are_told_and_missing_partitions_are_errors() {
    let node = node_with_topic();
    let elect = ["leader-election", "--election-type", "preferred"];
    let one = at(&node, &[&elect[..], &["--topic", "t", "--partition", "1"]].concat()).quiet();
    assert_eq!(one, "Valid replica already elected for partitions t-1\n");
    assert_eq!(at(&node, &[&elect[..], &["--all-topic-partitions"]].concat()).quiet(), "");
    let json = file(
        &node,
        r#"{"partitions": [{"topic": "t", "partition": 0}, {"topic": "nope", "partition": 0}]}"#,
    );
    let missing = at(&node, &[&elect[..], &["--path-to-json-file", &json]].concat()).failed();
    assert!(missing.contains("Valid replica already elected for partitions t-0\n"), "{missing}");
    assert!(
        missing.contains("Error completing leader election (PREFERRED) for partition: nope-0: "),
        "{missing}"
    );
    assert!(missing.contains("1 replica(s) could not be elected"), "{missing}");
    let nothing = at(&node, &elect).failed();
    assert!(
        nothing.contains("One and only one of the following options is required"),
        "{nothing}"
    );
}

#[test]
fn replicas_stay_where_there_is_only_one_broker() {
    let node = node_with_topic();
    let tool = |flags: &[&str]| at(&node, &[&["reassign-partitions"], flags].concat());
    assert_eq!(tool(&["--list"]).quiet(), "No partition reassignments found.\n");
    let topics = file(&node, r#"{"topics": [{"topic": "t"}], "version": 1}"#);
    let generate = ["--generate", "--topics-to-move-json-file", &topics, "--broker-list", "1"];
    let plan = concat!(
        r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":["any"]},"#,
        r#"{"topic":"t","partition":1,"replicas":[1],"log_dirs":["any"]}]}"#
    );
    assert_eq!(
        tool(&generate).quiet(),
        format!("Current partition replica assignment\n{plan}\n\nProposed partition reassignment configuration\n{plan}\n")
    );
    let json = file(&node, plan);
    let started = tool(&["--execute", "--reassignment-json-file", &json, "--throttle", "5000000"]).quiet();
    assert!(
        started.contains("Save this to use as the --reassignment-json-file option during rollback"),
        "{started}"
    );
    assert!(
        started.contains("The inter-broker throttle limit was set to 5000000 B/s\n"),
        "{started}"
    );
    assert!(
        started.ends_with("Successfully started partition reassignments for t-0,t-1\n"),
        "{started}"
    );
    let throttles = || {
        let broker = at(&node, &["configs", "--describe", "--broker", "1"]).quiet();
        let topic = at(&node, &["configs", "--describe", "--topic", "t"]).quiet();
        (
            broker.contains("leader.replication.throttled.rate=5000000"),
            topic.contains("leader.replication.throttled.replicas=0:1,1:1"),
        )
    };
    assert_eq!(throttles(), (true, true));
    let kept = tool(&["--verify", "--reassignment-json-file", &json, "--preserve-throttles"]).quiet();
    assert_eq!(
        kept,
        "Status of partition reassignment:\nReassignment of partition t-0 is completed.\nReassignment of partition t-1 is completed.\n\n"
    );
    assert_eq!(throttles(), (true, true));
    let cleared = tool(&["--verify", "--reassignment-json-file", &json]).quiet();
    assert!(
        cleared.ends_with("Clearing broker-level throttles on broker 1\nClearing topic-level throttles on topic t\n"),
        "{cleared}"
    );
    assert_eq!(throttles(), (false, false));
    let cancelled = tool(&["--cancel", "--reassignment-json-file", &json]).quiet();
    assert!(
        cancelled.starts_with("None of the specified partition reassignments are active.\n"),
        "{cancelled}"
    );
}

#[test]
fn reassignments_to_strangers_and_of_strangers_are_refused() {
    let node = node_with_topic();
    let execute = |partition: &str| {
        let json = file(&node, &format!(r#"{{"partitions": [{partition}]}}"#));
        at(&node, &["reassign-partitions", "--execute", "--reassignment-json-file", &json]).failed()
    };
    let unknown = execute(r#"{"topic": "t", "partition": 0, "replicas": [1, 7]}"#);
    assert_eq!(unknown, "Error: Unknown broker id 7\n");
    let missing = execute(r#"{"topic": "t", "partition": 9, "replicas": [1]}"#);
    assert_eq!(missing, "Error: Unable to find partition: t-9\n");
    let twice = execute(r#"{"topic": "t", "partition": 0, "replicas": [1, 1]}"#);
    assert!(twice.contains("may not contain duplicate entries"), "{twice}");
}

#[test]
fn a_broker_that_nobody_knows_is_not_unregistered_and_the_last_voter_stays() {
    let node = Node::start(&[]);
    let unknown = at(&node, &["cluster", "unregister", "--id", "9"]).failed();
    assert!(unknown.contains("Broker ID 9 is not currently registered"), "{unknown}");
    let remove = |id: &str, flags: &[&str]| {
        at(
            &node,
            &[&["metadata-quorum", "remove-controller", "--controller-id", id], flags].concat(),
        )
    };
    let last = remove("1", &[]).failed();
    assert!(last.contains("node 1 is the last voter"), "{last}");
    let stranger = remove("9", &[]).failed();
    assert!(stranger.contains("node 9 is not a voter"), "{stranger}");
    let directory = "JEXY6aqzQY-32P5TStzaFg";
    assert_eq!(
        remove("9", &["--controller-directory-id", directory, "--dry-run"]).quiet(),
        format!("DRY RUN of removing  KRaft controller 9 with directory id {directory}\n")
    );
    let no_file = at(&node, &["metadata-quorum", "add-controller"]).failed();
    assert!(no_file.contains("You must supply the configuration file"), "{no_file}");
    let properties = file(
        &node,
        "node.id=1\nlisteners=CONTROLLER://localhost:9\ncontroller.listener.names=CONTROLLER\nlog.dirs=/nowhere\n",
    );
    let again = at(&node, &["metadata-quorum", "add-controller", "--command-config", &properties]).failed();
    assert!(again.contains("node 1 is a voter already"), "{again}");
}
