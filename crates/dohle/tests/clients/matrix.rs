//! Each client writes in each codec; each client reads all of it, before and after the node was killed.

use crate::harness::Node;
use crate::row::{Row, rows};
use crate::{with_rdkafka, with_rskafka};
use dohle_protocol::batch::batches;
use dohle_protocol::compression::Compression;
use std::collections::BTreeSet;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const CLIENTS: [&str; 2] = ["rdkafka", "rskafka"];
const ROWS: usize = 600;

#[tokio::test(flavor = "multi_thread")]
async fn every_client_reads_what_every_client_wrote_in_every_codec() {
    let mut node = Node::start(&[]);
    let written = rows(ROWS);
    for writer in CLIENTS {
        for codec in CODECS {
            let topic = format!("{writer}-{codec}");
            node.connect().create_topic(&topic, 1, &[]);
            match writer {
                "rdkafka" => with_rdkafka::write(&node.address(), &topic, codec, &written).await,
                _ => with_rskafka::write(&node.address(), &topic, codec, &written).await,
            }
            let stored = codecs(&node, &topic);
            assert!(stored.contains(codec), "{topic}: {stored:?}");
            // librdkafka leaves a batch as it is that gets no smaller, such as one of a single record.
            assert!(stored.iter().all(|other| other == codec || other == "none"), "{topic}: {stored:?}");
        }
    }
    read_everything(&node, &written).await;
    node.kill();
    node.start_again();
    read_everything(&node, &written).await;
}

/// The codecs of the batches at the start of partition 0 of a topic.
fn codecs(node: &Node, topic: &str) -> BTreeSet<String> {
    let records = node.connect().fetch(topic, 0, 0).records.expect("records");
    let codec = |compression: Compression| format!("{compression:?}").to_lowercase();
    batches(records)
        .filter_map(Result::ok)
        .map(|batch| codec(batch.header.compression().expect("a known codec")))
        .collect()
}

async fn read_everything(node: &Node, written: &[Row]) {
    for writer in CLIENTS {
        for codec in CODECS {
            let topic = format!("{writer}-{codec}");
            let by_rdkafka = with_rdkafka::read(&node.address(), &topic, 0, 0, ROWS);
            let by_rskafka = with_rskafka::read(&node.address(), &topic, 0, 0, ROWS).await;
            for (reader, read) in [("rdkafka", by_rdkafka), ("rskafka", by_rskafka)] {
                assert_eq!(read.len(), ROWS, "{topic} by {reader}");
                for (number, (offset, row)) in read.iter().enumerate() {
                    assert_eq!(*offset, number as i64, "{topic} by {reader}");
                    assert_eq!(*row, written[number], "{topic} by {reader}, offset {offset}");
                }
            }
        }
    }
}
