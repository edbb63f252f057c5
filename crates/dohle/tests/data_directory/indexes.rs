//! D1: indexes that are missing, zeroed, cut or garbage are made again from the log.

use crate::content::{Content, Damage, End, RECORDS, files, rewrite};
use crate::harness::Node;

const DAMAGES: [Damage; 4] = [
    ("missing", |path| std::fs::remove_file(path).unwrap()),
    ("zeroed", |path| rewrite(path, |bytes| bytes.fill(0))),
    ("garbage", |path| {
        rewrite(path, |bytes| {
            bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 151 + 13) as u8)
        })
    }),
    ("cut", |path| rewrite(path, |bytes| bytes.truncate(bytes.len() - 3))),
];

#[test]
fn d1_indexes_are_rebuilt_after_a_stop() {
    indexes_are_rebuilt_after(End::Stopped);
}

#[test]
fn d1_indexes_are_rebuilt_after_a_kill() {
    indexes_are_rebuilt_after(End::Killed);
}

fn indexes_are_rebuilt_after(end: End) {
    let mut node = Node::start(&[]);
    let mut topics = Vec::new();
    for extension in ["index", "timeindex"] {
        for (name, damage) in DAMAGES {
            let topic = format!("{extension}-{name}");
            let content = Content::write(&mut node.connect(), &topic);
            topics.push((topic, extension, damage, content));
        }
    }
    // Once in order, so that the indexes of all segments are there.
    assert!(node.stop().success());
    let contents = |node: &Node, topic: &str| {
        ["index", "timeindex"].map(|kind| {
            files(node, topic, kind)
                .iter()
                .map(|path| std::fs::read(path).unwrap())
                .collect::<Vec<_>>()
        })
    };
    let before: Vec<_> = topics.iter().map(|(topic, ..)| contents(&node, topic)).collect();
    node.start_again();
    end.come_to(&mut node);
    for (topic, extension, damage, _) in &topics {
        let indexes = files(&node, topic, extension);
        assert!(indexes.len() >= 4, "{topic} has segments: {indexes:?}");
        indexes
            .iter()
            .filter(|path| path.metadata().unwrap().len() > 0)
            .for_each(|path| damage(path));
    }

    node.start_again();
    for (topic, _, _, content) in &topics {
        content.assert_readable(&mut node.connect(), topic, 0, RECORDS);
    }
    assert!(node.log().contains("rebuilding the indexes"), "{}", node.log());
    assert!(node.stop().success());
    for ((topic, ..), before) in topics.iter().zip(before) {
        assert!(contents(&node, topic) == before, "{topic}: other indexes than before");
    }
}
