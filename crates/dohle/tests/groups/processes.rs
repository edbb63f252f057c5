//! Members that are processes of their own, and are killed as such.

use crate::harness::{BINARY, Node};
use crate::{TOPIC, node_with_topic, produce, producer};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const RECORDS: usize = 1_200;
const PATIENCE: Duration = Duration::from_secs(90);

/// Kills the process when the test ends.
struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Its lines are sent on as they come, each with the number of the member.
fn start(node: &Node, number: usize, lines: &mpsc::Sender<(usize, usize)>) -> Member {
    let mut command = Command::new(BINARY);
    command.args(["console-consumer", "--bootstrap-server", &node.address(), "--topic", TOPIC]);
    command.args(["--group", "g", "--from-beginning"]);
    for setting in [
        "session.timeout.ms=1500",
        "heartbeat.interval.ms=100",
        "auto.commit.interval.ms=200",
    ] {
        command.args(["--consumer-property", setting]);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let lines = lines.clone();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if lines.send((number, line.parse().unwrap())).is_err() {
                return;
            }
        }
    });
    Member(child)
}

#[tokio::test(flavor = "multi_thread")]
async fn console_consumers_share_a_topic_and_survive_one_of_them_and_the_node() {
    let mut node = node_with_topic(12);
    let producer = producer(&node).await;
    let (sender, lines) = mpsc::channel();
    let mut members: Vec<Member> = (0..3).map(|number| start(&node, number, &sender)).collect();
    let mut seen = BTreeSet::new();
    let mut readers = BTreeSet::new();
    let mut written = 0;
    // Until each of them has had its share.
    while readers.len() < 3 {
        produce(&producer, written..written + 100).await;
        written += 100;
        while seen.len() < written {
            let (reader, number) = lines.recv_timeout(PATIENCE).expect("records are read");
            readers.insert(reader);
            seen.insert(number);
        }
    }
    members.remove(0);
    produce(&producer, written..written + RECORDS / 2).await;
    node.kill();
    node.start_again();
    produce(&producer, written + RECORDS / 2..written + RECORDS).await;
    while seen.len() < written + RECORDS {
        let (_, number) = lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("only {} of {} are read", seen.len(), written + RECORDS));
        seen.insert(number);
    }
}
