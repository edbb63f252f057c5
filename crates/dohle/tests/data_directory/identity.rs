//! D7: a directory without its identity, with a strange one, or of another node.

use crate::content::{one_record, read_all};
use crate::harness::Node;

const META: &str = "meta.properties";

#[test]
fn d7_a_directory_without_its_identity_or_of_another_format_is_refused_with_a_hint() {
    let mut node = Node::start(&[]);
    node.connect().create_topic("t", 1, &[]);
    node.connect().produce("t", 0, one_record("kept"));
    node.kill();
    let path = node.data().join(META);
    let good = std::fs::read_to_string(&path).unwrap();

    std::fs::remove_file(&path).unwrap();
    assert_refused(&mut node, &["no meta.properties", "format"]);
    assert!(!path.exists(), "a new identity was written over the old data");
    for (from, to, words) in [
        ("version=1", "version=99", ["version 99", "only 1"]),
        ("node.id=1", "node.id=7", ["node 7", "not to 1"]),
        ("node.id=1", "node.id=seven", ["node.id is 'seven'", "restore"]),
        ("cluster.id=", "cluster.id=x", ["cluster", "x"]),
    ] {
        std::fs::write(&path, good.replace(from, to)).unwrap();
        assert_refused(&mut node, &words);
    }
    std::fs::write(&path, "").unwrap();
    assert_refused(&mut node, &["version 0", META]);

    std::fs::write(&path, good).unwrap();
    node.start_again();
    assert_eq!(read_all(&mut node.connect(), "t", 0), [(0, b"kept".to_vec())]);
}

fn assert_refused(node: &mut Node, words: &[&str]) {
    let refused = node.try_start().expect_err("the start is refused");
    assert_eq!(refused.status.code(), Some(1), "{}", refused.output);
    for word in words {
        assert!(refused.output.contains(word), "\"{word}\" is missing in:\n{}", refused.output);
    }
}
