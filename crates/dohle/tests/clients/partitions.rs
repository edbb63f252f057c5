//! Many partitions at once: written by key, read by assignment.

use crate::harness::Node;
use crate::{with_rdkafka, with_rskafka};
use rdkafka::Message;
use rdkafka::producer::FutureRecord;
use std::collections::BTreeMap;

const PARTITIONS: i32 = 200;
const RECORDS: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn keyed_records_are_spread_over_many_partitions_and_read_in_order() {
    let mut node = Node::start(&[]);
    node.connect().create_topic("wide", PARTITIONS, &[]);
    let producer = with_rdkafka::producer(&node.address(), &[("enable.idempotence", "true"), ("linger.ms", "20")]);
    let send = |number: usize| {
        let (key, value) = (format!("key-{}", number % 3000), number.to_string());
        let record = FutureRecord::to("wide").key(&key).payload(&value);
        producer.send_result(record).map_err(|(error, _)| error).expect("room in the queue")
    };
    let deliveries: Vec<_> = (0..RECORDS).map(send).collect();
    let mut written: BTreeMap<i32, Vec<(i64, usize)>> = BTreeMap::new();
    for (number, delivery) in deliveries.into_iter().enumerate() {
        let delivered = delivery
            .await
            .expect("the producer lives")
            .map_err(|(error, _)| error)
            .expect("the record is delivered");
        written.entry(delivered.partition).or_default().push((delivered.offset, number));
    }
    assert_eq!(written.len(), PARTITIONS as usize, "some partition got nothing");
    for records in written.values() {
        assert!((0..).zip(records).all(|(offset, record)| record.0 == offset), "{records:?}");
    }
    read_all(&node, &written);
    node.kill();
    node.start_again();
    read_all(&node, &written);
    for index in [0, 77, PARTITIONS - 1] {
        let read = with_rskafka::read(&node.address(), "wide", index, 0, written[&index].len()).await;
        let read: Vec<_> = read
            .into_iter()
            .map(|(offset, row)| (offset, number(row.value.as_deref())))
            .collect();
        assert_eq!(read, written[&index]);
    }
}

/// One consumer of all partitions.
fn read_all(node: &Node, written: &BTreeMap<i32, Vec<(i64, usize)>>) {
    let all: Vec<_> = (0..PARTITIONS).map(|index| ("wide", index, 0)).collect();
    let consumer = with_rdkafka::consumer(&node.address(), &all, &[]);
    let mut read: BTreeMap<i32, Vec<(i64, usize)>> = BTreeMap::new();
    for _ in 0..RECORDS {
        let message = with_rdkafka::next(&consumer);
        read.entry(message.partition())
            .or_default()
            .push((message.offset(), number(message.payload())));
    }
    assert!(read == *written, "partitions differ");
}

fn number(value: Option<&[u8]>) -> usize {
    std::str::from_utf8(value.expect("a value"))
        .expect("digits")
        .parse()
        .expect("a number")
}
