//! The consumer: reads assigned partitions from given positions, in order, ahead of the application.
//!
//! It has no task of its own: `poll` keeps one fetch per node in flight, whose answer arrives while the application works on the
//! last one. What an answer holds is decoded batch by batch in [`fetched`]; what to ask for next is told by [`fetch_session`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::batch::{BatchError, TimestampType};
use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::fetch::{FetchResponse, PartitionData};
use dohle_protocol::record::{Header, RecordError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::admin::Admin;
use crate::admin::offsets::at;
use crate::cluster::{Cluster, Topics};
use crate::cluster_metadata::{Leader, TopicPartition};
use crate::config::{ConsumerConfig, OffsetReset};
use crate::error::ClientError;
use crate::limits::FETCHED_PER_PARTITION_MAX;

mod fetch_session;
mod fetched;

use fetch_session::{FetchSession, Wanted};
use fetched::Fetched;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    Earliest,
    Latest,
    Offset(i64),
    /// The first record at or after this time; the end if there is none.
    Timestamp(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerRecord {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub timestamp_ms: i64,
    pub timestamp_type: TimestampType,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    #[error("Offset {offset} of partition {partition} is out of range, and auto.offset.reset is none")]
    OutOfRange { partition: TopicPartition, offset: i64 },
    #[error("{partition} at offset {offset}: {reason}")]
    BadBatch {
        partition: TopicPartition,
        offset: i64,
        reason: BatchError,
    },
    #[error("{partition} at offset {offset}: {reason}")]
    BadRecord {
        partition: TopicPartition,
        offset: i64,
        reason: RecordError,
    },
    #[error("{partition}: {reason}")]
    Partition { partition: TopicPartition, reason: ClientError },
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What is known about the ends of a partition since its last fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionEnds {
    pub log_start: i64,
    pub high_watermark: i64,
    pub last_stable: i64,
}

/// Reads from the partitions that it was given.
pub struct Consumer {
    cluster: Arc<Cluster>,
    config: ConsumerConfig,
    partitions: BTreeMap<TopicPartition, Progress>,
    sessions: BTreeMap<i32, NodeFetch>,
    in_flight: FuturesUnordered<futures_util::future::BoxFuture<'static, Answer>>,
    fetched: VecDeque<Fetched>,
    refresh_failures: u32,
}

struct Progress {
    start: StartAt,
    /// Next offset to ask for; `None` until the start is looked up.
    next_fetch: Option<i64>,
    /// Answers not yet consumed.
    fetched: usize,
    not_before: Option<Instant>,
    failures: u32,
    ends: Option<PartitionEnds>,
}

#[derive(Default)]
struct NodeFetch {
    session: FetchSession,
    in_flight: bool,
}

struct Answer {
    node: i32,
    response: Result<FetchResponse, ClientError>,
}

impl Consumer {
    pub async fn connect(config: ConsumerConfig) -> Result<Consumer, ClientError> {
        let cluster = Cluster::connect(config.client.clone()).await?;
        Ok(Consumer::new(cluster, config))
    }

    pub fn new(cluster: Arc<Cluster>, config: ConsumerConfig) -> Consumer {
        Consumer {
            cluster,
            config,
            partitions: BTreeMap::new(),
            sessions: BTreeMap::new(),
            in_flight: FuturesUnordered::new(),
            fetched: VecDeque::new(),
            refresh_failures: 0,
        }
    }

    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Replaces the assignment; what was fetched for the old one is dropped.
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = (TopicPartition, StartAt)>) {
        let progress = |start| Progress {
            start,
            next_fetch: None,
            fetched: 0,
            not_before: None,
            failures: 0,
            ends: None,
        };
        self.partitions = partitions.into_iter().map(|(tp, start)| (tp, progress(start))).collect();
        self.sessions.clear();
        self.in_flight.clear();
        self.fetched.clear();
    }

    /// What the last fetch of a partition told about its ends.
    pub fn ends(&self, partition: &TopicPartition) -> Option<PartitionEnds> {
        self.partitions.get(partition)?.ends
    }

    /// The next records, at most `max.poll.records`, in order within each partition; none if there are none within `wait_max`.
    pub async fn poll(&mut self, wait_max: Duration) -> Result<Vec<ConsumerRecord>, ConsumeError> {
        let deadline = Instant::now()
            .checked_add(wait_max)
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400 * 365));
        loop {
            self.look_up_positions().await?;
            self.start_fetches().await?;
            let records = self.take_records()?;
            if !records.is_empty() {
                return Ok(records);
            }
            // Positions that wait for their back-off need a look even if no answer comes.
            let retry = self.partitions.values().filter_map(|progress| progress.not_before).min();
            let wake = retry.map_or(deadline, |retry| deadline.min(retry));
            tokio::select! {
                Some(answer) = self.in_flight.next() => self.take_answer(answer).await?,
                () = tokio::time::sleep_until(wake) => {
                    self.clear_passed_back_offs();
                    if Instant::now() >= deadline {
                        return Ok(Vec::new());
                    }
                }
            }
        }
    }

    fn clear_passed_back_offs(&mut self) {
        let now = Instant::now();
        for progress in self.partitions.values_mut() {
            progress.not_before = progress.not_before.filter(|not_before| *not_before > now);
        }
    }

    async fn look_up_positions(&mut self) -> Result<(), ConsumeError> {
        let mut wanted = BTreeMap::new();
        for (tp, progress) in self.partitions.iter_mut().filter(|(_, progress)| progress.next_fetch.is_none()) {
            let timestamp = match progress.start {
                StartAt::Offset(offset) => {
                    progress.next_fetch = Some(offset);
                    continue;
                }
                StartAt::Earliest => at::EARLIEST,
                StartAt::Latest => at::LATEST,
                StartAt::Timestamp(timestamp_ms) => timestamp_ms,
            };
            wanted.insert(tp.clone(), timestamp);
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let admin = Admin::new(self.cluster.clone());
        let found = admin.list_offsets(&wanted, self.config.isolation).await?;
        let mut beyond_the_end = false;
        for (partition, answer) in found {
            let offset = answer
                .map_err(|reason| ConsumeError::Partition {
                    partition: partition.clone(),
                    reason,
                })?
                .offset;
            let Some(progress) = self.partitions.get_mut(&partition) else {
                continue;
            };
            match (offset, progress.start) {
                (-1, StartAt::Timestamp(_)) => {
                    progress.start = StartAt::Latest;
                    beyond_the_end = true;
                }
                _ => progress.next_fetch = Some(offset),
            }
        }
        if beyond_the_end {
            Box::pin(self.look_up_positions()).await
        } else {
            Ok(())
        }
    }

    /// Starts a fetch to every node that leads a partition with too little read ahead.
    async fn start_fetches(&mut self) -> Result<(), ConsumeError> {
        let metadata = self.cluster.metadata();
        let mut by_node: BTreeMap<i32, BTreeMap<TopicPartition, Wanted>> = BTreeMap::new();
        let mut leaderless = false;
        for (tp, progress) in &self.partitions {
            let (Some(offset), None) = (progress.next_fetch, progress.not_before) else {
                continue;
            };
            let Some(Leader { node, epoch, topic_id }) = metadata.leader(tp) else {
                leaderless = true;
                continue;
            };
            if progress.fetched < FETCHED_PER_PARTITION_MAX {
                let wanted = Wanted {
                    topic_id,
                    leader_epoch: epoch,
                    offset,
                    bytes_max: self.config.partition_bytes_max,
                };
                by_node.entry(node).or_default().insert(tp.clone(), wanted);
            }
        }
        if leaderless {
            self.refresh().await?;
        }
        for (node, wanted) in by_node {
            if !self.sessions.get(&node).is_some_and(|fetch| fetch.in_flight) {
                self.start_fetch(node, wanted);
            }
        }
        Ok(())
    }

    fn start_fetch(&mut self, node: i32, wanted: BTreeMap<TopicPartition, Wanted>) {
        let fetch = self.sessions.entry(node).or_default();
        fetch.in_flight = true;
        let has_ids = wanted.values().all(|wanted| !wanted.topic_id.is_nil());
        let request = fetch.session.next_request(wanted, &self.config);
        let cluster = self.cluster.clone();
        let timeout = self.config.client.request_timeout + self.config.fetch_wait_max;
        self.in_flight.push(Box::pin(async move {
            let fetched = async {
                let connection = cluster.node(node).await?;
                let newest = connection.version_of(dohle_protocol::ApiKey::Fetch)?;
                let version = if has_ids {
                    newest
                } else {
                    newest.min(fetch_session::TOPIC_IDS_SINCE - 1)
                };
                connection.start(&request, version, timeout).await?.wait().await
            };
            Answer {
                node,
                response: fetched.await,
            }
        }));
    }

    async fn take_answer(&mut self, answer: Answer) -> Result<(), ConsumeError> {
        let Some(fetch) = self.sessions.get_mut(&answer.node) else {
            return Ok(());
        };
        fetch.in_flight = false;
        let response = match answer.response {
            Ok(response) => response,
            Err(error) => {
                fetch.session.lose();
                return self.back_off_node(answer.node, error).await;
            }
        };
        if let Err(error) = fetch.session.accept(&response) {
            return if error.is_retriable() { Ok(()) } else { Err(error.into()) };
        }
        self.refresh_failures = 0;
        let metadata = self.cluster.metadata();
        let mut stale = false;
        for topic in response.responses {
            let name = if topic.topic_id.is_nil() {
                Some(Arc::from(topic.topic))
            } else {
                metadata.topic_name(&topic.topic_id)
            };
            let Some(name) = name else {
                stale = true;
                continue;
            };
            for data in topic.partitions {
                let tp = TopicPartition {
                    topic: name.clone(),
                    partition: data.partition_index,
                };
                stale |= self.take_partition(tp, data)?;
            }
        }
        if stale { self.refresh().await } else { Ok(()) }
    }

    /// Keeps what came for one partition; whether the metadata looks out of date.
    fn take_partition(&mut self, tp: TopicPartition, data: PartitionData) -> Result<bool, ConsumeError> {
        let Some(progress) = self.partitions.get_mut(&tp) else {
            return Ok(false);
        };
        let Some(asked) = progress.next_fetch else { return Ok(false) };
        match ErrorCode::from_code(data.error_code) {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => {
                progress.start = match self.config.offset_reset {
                    OffsetReset::Earliest => StartAt::Earliest,
                    OffsetReset::Latest => StartAt::Latest,
                    OffsetReset::Fail => {
                        return Err(ConsumeError::OutOfRange {
                            partition: tp,
                            offset: asked,
                        });
                    }
                };
                progress.next_fetch = None;
                return Ok(false);
            }
            code if code.is_retriable() || matches!(code, ErrorCode::FencedLeaderEpoch | ErrorCode::UnknownServerError) => {
                progress.failures += 1;
                progress.not_before = Some(Instant::now() + self.config.client.backoff().after(progress.failures));
                return Ok(true);
            }
            code => {
                return Err(ConsumeError::Partition {
                    partition: tp,
                    reason: ClientError::refused(code.code(), None),
                });
            }
        }
        progress.failures = 0;
        progress.ends = Some(PartitionEnds {
            log_start: data.log_start_offset,
            high_watermark: data.high_watermark,
            last_stable: data.last_stable_offset,
        });
        let fetched = Fetched::new(tp.clone(), asked, data, &self.config);
        let next = fetched.next_fetch().map_err(|reason| ConsumeError::BadBatch {
            partition: tp,
            offset: asked,
            reason,
        })?;
        if next > asked {
            progress.next_fetch = Some(next);
            progress.fetched += 1;
            self.fetched.push_back(fetched);
        }
        Ok(false)
    }

    fn take_records(&mut self) -> Result<Vec<ConsumerRecord>, ConsumeError> {
        let mut records = Vec::new();
        while records.len() < self.config.poll_records_max {
            let Some(fetched) = self.fetched.front_mut() else { break };
            if fetched.take(self.config.poll_records_max - records.len(), &mut records)? {
                let done = self.fetched.pop_front().expect("just seen");
                if let Some(progress) = self.partitions.get_mut(done.partition()) {
                    progress.fetched -= 1;
                }
            }
        }
        Ok(records)
    }

    async fn back_off_node(&mut self, node: i32, error: ClientError) -> Result<(), ConsumeError> {
        if !error.is_retriable() {
            return Err(error.into());
        }
        tracing::debug!("node {node}: {error}");
        self.refresh().await
    }

    /// Asks for the leaders again, after a wait that grows while nobody answers.
    async fn refresh(&mut self) -> Result<(), ConsumeError> {
        let mut names: Vec<Arc<str>> = self.partitions.keys().map(|tp| tp.topic.clone()).collect();
        names.dedup();
        self.refresh_failures += 1;
        tokio::time::sleep(self.config.client.backoff().after(self.refresh_failures)).await;
        match self
            .cluster
            .refresh(Topics::Named {
                names: &names,
                create_missing: false,
            })
            .await
        {
            Err(error) if !error.is_retriable() => Err(error.into()),
            _ => Ok(()),
        }
    }
}
