//! D8: what does not belong in a data directory.

use crate::content::{one_record, read_all};
use crate::harness::Node;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::path::Path;

const STORAGE_ERROR: i16 = 56;

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn d8_strange_names_are_left_alone_and_deleted_logs_are_cleaned() {
    let mut node = Node::start(&[]);
    node.connect().create_topic("t", 1, &[]);
    node.connect().produce("t", 0, one_record("kept"));
    node.kill();
    let data = node.data();
    for name in ["foo", "foo--1", "lost+found", "nobody-0"] {
        std::fs::create_dir(data.join(name)).unwrap();
        std::fs::write(data.join(name).join("file"), "not ours").unwrap();
    }
    let deleted = data.join("x-0.0123456789abcdef0123456789abcdef-delete");
    std::fs::create_dir(&deleted).unwrap();
    std::fs::write(deleted.join("00000000000000000000.log"), "gone").unwrap();
    std::fs::write(data.join("t-0").join("00000000000000000007.log.deleted"), "gone").unwrap();
    std::fs::write(data.join("t-0").join("notes.txt"), "not ours").unwrap();
    make_fifo(&data.join("fifo-0"));
    let outside = node.folder().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, data.join("link-0")).unwrap();

    node.start_again();
    assert_eq!(read_all(&mut node.connect(), "t", 0), [(0, b"kept".to_vec())]);
    let log = node.log();
    for name in ["foo", "foo--1", "lost+found", "nobody-0", "fifo-0", "link-0"] {
        assert!(data.join(name).symlink_metadata().is_ok(), "{name} is gone");
        let told = log.lines().any(|line| line.contains("WARN") && line.contains(name));
        assert!(told, "{name} is not named:\n{log}");
    }
    assert_eq!(std::fs::read(data.join("lost+found/file")).unwrap(), b"not ours");
    assert_eq!(std::fs::read(data.join("t-0/notes.txt")).unwrap(), b"not ours");
    assert!(!deleted.exists() && !data.join("t-0").join("00000000000000000007.log.deleted").exists());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

/// The name of a link or a FIFO is taken by a topic that is created now.
#[test]
fn d8_a_topic_is_not_created_through_a_link() {
    let mut node = Node::start(&[]);
    node.kill();
    let outside = node.folder().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, node.data().join("link-0")).unwrap();
    make_fifo(&node.data().join("fifo-0"));
    node.start_again();
    let mut connection = node.connect();
    for topic in ["link", "fifo"] {
        connection.create_topic(topic, 1, &[]);
        assert_eq!(connection.produce(topic, 0, one_record("x")).error_code, STORAGE_ERROR, "{topic}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    connection.create_topic("t", 1, &[]);
    assert_eq!(connection.produce("t", 0, one_record("x")).error_code, 0);
}

#[test]
fn d8_a_fifo_or_a_link_in_place_of_a_segment_is_not_followed_and_blocks_nothing() {
    let mut node = Node::start(&[]);
    for topic in ["fifo", "link", "sound"] {
        node.connect().create_topic(topic, 1, &[]);
        node.connect().produce(topic, 0, one_record("kept"));
    }
    node.kill();
    let secret = node.folder().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let segment = |topic: &str| node.data().join(format!("{topic}-0/00000000000000000000.log"));
    std::fs::remove_file(segment("fifo")).unwrap();
    make_fifo(&segment("fifo"));
    std::fs::remove_file(segment("link")).unwrap();
    std::os::unix::fs::symlink(&secret, segment("link")).unwrap();

    node.start_again();
    let mut connection = node.connect();
    assert_eq!(read_all(&mut connection, "sound", 0), [(0, b"kept".to_vec())]);
    for topic in ["fifo", "link"] {
        assert_eq!(connection.fetch(topic, 0, 0).error_code, STORAGE_ERROR, "{topic}");
        assert_eq!(connection.produce(topic, 0, one_record("x")).error_code, STORAGE_ERROR, "{topic}");
        assert!(
            node.log().lines().any(|line| line.contains(&format!("{topic}-0"))),
            "{}",
            node.log()
        );
    }
    assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
    assert!(node.stop().success());
}
