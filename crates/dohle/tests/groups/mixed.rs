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
use tokio::task::JoinHandle;

const PARTITIONS: i32 = 12;

struct Foreign {
    ends: Arc<AtomicBool>,
    task: JoinHandle<()>,
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
            .set("partition.assignment.strategy", strategy);
        let told = Told {
            name,
            journal: journal.clone(),
        };
        let consumer: BaseConsumer<Told> = config.create_with_context(told).unwrap();
        consumer.subscribe(&[TOPIC]).unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let (ended, journal) = (ends.clone(), journal.clone());
        // Leaves the group when the consumer is dropped.
        let task = tokio::task::spawn_blocking(move || {
            while !ended.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                    journal.read(
                        name,
                        [(message.partition(), message.offset(), message.payload().unwrap_or_default())],
                    );
                }
            }
        });
        Foreign { ends, task }
    }

    async fn leave(self) {
        self.ends.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
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
    for is_ours in [ours_first, !ours_first] {
        if is_ours {
            ours.push(Member::start("ours", &node, &journal, &settings).await);
        } else {
            theirs.push(Foreign::start("theirs", &node, &journal, their_strategy));
        }
        journal
            .wait_until("the first one has all", |entries| entries.owners.len() == PARTITIONS as usize)
            .await;
    }
    journal.wait_for_owners(12, &["ours", "theirs"]).await;
    produce(&producer, 0..RECORDS / 2).await;
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
    assert!(journal.entries().read.values().all(|times| *times == 1));
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
