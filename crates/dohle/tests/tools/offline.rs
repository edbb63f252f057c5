//! Tools that need no node: `dump-log` on its files, `storage` before its start.

use crate::harness::Node;
use crate::tool::{at, at_with_input, run};
use std::fs;

#[test]
fn the_files_of_a_log_are_dumped() {
    let mut node = Node::start(&[]);
    at(
        &node,
        &["topics", "--create", "--topic", "t", "--config", "index.interval.bytes=1000"],
    )
    .quiet();
    let lines: String = (0..2000).map(|n| format!("k{n}\tvalue {n}\n")).collect();
    let flags = [
        "console-producer",
        "--topic",
        "t",
        "--property",
        "parse.key=true",
        "--batch-size",
        "2000",
    ];
    at_with_input(&node, &flags, lines.as_bytes()).quiet();
    assert!(node.stop().success());
    let segment = node.data().join("t-0").join("00000000000000000000");
    let file = |extension: &str| segment.with_extension(extension).to_str().unwrap().to_owned();
    let dump = |file: &str, flags: &[&str]| run(&[&["dump-log", "--files", file], flags].concat()).quiet();

    let log = dump(&file("log"), &["--print-data-log"]);
    assert!(
        log.starts_with(&format!("Dumping {}\nLog starting offset: 0\nbaseOffset: 0 ", file("log"))),
        "{log:.300}"
    );
    let records: Vec<&str> = log.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(records.len(), 2000);
    assert!(records[1999].starts_with("| offset: 1999 CreateTime: ") && records[1999].ends_with(" key: k1999 payload: value 1999"));
    assert!(
        log.lines()
            .filter(|line| line.starts_with("baseOffset"))
            .all(|line| line.ends_with("isvalid: true"))
    );

    for extension in ["index", "timeindex"] {
        let entries = dump(&file(extension), &[]);
        assert!(entries.lines().count() > 3, "{extension}: {entries}");
        let sane = dump(&file(extension), &["--index-sanity-check"]);
        assert!(sane.ends_with("passed sanity check.\n"), "{sane}");
        assert_eq!(dump(&file(extension), &["--verify-index-only"]).lines().count(), 1);
    }
    let snapshots = fs::read_dir(node.data().join("t-0")).unwrap().map(|entry| entry.unwrap().path());
    let snapshot = snapshots
        .filter(|path| path.extension().is_some_and(|extension| extension == "snapshot"))
        .max()
        .unwrap();
    let producers = dump(snapshot.to_str().unwrap(), &[]);
    assert!(
        producers
            .lines()
            .any(|line| line.starts_with("producerId: ") && line.contains("lastOffset: 1999")),
        "{producers}"
    );

    let other = node.data().join("meta.properties");
    assert!(
        run(&["dump-log", "--files", other.to_str().unwrap()])
            .errors
            .contains("Ignoring unknown file")
    );
    assert!(
        run(&["dump-log", "--files", "/missing/00000000000000000000.log"])
            .failed()
            .contains("/missing/")
    );
}

#[test]
fn a_directory_is_formatted_described_and_used() {
    let mut node = Node::prepare(&[]);
    let data = node.data().to_str().unwrap().to_owned();
    assert!(run(&["storage", "info", "--data-dir", &data]).failed().contains("does not exist"));
    let id = run(&["storage", "random-uuid"]).quiet().trim().to_owned();
    assert_eq!(id.len(), 22);
    let format = ["storage", "format", "--cluster-id", &id, "--data-dir", &data];
    assert!(run(&format).quiet().contains(&data));
    assert!(run(&format).failed().contains("already formatted"));
    assert_eq!(
        run(&[&format[..], &["--ignore-formatted"]].concat()).quiet(),
        "All of the log directories are already formatted.\n"
    );
    let info = run(&["storage", "info", "--data-dir", &data]).quiet();
    assert!(
        info.contains(&format!(
            "Found log directory:\n  {data}\n\nFound metadata: {{cluster.id={id}, directory.id="
        )),
        "{info}"
    );
    node.start_again();
    assert_eq!(at(&node, &["cluster", "cluster-id"]).quiet(), format!("Cluster ID: {id}\n"));
}

#[test]
fn the_properties_of_a_node_name_the_directory_to_format() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("server.properties"), folder.path().join("logs"));
    fs::write(
        &file,
        format!("node.id=5\nprocess.roles=broker,controller\nlog.dirs={}\n", data.display()),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let id = "AInY07pnSWObwD49BC1fGQ";
    run(&["storage", "format", "--standalone", "-t", id, "-c", file]).quiet();
    let meta = fs::read_to_string(data.join("meta.properties")).unwrap();
    assert!(
        meta.contains("node.id=5\n") && meta.contains(&format!("cluster.id={id}\n")),
        "{meta}"
    );
    assert!(run(&["storage", "info", "-c", file]).quiet().contains("node.id=5"));
}
