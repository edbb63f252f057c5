//! One step of the path of a byte, done often enough to count its instructions, which are the same on every machine and under every load.
//!
//! `dohle-instructions STEP TIMES` does the step so many times. `cargo xtask instructions` runs it under `valgrind --tool=callgrind`, which counts
//! what happens inside of [`measured`], and compares with the thresholds in `thresholds.txt` beside this crate.

use anyhow::{Result, bail};
use bytes::Bytes;
use dohle_protocol::batch::TimestampType;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use dohle_protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use dohle_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use dohle_protocol::record_walk::RecordWalk;
use dohle_protocol::wire::Decoder;
use dohle_protocol::{ApiKey, Message, Request, frame};
use dohle_storage::{AppendContext, AppendOrigin, LogConfig, LogIdentity, OpenState, PartitionLog, ReadRequest, RealDisk};
use std::hint::black_box;
use std::sync::Arc;

const NOW_MS: i64 = 1_700_000_000_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [step, times] = arguments.as_slice() else {
        bail!("usage: dohle-instructions STEP TIMES");
    };
    let times = times.parse()?;
    match step.as_str() {
        "produce-decode" => decode_produce(times),
        "walk-1000-records" => walk(times, |_| 100),
        "walk-1000-uneven-records" => walk(times, |number| 75 + number * 37 % 50),
        "append-1-record" => append(times, &batch(1, 100))?,
        "append-1000-records" => append(times, &batch(1000, 100))?,
        "read-on" => read_on(times)?,
        "fetch-encode" => encode_fetch(times),
        other => bail!("no step is named {other}"),
    }
    Ok(())
}

/// Only what happens in here is counted.
#[inline(never)]
fn measured<T>(step: impl FnOnce() -> T) -> T {
    black_box(step())
}

fn batch(records: usize, size: usize) -> Bytes {
    batch_of(records, |_| size)
}

fn batch_of(records: usize, size: impl Fn(usize) -> usize) -> Bytes {
    let mut builder = RecordBatchBuilder::new();
    for number in 0..records {
        let value = vec![b'x'; size(number)];
        builder.append(NOW_MS + number as i64 / 10, None, Some(&value), &[]);
    }
    builder.build()
}

fn decode_produce(times: usize) {
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: "topic".to_owned(),
            partition_data: vec![PartitionProduceData {
                records: Some(batch(1, 100)),
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let frame = frame::request(9, 1, Some("client"), &request)
        .expect("a request can be written")
        .to_bytes();
    for _ in 0..times {
        let bytes = frame.slice(frame::LENGTH_BYTES..);
        measured(|| {
            let mut decoder = Decoder::new(bytes);
            let (key, header) = dohle_protocol::header::RequestHeader::read(&mut decoder).expect("it has a header");
            assert_eq!(key, ProduceRequest::KEY);
            ProduceRequest::decode(&mut decoder, header.request_api_version).expect("it is whole")
        });
    }
}

fn walk(times: usize, size: impl Fn(usize) -> usize) {
    let batch = batch_of(1000, size);
    let payload = batch.slice(dohle_protocol::batch::HEADER_BYTES..);
    for _ in 0..times {
        measured(|| RecordWalk::over(black_box(&payload), 1000)).expect("the records are well formed");
    }
}

fn log(folder: &tempfile::TempDir) -> Result<PartitionLog> {
    let identity = LogIdentity {
        topic: "topic".into(),
        partition: PartitionIndex(0),
        topic_id: TopicId(uuid::Uuid::nil()),
    };
    let config = LogConfig {
        timestamp_type: TimestampType::CreateTime,
        ..LogConfig::default()
    };
    let directory = folder.path().join("topic-0");
    let log = PartitionLog::open(
        Arc::new(RealDisk::new()),
        directory,
        identity,
        config.into(),
        OpenState::default(),
        NOW_MS,
    )?;
    Ok(log)
}

const CONTEXT: AppendContext = AppendContext {
    leader_epoch: LeaderEpoch(0),
    now_ms: NOW_MS,
    origin: AppendOrigin::Client,
    zstd_allowed: true,
    turned_away: None,
};

fn append(times: usize, batch: &Bytes) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut log = log(&folder)?;
    for _ in 0..times {
        // Nobody else holds it, as if it came from a socket.
        let records = Bytes::from(batch.to_vec());
        measured(|| log.append_as_leader(records, CONTEXT))?;
    }
    Ok(())
}

/// Six batches of some 100 KB with one read, as a consumer does that lags behind.
fn read_on(times: usize) -> Result<()> {
    const BATCHES: usize = 6;
    let folder = tempfile::tempdir()?;
    let mut log = log(&folder)?;
    let batch = batch(100, 1000);
    for _ in 0..(times + 1) * BATCHES {
        log.append_as_leader(batch.clone(), CONTEXT)?;
    }
    let request = |offset| ReadRequest {
        offset,
        upper_bound: Offset(i64::MAX),
        max_bytes: BATCHES * batch.len(),
        min_one_batch: true,
    };
    let view = log.read_view();
    let mut offset = view.read(request(Offset(0)))?.next_offset;
    for _ in 0..times {
        let read = loop {
            match measured(|| view.read_on(request(offset))) {
                Some(read) => break read,
                // The kernel has taken it out of memory meanwhile.
                None => view.read(request(offset))?,
            };
        };
        assert_eq!(read.records.len(), BATCHES * batch.len());
        offset = read.next_offset;
    }
    Ok(())
}

fn encode_fetch(times: usize) {
    let response = FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "topic".to_owned(),
            partitions: vec![PartitionData {
                records: Some(batch(1000, 100)),
                ..PartitionData::default()
            }],
            ..FetchableTopicResponse::default()
        }],
        ..FetchResponse::default()
    };
    for _ in 0..times {
        measured(|| frame::response(ApiKey::Fetch, 12, 1, &response)).expect("a response can be written");
    }
}
