//! Far more than a broker can serve: writers that never wait for an answer, and readers that hardly take theirs.

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use dohle_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use dohle_protocol::messages::produce::ProduceRequest;
use dohle_protocol::{ErrorCode, frame};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout_at;

use crate::requests::{PRODUCE_VERSION, batch, produce_request};

/// Names the topic.
const FETCH_VERSION: i16 = 12;
const FETCH_BYTES: i32 = 1 << 20;
/// A slow reader takes this much, and then rests.
const SIP_BYTES: usize = 16 << 10;
const REST: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(crate) struct Overload {
    #[arg(long)]
    bootstrap_server: String,
    /// Written to.
    #[arg(long)]
    topic: String,
    #[arg(long, default_value_t = 8)]
    partitions: i32,
    /// Holds records already, and is read from its beginning again and again.
    #[arg(long)]
    read_topic: String,
    #[arg(long, default_value_t = 400)]
    writers: usize,
    #[arg(long, default_value_t = 100)]
    readers: usize,
    /// Bytes of a request.
    #[arg(long, default_value_t = 256 << 10)]
    size: usize,
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// What came back on one connection.
#[derive(Default)]
struct Seen {
    sent: u64,
    answered: u64,
    throttled: u64,
    /// By name.
    errors: BTreeMap<String, u64>,
}

impl Seen {
    fn error(&mut self, code: i16) {
        if code != 0 {
            *self.errors.entry(ErrorCode::from_code(code).name().to_owned()).or_default() += 1;
        }
    }

    fn ended_early(&mut self) {
        *self.errors.entry("CONNECTION_CLOSED".to_owned()).or_default() += 1;
    }

    fn add(&mut self, other: Seen) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.throttled += other.throttled;
        for (name, count) in other.errors {
            *self.errors.entry(name).or_default() += count;
        }
    }
}

impl Overload {
    pub(crate) fn run(&self) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.load())
    }

    async fn load(&self) -> Result<Value> {
        let mut sockets = Vec::new();
        for _ in 0..self.writers + self.readers {
            sockets.push(TcpStream::connect(&self.bootstrap_server).await?);
        }
        let records = batch(self.size);
        let fetch = frame::request(FETCH_VERSION, 1, Some("load"), &self.fetch_request())?.to_bytes();
        let until = tokio::time::Instant::now() + Duration::from_secs(self.seconds);
        let began = Instant::now();
        let mut tasks = Vec::new();
        for (number, socket) in sockets.into_iter().enumerate() {
            if number < self.writers {
                let request = produce_request(&self.topic, number as i32 % self.partitions, &records)?;
                let (reader, writer) = socket.into_split();
                tasks.push(tokio::spawn(send(writer, request, until)));
                tasks.push(tokio::spawn(take(reader, until)));
            } else {
                tasks.push(tokio::spawn(sip(socket, fetch.clone(), until)));
            }
        }
        let mut all = Seen::default();
        for task in tasks {
            all.add(task.await?);
        }
        Ok(json!({
            "seconds": began.elapsed().as_secs_f64(), "sent": all.sent, "answered": all.answered,
            "throttled": all.throttled, "errors": all.errors,
        }))
    }

    fn fetch_request(&self) -> FetchRequest {
        FetchRequest {
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: FETCH_BYTES,
            topics: vec![FetchTopic {
                topic: self.read_topic.clone(),
                partitions: vec![FetchPartition {
                    partition_max_bytes: FETCH_BYTES,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        }
    }
}

/// Writes requests as fast as the socket takes them, whatever is answered.
async fn send(mut socket: OwnedWriteHalf, request: Bytes, until: tokio::time::Instant) -> Seen {
    let mut seen = Seen::default();
    // In the middle of a request as it may be; whoever reads the answers says if the connection has ended before its time.
    while let Ok(Ok(())) = timeout_at(until, socket.write_all(&request)).await {
        seen.sent += 1;
    }
    seen
}

/// Reads answers to Produce as they come.
async fn take(mut socket: OwnedReadHalf, until: tokio::time::Instant) -> Seen {
    let mut seen = Seen::default();
    loop {
        let Ok(answer) = timeout_at(until, whole_answer(&mut socket)).await else {
            return seen;
        };
        let Ok((_, response)) = answer.and_then(|bytes| Ok(frame::read_response::<ProduceRequest>(bytes, PRODUCE_VERSION)?)) else {
            seen.ended_early();
            return seen;
        };
        seen.answered += 1;
        seen.throttled += u64::from(response.throttle_time_ms > 0);
        for partition in response.responses.iter().flat_map(|topic| &topic.partition_responses) {
            seen.error(partition.error_code);
        }
    }
}

/// Asks for many answers at once, and takes them in small sips.
async fn sip(mut socket: TcpStream, request: Bytes, until: tokio::time::Instant) -> Seen {
    const IN_FLIGHT: usize = 16;
    let mut seen = Seen::default();
    let conversation = async {
        for _ in 0..IN_FLIGHT {
            socket.write_all(&request).await?;
            seen.sent += 1;
        }
        loop {
            let answer = sipped_answer(&mut socket).await?;
            let (_, response) = frame::read_response::<FetchRequest>(answer, FETCH_VERSION)?;
            seen.answered += 1;
            seen.throttled += u64::from(response.throttle_time_ms > 0);
            seen.error(response.error_code);
            for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
                seen.error(partition.error_code);
            }
            socket.write_all(&request).await?;
            seen.sent += 1;
        }
    };
    let ended: Result<Result<()>, _> = timeout_at(until, conversation).await;
    if ended.is_ok() {
        seen.ended_early();
    }
    seen
}

async fn whole_answer(socket: &mut OwnedReadHalf) -> Result<Bytes> {
    let length = socket.read_u32().await? as usize;
    let mut answer = vec![0; length];
    socket.read_exact(&mut answer).await.context("half an answer")?;
    Ok(answer.into())
}

async fn sipped_answer(socket: &mut TcpStream) -> Result<Bytes> {
    let length = socket.read_u32().await? as usize;
    let mut answer = vec![0; length];
    for sip in answer.chunks_mut(SIP_BYTES) {
        socket.read_exact(sip).await?;
        tokio::time::sleep(REST).await;
    }
    Ok(answer.into())
}
