//! The same requests to a real Apache Kafka 4.x node and to ours, in every version of each API that both serve; the
//! decoded answers must be equal.
//!
//! Times, ids, addresses and throttling are masked. Where we differ on purpose, `intended.txt` names the answer and the reason; a line
//! there that no longer differs fails the test, so that the list can only shrink.

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
    let served = peer::served_by_both(&mut Peer::open(kafka.port), &mut Peer::open(ours.port()));
    let mut intended = read_intended();
    let mut differences = Vec::new();
    let (mut requests, mut answers) = (0, 0);
    for case in cases::all(&served) {
        let expected = (case.run)(&mut Peer::open(kafka.port), case.version);
        let answered = (case.run)(&mut Peer::open(ours.port()), case.version);
        requests += 1;
        answers += expected.lines().count();
        for (number, expected, answered) in differing_lines(&expected, &answered) {
            let name = format!("{}#{number}", case.name);
            match intended.get_mut(name.as_str()) {
                Some(used) => *used = true,
                None => differences.push(format!("{name} v{}\n  kafka: {expected}\n  dohle: {answered}", case.version)),
            }
        }
    }
    println!(
        "{requests} cases, {answers} answers compared, {} intended differences",
        intended.len()
    );
    assert!(
        differences.is_empty(),
        "{} answers differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    let stale: Vec<_> = intended.iter().filter(|(_, used)| !**used).map(|(name, _)| *name).collect();
    assert!(stale.is_empty(), "listed as intended, but no longer different: {stale:?}");
}

/// Each line is one answer of a case; they are numbered from 1.
fn differing_lines<'a>(expected: &'a str, answered: &'a str) -> impl Iterator<Item = (usize, &'a str, &'a str)> {
    let count = expected.lines().count().max(answered.lines().count());
    let lines = |text: &'a str| text.lines().chain(std::iter::repeat("(no answer)"));
    let pairs = lines(expected).zip(lines(answered)).take(count).enumerate();
    pairs
        .filter(|(_, (expected, answered))| !is_same(expected, answered))
        .map(|(index, (expected, answered))| (index + 1, expected, answered))
}

/// We say in words what is wrong where a real node leaves it at the code; nowhere the other way round.
fn is_same(expected: &str, answered: &str) -> bool {
    const FIELD: &str = "error_message: ";
    let (expected, answered): (Vec<_>, Vec<_>) = (expected.split(FIELD).collect(), answered.split(FIELD).collect());
    let is_explained = |expected: &str, answered: &str| {
        let told = answered.strip_prefix("Some(\"_\")");
        let untold = expected.strip_prefix("None").or(expected.strip_prefix("Some(\"\")"));
        told.is_some() && told == untold
    };
    let mut pairs = expected.iter().zip(&answered);
    expected.len() == answered.len() && pairs.all(|(expected, answered)| expected == answered || is_explained(expected, answered))
}

/// Answer ("case#number") to "was seen".
fn read_intended() -> BTreeMap<&'static str, bool> {
    let lines = INTENDED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, reason) = line.split_once(": ").expect("a line of intended.txt is `case#number: reason`");
            assert!(!reason.is_empty());
            (name, false)
        })
        .collect()
}
