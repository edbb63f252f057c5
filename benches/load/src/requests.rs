//! Small produce requests over many connections, written and read as bytes: the broker does nearly all the work.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::frame;
use dohle_protocol::messages::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use dohle_protocol::{ApiKey, Message, wire::Decoder};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bulk::cpu_s;

/// Names the topic; versions from 13 on want its id.
pub(crate) const PRODUCE_VERSION: i16 = 9;

#[derive(Args)]
pub(crate) struct Requests {
    #[arg(long)]
    bootstrap_server: String,
    #[arg(long)]
    topic: String,
    /// The connections write to these partitions in turn.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Requests of one connection in flight.
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Bytes of the value of the one record of a request.
    #[arg(long, default_value_t = 100)]
    size: usize,
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

impl Requests {
    pub(crate) fn run(&self) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.load())
    }

    async fn load(&self) -> Result<Value> {
        let batch = batch(self.size);
        let mut sockets = Vec::new();
        for _ in 0..self.connections {
            let socket = TcpStream::connect(&self.bootstrap_server).await?;
            socket.set_nodelay(true)?;
            sockets.push(socket);
        }
        let (began, cpu) = (Instant::now(), cpu_s());
        let until = began + Duration::from_secs(self.seconds);
        let mut tasks = Vec::new();
        for (socket, partition) in sockets.into_iter().zip((0..self.partitions).cycle()) {
            let request = produce_request(&self.topic, partition, &batch)?;
            tasks.push(tokio::spawn(converse(socket, request, self.depth, until)));
        }
        let mut answered = 0;
        for task in tasks {
            answered += task.await??;
        }
        Ok(json!({"seconds": began.elapsed().as_secs_f64(), "client_cpu_s": cpu_s() - cpu, "requests": answered}))
    }
}

/// A batch of one record of this moment, with a value of so many bytes.
pub(crate) fn batch(size: usize) -> Bytes {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let mut batch = RecordBatchBuilder::new();
    batch.append(now_ms, None, Some(&vec![b'x'; size]), &[]);
    batch.build()
}

/// A request, length included, that writes the batch to one partition.
pub(crate) fn produce_request(topic: &str, index: i32, batch: &Bytes) -> Result<Bytes> {
    let body = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![PartitionProduceData {
                index,
                records: Some(batch.clone()),
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    Ok(frame::request(PRODUCE_VERSION, 1, Some("load"), &body)?.to_bytes())
}

/// Keeps `depth` requests in flight until the time is over. Returns how many were answered.
async fn converse(mut socket: TcpStream, request: Bytes, depth: usize, until: Instant) -> Result<u64> {
    for _ in 0..depth {
        socket.write_all(&request).await?;
    }
    let mut answered = 0;
    let mut in_flight = depth;
    let mut answer = Vec::new();
    while in_flight > 0 {
        let length = socket.read_u32().await? as usize;
        answer.resize(length, 0);
        socket.read_exact(&mut answer).await?;
        if answered == 0 {
            check(&answer)?;
        }
        answered += 1;
        if Instant::now() < until {
            socket.write_all(&request).await?;
        } else {
            in_flight -= 1;
        }
    }
    Ok(answered)
}

fn check(answer: &[u8]) -> Result<()> {
    let mut decoder = Decoder::new(Bytes::copy_from_slice(answer));
    dohle_protocol::header::ResponseHeader::decode(&mut decoder, ApiKey::Produce.response_header_version(PRODUCE_VERSION))?;
    let response = ProduceResponse::decode(&mut decoder, PRODUCE_VERSION)?;
    let partition = response
        .responses
        .first()
        .and_then(|topic| topic.partition_responses.first())
        .context("no partition")?;
    if partition.error_code != 0 {
        bail!("the broker answers with error {}", partition.error_code);
    }
    Ok(())
}
