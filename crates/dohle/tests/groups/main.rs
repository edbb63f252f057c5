//! Groups of our own consumers at a node of ours: members come, leave and die, and so does the node.

#[path = "../harness/mod.rs"]
mod harness;
mod journal;
mod member;
mod membership;
mod mixed;
mod processes;

use crate::harness::Node;
use bytes::Bytes;
use dohle_client::{Producer, ProducerConfig, ProducerRecord, Properties};

pub(crate) const TOPIC: &str = "t";

/// Sessions may be short, so that the death of a member is noticed soon.
pub(crate) fn node_with_topic(partitions: i32) -> Node {
    let node = Node::start(&["group.min.session.timeout.ms=500", "offsets.topic.num.partitions=4"]);
    node.connect().create_topic(TOPIC, partitions, &[]);
    node
}

pub(crate) async fn producer(node: &Node) -> Producer {
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", node.address());
    Producer::connect(ProducerConfig::from_properties(&properties).unwrap())
        .await
        .unwrap()
}

/// Writes records with keys of their own, so that they spread over all partitions; they are acknowledged when this returns.
pub(crate) async fn produce(producer: &Producer, numbers: std::ops::Range<usize>) {
    let mut deliveries = Vec::new();
    for number in numbers {
        let key = Bytes::from(number.to_string());
        deliveries.push(
            producer
                .send(ProducerRecord::new(TOPIC, Some(key.clone()), Some(key)))
                .await
                .unwrap(),
        );
    }
    for delivery in deliveries {
        delivery.wait().await.unwrap();
    }
}
