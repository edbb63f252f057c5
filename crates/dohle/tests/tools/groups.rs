//! `consumer-groups`: what groups have committed, who is in them, and what may be done to them.

use crate::harness::Node;
use crate::tool::{Finished, at, at_with_input, finish, start};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

fn groups(node: &Node, arguments: &str) -> Finished {
    let arguments: Vec<&str> = ["consumer-groups"].into_iter().chain(arguments.split_whitespace()).collect();
    at(node, &arguments)
}

/// A node with five records in the only partition of topic `t`.
fn node_with_records() -> Node {
    let node = Node::start(&["group.initial.rebalance.delay.ms=0"]);
    at(&node, &["topics", "--create", "--topic", "t"]).quiet();
    at_with_input(&node, &["console-producer", "--topic", "t"], b"1\n2\n3\n4\n5\n").quiet();
    node
}

/// What a reset prints for one group with one partition.
fn reset_table(group: &str, offset: i64) -> String {
    format!(
        concat!(
            "\n",
            "GROUP           TOPIC           PARTITION  NEW-OFFSET\n",
            "{:<15} t               0          {}\n"
        ),
        group, offset
    )
}

fn offsets_table(group: &str, offset: i64, lag: i64) -> String {
    format!(
        concat!(
            "\n",
            "GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID\n",
            "{:<15} t               0          {:<15} 5               {:<15} -               -               -\n"
        ),
        group, offset, lag
    )
}

#[test]
fn offsets_are_reset_in_all_forms() {
    let node = node_with_records();
    assert_eq!(groups(&node, "--list").quiet(), "");
    let set = groups(&node, "--reset-offsets --group g --topic t --to-offset 3 --execute");
    assert_eq!(set.quiet(), reset_table("g", 3));
    let described = groups(&node, "--describe --group g");
    assert_eq!(described.errors, "\nConsumer group 'g' has no active members.\n");
    assert_eq!(described.good(), offsets_table("g", 3, 2));
    for (target, offset) in [
        ("--to-earliest", 0),
        ("--to-latest", 5),
        ("--to-current", 3),
        ("--to-offset 1", 1),
        ("--shift-by -2", 1),
        ("--shift-by 1", 4),
        ("--to-datetime 2020-01-01T00:00:00.000", 0),
        ("--by-duration P1D", 0),
    ] {
        for scope in ["--topic t", "--topic t:0", "--all-topics"] {
            let planned = groups(&node, &format!("--reset-offsets --group g {scope} {target} --dry-run"));
            assert_eq!(planned.quiet(), reset_table("g", offset), "{scope} {target}");
        }
    }
    let late = groups(&node, "--reset-offsets --group g --topic t --by-duration PT0S --dry-run").quiet();
    assert!(
        late.starts_with("\nWarn: Partition 0 from topic t is empty. Falling back to latest known offset.\n"),
        "{late}"
    );
    assert!(late.ends_with(&reset_table("g", 5)), "{late}");
    let outside = groups(&node, "--reset-offsets --group g --topic t --to-offset 100 --dry-run");
    assert!(
        outside
            .errors
            .contains("New offset (100) is higher than latest offset for topic partition t-0"),
        "{outside:?}"
    );
    assert_eq!(outside.good(), reset_table("g", 5));
    let undecided = groups(&node, "--reset-offsets --group g --topic t --to-latest");
    assert!(undecided.errors.starts_with("WARN: No action will be performed"), "{undecided:?}");
    assert_eq!(
        groups(&node, "--describe --group g").good(),
        offsets_table("g", 3, 2),
        "nothing was executed"
    );
}

#[test]
fn offsets_are_exported_and_imported() {
    let node = node_with_records();
    for (group, offset) in [("g", 3), ("h", 4)] {
        let set = format!("--reset-offsets --group {group} --topic t --to-offset {offset} --execute");
        groups(&node, &set).quiet();
    }
    let export = |which: &str| {
        groups(
            &node,
            &format!("--reset-offsets {which} --all-topics --to-current --export --dry-run"),
        )
        .quiet()
    };
    assert_eq!(export("--group g"), "t,0,3\n\n");
    let both = export("--group g --group h");
    assert_eq!(both, "g,t,0,3\nh,t,0,4\n\n");
    groups(&node, "--reset-offsets --all-groups --topic t --to-earliest --execute").quiet();
    assert_eq!(export("--all-groups"), "g,t,0,0\nh,t,0,0\n\n");
    let file = node.folder().join("plan.csv");
    fs::write(&file, &both).unwrap();
    let file = file.to_str().unwrap();
    groups(&node, &format!("--reset-offsets --group g --group h --from-file {file} --execute")).quiet();
    assert_eq!(export("--all-groups"), both);
    let unknown = groups(&node, &format!("--reset-offsets --group x --from-file {file} --dry-run")).quiet();
    assert!(unknown.starts_with("\nError: No reset plan for group x found\n"), "{unknown}");
    fs::write(file, "nonsense").unwrap();
    let refused = groups(&node, &format!("--reset-offsets --group g --from-file {file} --dry-run")).failed();
    assert!(refused.contains("line 1 of the file"), "{refused}");
}

