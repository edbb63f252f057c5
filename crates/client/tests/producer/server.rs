//! A server of one topic with one partition. It checks sequence numbers, and fails the requests that its script names.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dohle_protocol::batch::{RecordBatch, increment_sequence};
use dohle_protocol::frame;
use dohle_protocol::header::RequestHeader;
use dohle_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use dohle_protocol::messages::init_producer_id::InitProducerIdResponse;
use dohle_protocol::messages::metadata::{MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use dohle_protocol::messages::produce::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use dohle_protocol::record::DecodeLimits;
use dohle_protocol::wire::Decoder;
use dohle_protocol::{ApiKey, ErrorCode, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is done with a Produce request instead of answering it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Refuse(ErrorCode),
    /// Another node leads, which is this server as well.
    Redirect,
    HangUp,
    AppendAndHangUp,
}

pub(crate) struct Server {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: HashMap<usize, Answer>,
    requests: AtomicUsize,
    log: watch::Sender<Log>,
}

#[derive(Default)]
struct Log {
    values: Vec<String>,
    epoch: i16,
    next_sequence: i32,
    /// First sequence and offset of each batch of the epoch.
    batches: Vec<(i32, i64)>,
}

impl Server {
    /// `script`: the number of a Produce request, counted from 0, and what becomes of it.
    pub(crate) async fn start(script: Vec<(usize, Answer)>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = watch::Sender::new(Log::default());
        let shared = Arc::new(Shared {
            script: script.into_iter().collect(),
            requests: AtomicUsize::new(0),
            log,
        });
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, address.port(), serving.clone()));
            }
        });
        Server {
            address: address.to_string(),
            shared,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.shared.log.borrow().values.clone()
    }

    pub(crate) fn last_epoch(&self) -> i16 {
        self.shared.log.borrow().epoch
    }

    pub(crate) async fn wait_for(&self, records: usize) {
        self.shared
            .log
            .subscribe()
            .wait_for(|log| log.values.len() >= records)
            .await
            .unwrap();
    }
}

async fn serve(mut stream: TcpStream, port: u16, shared: Arc<Shared>) {
    while let Ok(length) = stream.read_i32().await {
        let mut bytes = vec![0; length as usize];
        if stream.read_exact(&mut bytes).await.is_err() {
            return;
        }
        let mut decoder = Decoder::new(Bytes::from(bytes));
        let (api, header) = RequestHeader::read(&mut decoder).unwrap();
        let (version, id) = (header.request_api_version, header.correlation_id);
        let answer = match api {
            ApiKey::ApiVersions => frame::response(api, version, id, &versions()),
            ApiKey::Metadata => frame::response(api, version, id, &metadata(port)),
            ApiKey::InitProducerId => frame::response(
                api,
                version,
                id,
                &InitProducerIdResponse {
                    producer_id: 7,
                    ..Default::default()
                },
            ),
            ApiKey::Produce => {
                let request = ProduceRequest::decode(&mut decoder, version).unwrap();
                match produce(&request, &shared, port) {
                    None => return,
                    Some(_) if request.acks == 0 => continue,
                    Some(answer) => frame::response(api, version, id, &answer),
                }
            }
            other => panic!("{other} was not expected"),
        };
        if stream.write_all(&answer.unwrap().to_bytes()).await.is_err() {
            return;
        }
    }
}

/// Old versions on purpose: topics are named by name.
fn versions() -> ApiVersionsResponse {
    let range = |(api, max_version): (ApiKey, i16)| ApiVersion {
        api_key: api.code(),
        min_version: 0,
        max_version,
        ..Default::default()
    };
    let ranges = [
        (ApiKey::ApiVersions, 5),
        (ApiKey::Metadata, 9),
        (ApiKey::InitProducerId, 4),
        (ApiKey::Produce, 10),
    ];
    ApiVersionsResponse {
        api_keys: ranges.map(range).to_vec(),
        ..Default::default()
    }
}

fn metadata(port: u16) -> MetadataResponse {
    let broker = MetadataResponseBroker {
        node_id: 1,
        host: "127.0.0.1".into(),
        port: i32::from(port),
        ..Default::default()
    };
    let partition = MetadataResponsePartition {
        leader_id: 1,
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some("t".into()),
        partitions: vec![partition],
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![broker],
        topics: vec![topic],
        ..Default::default()
    }
}

/// `None`: hang up.
fn produce(request: &ProduceRequest, shared: &Shared, port: u16) -> Option<ProduceResponse> {
    let number = shared.requests.fetch_add(1, Ordering::SeqCst);
    let records = request.topic_data[0].partition_data[0].records.clone().unwrap();
    let outcome = match shared.script.get(&number) {
        Some(Answer::Refuse(error)) => Err(*error),
        Some(Answer::Redirect) => return Some(redirect(port)),
        Some(Answer::HangUp) => return None,
        Some(Answer::AppendAndHangUp) => {
            let _ = append(&records, shared);
            return None;
        }
        None => append(&records, shared),
    };
    let (error, base_offset) = outcome.map_or_else(|error| (error, -1), |offset| (ErrorCode::None, offset));
    Some(response(PartitionProduceResponse {
        error_code: error.code(),
        base_offset,
        ..Default::default()
    }))
}

fn redirect(port: u16) -> ProduceResponse {
    let answer = response(PartitionProduceResponse {
        error_code: ErrorCode::NotLeaderOrFollower.code(),
        current_leader: LeaderIdAndEpoch {
            leader_id: 2,
            leader_epoch: 1,
            ..Default::default()
        },
        ..Default::default()
    });
    let node = NodeEndpoint {
        node_id: 2,
        host: "127.0.0.1".into(),
        port: i32::from(port),
        ..Default::default()
    };
    ProduceResponse {
        node_endpoints: vec![node],
        ..answer
    }
}

fn response(partition: PartitionProduceResponse) -> ProduceResponse {
    let topic = TopicProduceResponse {
        name: "t".into(),
        partition_responses: vec![partition],
        ..Default::default()
    };
    ProduceResponse {
        responses: vec![topic],
        ..Default::default()
    }
}

/// Takes a batch that continues the sequence, or begins a new epoch with 0; answers a repeated one with its offset.
fn append(records: &Bytes, shared: &Shared) -> Result<i64, ErrorCode> {
    let batch = RecordBatch::parse(records).unwrap();
    let (sequence, epoch) = (batch.header.base_sequence, batch.header.producer_epoch.0);
    let values = batch
        .records(DecodeLimits {
            decompressed_bytes_max: 1 << 20,
        })
        .unwrap()
        .map(|record| record.unwrap().value.unwrap());
    let values: Vec<String> = values.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect();
    let mut outcome = Ok(0);
    shared.log.send_modify(|log| {
        if epoch > log.epoch {
            *log = Log {
                values: std::mem::take(&mut log.values),
                epoch,
                ..Log::default()
            };
        }
        let numbered = batch.header.has_producer_id();
        if let Some(&(_, offset)) = log.batches.iter().find(|(first, _)| numbered && *first == sequence) {
            outcome = Ok(offset);
        } else if numbered && (epoch < log.epoch || sequence != log.next_sequence) {
            outcome = Err(ErrorCode::OutOfOrderSequenceNumber);
        } else {
            let offset = log.values.len() as i64;
            log.next_sequence = increment_sequence(sequence, values.len() as i32);
            log.batches.push((sequence, offset));
            log.values.extend(values);
            outcome = Ok(offset);
        }
    });
    outcome
}
