//! What the tools tell about a cluster: `cluster`, `broker-api-versions`, `metadata-quorum`, `log-dirs`.

use crate::harness::Node;
use crate::tool::{at, at_with_input, run};

#[test]
fn the_cluster_has_an_id_and_endpoints() {
    let node = Node::start(&[]);
    let id = at(&node, &["cluster", "cluster-id"]).quiet();
    assert!(
        id.starts_with("Cluster ID: ") && id.trim_end().len() == "Cluster ID: ".len() + 22,
        "{id}"
    );
    let endpoints = at(&node, &["cluster", "list-endpoints"]).quiet();
    let rows: Vec<Vec<&str>> = endpoints.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"]);
    assert_eq!(rows[1], ["1", "127.0.0.1", &node.port().to_string(), "null", "unfenced", "broker"]);
    assert!(run(&["cluster"]).failed().contains("cluster-id"));
}

#[test]
fn the_versions_are_those_that_the_node_advertises() {
    let node = Node::start(&[]);
    let versions = at(&node, &["broker-api-versions"]).quiet();
    let heading = format!(
        "{} (id: 1 rack: null isFenced: false) -> (\n\tProduce(0): 0 to 13 [usable: 13],\n",
        node.address()
    );
    assert!(versions.starts_with(&heading), "{versions}");
    assert!(versions.contains("\tRemoveRaftVoter(81): 0 [usable: 0]\n)\n"), "{versions}");
    assert!(
        !versions.contains("none"),
        "a version that the node speaks and the tools do not: {versions}"
    );
}

#[test]
fn the_quorum_is_described() {
    let node = Node::start(&[]);
    let id = at(&node, &["cluster", "cluster-id"]).quiet().replace("Cluster ID: ", "");
    let status = at(&node, &["metadata-quorum", "describe", "--status"]).quiet();
    let value = |label: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(label))
            .map(str::trim)
            .map(str::to_owned)
    };
    assert_eq!(value("ClusterId:").as_deref(), Some(id.trim()));
    assert_eq!(value("LeaderId:").as_deref(), Some("1"));
    assert_eq!(value("MaxFollowerLag:").as_deref(), Some("0"));
    assert!(value("CurrentVoters:").unwrap().starts_with("[{\"id\": 1"), "{status}");
    assert_eq!(value("CurrentObservers:").as_deref(), Some("[]"));
    for flags in [&["--replication"][..], &["--replication", "--human-readable"]] {
        let table = at(&node, &[&["metadata-quorum", "describe"], flags].concat()).quiet();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').map(str::trim).collect()).collect();
        assert_eq!(rows[0][..4], ["NodeId", "DirectoryId", "LogEndOffset", "Lag"]);
        assert_eq!((rows[1][0], rows[1][3], rows[1][6]), ("1", "0", "Leader"));
    }
    assert!(
        at(&node, &["metadata-quorum", "describe"])
            .failed()
            .contains("One of --status or --replication")
    );
}

#[test]
fn log_directories_are_described_as_json() {
    let node = Node::start(&[]);
    at_with_input(&node, &["console-producer", "--topic", "t"], b"a\n").quiet();
    at(&node, &["topics", "--create", "--topic", "other"]).quiet();
    let text = at(&node, &["log-dirs", "--describe", "--topic-list", "t", "--broker-list", "1"]).quiet();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "Querying brokers for log directories information",
            "Received log directory information from brokers 1"
        ]
    );
    let start = r#"{"brokers":[{"broker":1,"logDirs":[{"partitions":[{"partition":"t-0","size":"#;
    assert!(lines[2].starts_with(start), "{}", lines[2]);
    let end = format!(
        r#","offsetLag":0,"isFuture":false}}],"error":null,"logDir":"{}"}}]}}],"version":1}}"#,
        node.data().display()
    );
    assert!(lines[2].ends_with(&end), "{}", lines[2]);
    let size: u32 = lines[2][start.len()..lines[2].len() - end.len()].parse().unwrap();
    assert!(size > 0);
    let refused = at(&node, &["log-dirs", "--describe", "--broker-list", "7"]).failed();
    assert!(
        refused.contains("The given brokers do not exist from --broker-list: 7. Current existent brokers: 1"),
        "{refused}"
    );
}
