//! A member of a group that reads until it is told to leave, or dies.

use crate::TOPIC;
use crate::harness::Node;
use crate::journal::Journal;
use dohle_client::consumer::{Offsets, RebalanceListener, StartAt};
use dohle_client::{Consumer, ConsumerConfig, Properties, TopicPartition};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const CLOSE_WAIT_MAX: Duration = Duration::from_secs(30);

pub(crate) struct Member {
    name: &'static str,
    journal: Journal,
    end: oneshot::Sender<End>,
    task: JoinHandle<()>,
}

enum End {
    Leave,
    /// Without a word to anybody.
    Die,
}

struct Told {
    name: &'static str,
    journal: Journal,
}

impl RebalanceListener for Told {
    fn revoked(&mut self, partitions: &[TopicPartition], _: &mut Offsets) {
        self.journal.released(self.name, partitions);
    }

    fn assigned(&mut self, partitions: &[TopicPartition], _: &mut BTreeMap<TopicPartition, StartAt>) {
        self.journal.assigned(self.name, partitions);
    }

    fn lost(&mut self, partitions: &[TopicPartition]) {
        self.journal.released(self.name, partitions);
    }
}

pub(crate) async fn consumer(node: &Node, settings: &[&str]) -> Consumer {
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", node.address());
    let defaults = [
        "group.id=g",
        "auto.offset.reset=earliest",
        "session.timeout.ms=1500",
        "heartbeat.interval.ms=100",
        "auto.commit.interval.ms=200",
        "max.poll.records=20",
        "fetch.max.wait.ms=100",
    ];
    for setting in defaults.iter().chain(settings) {
        properties.add_pair(setting).unwrap();
    }
    let mut consumer = Consumer::connect(ConsumerConfig::from_properties(&properties).unwrap())
        .await
        .unwrap();
    consumer.subscribe([TOPIC]).unwrap();
    consumer
}

impl Member {
    pub(crate) async fn start(name: &'static str, node: &Node, journal: &Journal, settings: &[&str]) -> Member {
        let mut consumer = consumer(node, settings).await;
        consumer.set_listener(Told {
            name,
            journal: journal.clone(),
        });
        let (end, ended) = oneshot::channel();
        Member {
            name,
            journal: journal.clone(),
            end,
            task: tokio::spawn(run(name, consumer, journal.clone(), ended)),
        }
    }

    /// In order, with a last commit.
    pub(crate) async fn leave(self) {
        self.end.send(End::Leave).unwrap_or_else(|_| panic!("{} has ended", self.name));
        self.task.await.unwrap();
    }

    pub(crate) async fn die(self) {
        self.end.send(End::Die).unwrap_or_else(|_| panic!("{} has ended", self.name));
        self.task.await.unwrap();
        let owners = self.journal.entries().owners;
        let had = owners.iter().filter(|(_, owner)| **owner == self.name);
        let had: Vec<TopicPartition> = had.map(|(partition, _)| TopicPartition::new(TOPIC, *partition)).collect();
        self.journal.released(self.name, &had);
    }
}

async fn run(name: &'static str, mut consumer: Consumer, journal: Journal, mut ended: oneshot::Receiver<End>) {
    loop {
        let end = tokio::select! {
            records = consumer.poll(Duration::from_secs(1)) => {
                let records = records.unwrap_or_else(|error| panic!("{name}: {error}"));
                let read = records.iter().map(|record| (record.partition, record.offset, record.value.as_deref().unwrap_or_default()));
                journal.read(name, read);
                continue;
            }
            end = &mut ended => end,
        };
        if let Ok(End::Leave) = end {
            consumer
                .close(CLOSE_WAIT_MAX)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        return;
    }
}
