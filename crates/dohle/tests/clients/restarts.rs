//! Clients that write and read while the node is killed under them.

use crate::harness::Node;
use crate::row::now_ms;
use crate::{with_rdkafka, with_rskafka};
use rdkafka::Message;
use rdkafka::producer::FutureRecord;
use rskafka::client::partition::Compression;

const RECORDS: i64 = 20_000;
/// The node is killed each time that this many more records were acknowledged.
const KILL_AFTER: i64 = 4_500;

/// In flight when the process dies: batches that were written and not acknowledged, and batches that were not written. An idempotent producer sends
/// all of them again, and each may be in the log once.
#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_producer_writes_each_record_once_and_in_order_across_kills() {
    let mut node = Node::start(&[]);
    node.connect().create_topic("once", 1, &[]);
    let reading = tokio::task::spawn_blocking({
        let address = node.address();
        move || {
            let consumer = with_rdkafka::consumer(&address, &[("once", 0, 0)], &[]);
            for number in 0..RECORDS {
                let message = with_rdkafka::next(&consumer);
                assert_eq!(message.offset(), number);
                assert_eq!(message.payload(), Some(value(number).as_bytes()), "offset {number}");
            }
        }
    });
    let settings = [
        ("enable.idempotence", "true"),
        ("batch.num.messages", "50"),
        ("linger.ms", "1"),
        ("message.timeout.ms", "120000"),
    ];
    let producer = with_rdkafka::producer(&node.address(), &settings);
    let send = |number| {
        let value = value(number);
        let record = FutureRecord::<[u8], [u8]>::to("once").partition(0).payload(value.as_bytes());
        producer.send_result(record).map_err(|(error, _)| error).expect("room in the queue")
    };
    let mut deliveries: std::collections::VecDeque<_> = (0..RECORDS).map(send).collect();
    for number in 0..RECORDS {
        let delivery = deliveries.pop_front().expect("one per record");
        let delivered = delivery
            .await
            .expect("the producer lives")
            .map_err(|(error, _)| error)
            .expect("the record is delivered");
        assert_eq!(delivered.offset, number);
        if number % KILL_AFTER == KILL_AFTER - 1 {
            node.kill();
            node.start_again();
        }
    }
    reading.await.unwrap();
    let by_another: Vec<_> = with_rskafka::read(&node.address(), "once", 0, 0, RECORDS as usize).await;
    assert_eq!(by_another.len(), RECORDS as usize);
    for (number, (offset, row)) in (0..).zip(by_another) {
        assert_eq!((offset, row.value), (number, Some(value(number).into_bytes())));
    }
}

fn value(number: i64) -> String {
    format!("record {number} {}", "x".repeat(number as usize % 100))
}

/// This producer is not idempotent: a record whose answer was lost may be there twice, one whose answer came is where the answer said.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_kills() {
    let mut node = Node::start(&[]);
    node.connect().create_topic("kept", 1, &[]);
    let partition = with_rskafka::partition(&node.address(), "kept", 0).await;
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        for number in 0..100 {
            let row = crate::row::Row {
                value: Some(format!("{round} {number}").into_bytes()),
                timestamp_ms: now_ms(),
                ..Default::default()
            };
            let offsets = partition
                .produce(vec![with_rskafka::as_record(&row)], Compression::NoCompression)
                .await
                .unwrap();
            acknowledged.push((offsets[0], row));
        }
        node.kill();
        node.start_again();
    }
    let last = acknowledged.last().expect("records").0;
    let read = with_rdkafka::read(&node.address(), "kept", 0, 0, last as usize + 1);
    assert!(acknowledged.is_sorted_by(|one, next| one.0 < next.0));
    for (offset, row) in acknowledged {
        assert_eq!(read[offset as usize], (offset, row));
    }
}
