//! The same requests to a real Apache Kafka 4.x node and to ours, in every version of each API; the decoded answers must be equal.
//!
//! Times, ids, addresses and throttling are masked. Where we differ on purpose, `intended.txt` names the case and the reason; a line there
//! that no longer differs fails the test, so that the list can only shrink.

mod cases;
#[path = "../harness/mod.rs"]
mod harness;
mod peer;

use peer::{Kafka, Peer};
use std::collections::BTreeMap;

const INTENDED: &str = include_str!("intended.txt");

#[test]
fn answers_are_those_of_apache_kafka() {
    let kafka = Kafka::start();
    let ours = peer::start_ours();
    let mut intended = read_intended();
    let mut differences = Vec::new();
    let mut compared = 0;
    for case in cases::all() {
        let expected = (case.run)(&mut Peer::open(kafka.port), case.version);
        let answered = (case.run)(&mut Peer::open(ours.port()), case.version);
        compared += 1;
        let reason = intended.get_mut(case.name);
        match (expected == answered, reason) {
            (true, _) => {}
            (false, Some(used)) => *used = true,
            (false, None) => differences.push(format!("{} v{}\n  kafka: {expected}\n  dohle: {answered}", case.name, case.version)),
        }
    }
    let stale: Vec<_> = intended.iter().filter(|(_, used)| !**used).map(|(name, _)| *name).collect();
    println!("{compared} answers compared, {} intended differences", intended.len());
    assert!(
        differences.is_empty(),
        "{} of {compared} answers differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(stale.is_empty(), "listed as intended, but no longer different: {stale:?}");
}

/// Case name to "was seen".
fn read_intended() -> BTreeMap<&'static str, bool> {
    let lines = INTENDED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, reason) = line.split_once(": ").expect("a line of intended.txt is `case: reason`");
            assert!(!reason.is_empty());
            (name, false)
        })
        .collect()
}
