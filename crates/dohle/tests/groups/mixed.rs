//! Our consumers and librdkafka's in one group: whoever is the leader, all understand the assignment.

use crate::harness::Node;
use crate::journal::Journal;
use crate::member::Member;
use crate::{TOPIC, node_with_topic, produce, producer};
use dohle_client::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::{ClientConfig, ClientContext, Message, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

const PARTITIONS: i32 = 12;
const LEAVE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Reads in a thread of its own until it is dropped: nobody has to wait for it when a test fails.
struct Foreign {
    name: &'static str,
    ends: Arc<AtomicBool>,
    has_left: oneshot::Receiver<()>,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

struct Told {
    name: &'static str,
    journal: Journal,
}

impl ClientContext for Told {}

impl ConsumerContext for Told {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => self.journal.assigned(self.name, &listed(partitions)),
            Rebalance::Revoke(partitions) => self.journal.released(self.name, &listed(partitions)),
            Rebalance::Error(error) => panic!("{}: {error}", self.name),
        }
    }
}

fn listed(partitions: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = partitions.elements();
    elements
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect()
}

impl Foreign {
    fn start(name: &'static str, node: &Node, journal: &Journal, strategy: &str) -> Foreign {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", node.address())
            .set("group.id", "g")
            .set("auto.offset.reset", "earliest");
        config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "100");
        config
            .set("auto.commit.interval.ms", "200")
            // The consumer polls and forgets what it gets while it is dropped: only what is in the journal may be committed.
            .set("enable.auto.offset.store", "false")
            .set("partition.assignment.strategy", strategy);
        let told = Told {
            name,
            journal: journal.clone(),
        };
        let consumer: BaseConsumer<Told> = config.create_with_context(told).unwrap();
        consumer.subscribe(&[TOPIC]).unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let (ended, journal) = (ends.clone(), journal.clone());
        let (leaving, has_left) = oneshot::channel();
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                    journal.read(
                        name,
                        [(message.partition(), message.offset(), message.payload().unwrap_or_default())],
                    );
                    // Fails for a partition that was just given up.
                    let _ = consumer.store_offset_from_message(&message);
                }
            }
            // Leaves the group.
            drop(consumer);
            let _ = leaving.send(());
        });
        Foreign { name, ends, has_left }
    }

    async fn leave(mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let left = tokio::time::timeout(LEAVE_WAIT_MAX, &mut self.has_left).await;
        left.unwrap_or_else(|_| panic!("{} does not leave", self.name))
            .unwrap_or_else(|_| panic!("{} has failed", self.name));
    }
}

/// The first to come is the leader; when it leaves, another one is.
async fn all_read_their_share_whoever_leads(ours_first: bool, our_strategy: &str, their_strategy: &str) {
    const RECORDS: usize = 1_000;
    let node = node_with_topic(PARTITIONS);
    let journal = Journal::new();
    let producer = producer(&node).await;
    let setting = format!("partition.assignment.strategy={our_strategy}");
    let settings = ["session.timeout.ms=6000", setting.as_str()];
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // librdkafka may seek the beginning again and again where nothing is committed when the group rebalances: something is.
    produce(&producer, 0..RECORDS / 4).await;
    for is_ours in [ours_first, !ours_first] {
        if is_ours {
            ours.push(Member::start("ours", &node, &journal, &settings).await);
        } else {
            theirs.push(Foreign::start("theirs", &node, &journal, their_strategy));
        }
        journal
            .wait_until("the first one has all", |entries| entries.owners.len() == PARTITIONS as usize)
            .await;
        journal.wait_for_records(RECORDS / 4).await;
    }
    journal.wait_for_owners(12, &["ours", "theirs"]).await;
    produce(&producer, RECORDS / 4..RECORDS / 2).await;
    ours.push(Member::start("ours too", &node, &journal, &settings).await);
    theirs.push(Foreign::start("theirs too", &node, &journal, their_strategy));
    journal.wait_for_owners(12, &["ours", "ours too", "theirs", "theirs too"]).await;
    if ours_first {
        ours.remove(0).leave().await;
        journal.wait_for_owners(12, &["ours too", "theirs", "theirs too"]).await;
    } else {
        theirs.remove(0).leave().await;
        journal.wait_for_owners(12, &["ours", "ours too", "theirs too"]).await;
    }
    produce(&producer, RECORDS / 2..RECORDS).await;
    journal.wait_for_records(RECORDS).await;
    for member in ours {
        member.leave().await;
    }
    for member in theirs {
        member.leave().await;
    }
    journal.assert_each_was_read_once(RECORDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_lead_librdkafkas_with_what_both_do_by_default() {
    all_read_their_share_whoever_leads(true, "range,cooperative-sticky", "range,roundrobin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn librdkafkas_lead_ours_with_what_both_do_by_default() {
    all_read_their_share_whoever_leads(false, "range,cooperative-sticky", "range,roundrobin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_lead_librdkafkas_cooperatively() {
    all_read_their_share_whoever_leads(true, "cooperative-sticky", "cooperative-sticky").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn librdkafkas_lead_ours_cooperatively() {
    all_read_their_share_whoever_leads(false, "cooperative-sticky", "cooperative-sticky").await;
}