#[test]
fn committed_offsets_outlive_the_node_and_end_with_their_group() {
    let mut node = node_with_records();
    groups(&node, "--reset-offsets --group g --topic t --to-offset 3 --execute").quiet();
    groups(&node, "--reset-offsets --group h --topic t --to-offset 4 --execute").quiet();
    node.kill();
    node.start_again();
    assert_eq!(groups(&node, "--describe --group g").good(), offsets_table("g", 3, 2));
    assert_eq!(groups(&node, "--list").quiet(), "g\nh\n");
    assert_eq!(
        groups(&node, "--list --state --type").quiet(),
        concat!(
            "GROUP                     TYPE                 STATE               \n",
            "g                         Classic              Empty               \n",
            "h                         Classic              Empty               \n",
        )
    );
    assert_eq!(groups(&node, "--list --state stable").quiet().lines().count(), 1);
    let forgotten = groups(&node, "--delete-offsets --group h --topic t").quiet();
    assert!(
        forgotten.starts_with("Request succeeded for deleting offsets from group h.\n"),
        "{forgotten}"
    );
    assert!(forgotten.contains("t               0          Successful"), "{forgotten}");
    let deleted = groups(&node, "--delete --group g").quiet();
    assert_eq!(deleted, "Deletion of requested consumer groups ('g') was successful.\n");
    let gone = groups(&node, "--describe --group g").quiet();
    assert_eq!(gone, "\nError: Consumer group 'g' does not exist.\n");
    let again = groups(&node, "--delete --group g").quiet();
    assert!(
        again.starts_with("\nError: Deletion of some consumer groups failed:\n* Group 'g' could not be deleted due to: "),
        "{again}"
    );
}

#[test]
fn a_group_with_a_member_is_described_and_not_touched() {
    let node = node_with_records();
    let consumer = start(&[
        "console-consumer",
        "--bootstrap-server",
        &node.address(),
        "--topic",
        "t",
        "--group",
        "live",
        "--from-beginning",
    ]);
    let began = Instant::now();
    let members = loop {
        let members = groups(&node, "--describe --group live --members --verbose").good();
        if members.contains("t:0") {
            break members;
        }
        assert!(began.elapsed() < PATIENCE, "{members}");
    };
    let row = members.lines().nth(2).unwrap();
    assert!(row.starts_with("live ") && row.contains("/127.0.0.1"), "{members}");
    let state = groups(&node, "--describe --group live --state").quiet();
    let row = state.lines().nth(2).unwrap();
    assert!(
        row.contains(&node.address()) && row.contains(" Stable ") && row.ends_with(" 1"),
        "{state}"
    );
    let offsets = groups(&node, "--describe --group live").quiet();
    assert!(offsets.lines().nth(2).unwrap().contains("/127.0.0.1"), "{offsets}");
    assert_eq!(groups(&node, "--list --state stable").quiet().lines().count(), 2);

    let refused = groups(&node, "--reset-offsets --group live --topic t --to-earliest --execute").quiet();
    let reason = "Assignments can only be reset if the group 'live' is inactive, but the current state is Stable.";
    assert!(refused.contains(reason), "{refused}");
    assert!(groups(&node, "--delete --group live").quiet().contains("could not be deleted"));
    let refused = groups(&node, "--delete-offsets --group live --topic t").quiet();
    assert!(refused.contains("Error: "), "{refused}");

    kill_process(Pid::from_child(&consumer), Signal::TERM).unwrap();
    assert_eq!(finish(consumer).text(), "1\n2\n3\n4\n5\n");
    let left = groups(&node, "--describe --group live");
    assert_eq!(left.errors, "\nConsumer group 'live' has no active members.\n", "it left in order");
    assert_eq!(left.good(), offsets_table("live", 5, 0));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let node = node_with_records();
    for (arguments, part) in [
        ("--describe", "takes one of these options: [group], [all-groups]"),
        ("--list --state nonsense", "Invalid state list 'nonsense'"),
        (
            "--reset-offsets --group g --topic missing --to-earliest --dry-run",
            "Topic 'missing' does not exist.",
        ),
        (
            "--reset-offsets --group g --topic t:7 --to-earliest --dry-run",
            "The partitions \"t-7\" do not exist",
        ),
        (
            "--reset-offsets --group g --topic t:x --to-earliest --dry-run",
            "Invalid partition 'x'",
        ),
        (
            "--reset-offsets --group g --topic t --shift-by 1 --dry-run",
            "Cannot shift offset for partition t-0",
        ),
        (
            "--reset-offsets --group g --topic t --to-datetime 2020 --dry-run",
            "does not contain a 'T'",
        ),
        (
            "--reset-offsets --group g --topic t --by-duration soon --dry-run",
            "cannot be parsed to a Duration",
        ),
    ] {
        let refused = groups(&node, arguments).failed();
        assert!(refused.contains(part), "{arguments}: {refused}");
    }
}
