//! One request with a batch for every partition of a topic, answered when all of them are acknowledged.

use anyhow::{Result, bail};
use clap::Args;
use dohle_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use dohle_protocol::{ErrorCode, frame};
use serde_json::{Value, json};
use std::time::Instant;

use crate::requests::{PRODUCE_VERSION, batch};
use crate::wire::Wire;

#[derive(Args)]
pub(crate) struct Fanout {
    #[arg(long)]
    bootstrap_server: String,
    #[arg(long)]
    topic: String,
    #[arg(long, default_value_t = 1000)]
    partitions: i32,
    /// Bytes of the value of the one record for each partition.
    #[arg(long, default_value_t = 16 << 10)]
    size: usize,
    /// Requests, one after the other.
    #[arg(long, default_value_t = 5)]
    repeat: usize,
}

impl Fanout {
    pub(crate) fn run(&self) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut wire = Wire::connect(&self.bootstrap_server).await?;
            let request = frame::request(PRODUCE_VERSION, 1, Some("load"), &self.request())?.to_bytes();
            let mut taken_ms = Vec::new();
            for _ in 0..self.repeat {
                let began = Instant::now();
                let answer = wire.exchange(&request).await?;
                taken_ms.push(began.elapsed().as_secs_f64() * 1000.0);
                let (_, response) = frame::read_response::<ProduceRequest>(answer, PRODUCE_VERSION)?;
                let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
                if let Some(partition) = partitions.find(|partition| partition.error_code != 0) {
                    let error = ErrorCode::from_code(partition.error_code).name();
                    bail!("partition {} answers with {error}", partition.index);
                }
            }
            Ok(json!({"ms": taken_ms}))
        })
    }

    fn request(&self) -> ProduceRequest {
        let records = batch(self.size);
        let partition = |index| PartitionProduceData {
            index,
            records: Some(records.clone()),
            ..PartitionProduceData::default()
        };
        ProduceRequest {
            acks: -1,
            timeout_ms: 60_000,
            topic_data: vec![TopicProduceData {
                name: self.topic.clone(),
                partition_data: (0..self.partitions).map(partition).collect(),
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        }
    }
}
