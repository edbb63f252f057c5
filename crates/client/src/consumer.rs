//! The consumer: reads partitions in order, ahead of the application; those that it was given, or its share of what its group subscribes to.
//!
//! `poll` does the reading: it keeps one fetch per node in flight ([`fetching`]), whose answer arrives while the application works on the
//! last one. What an answer holds is decoded batch by batch in [`fetched`]; what to ask for next is told by [`fetch_session`]. A member of
//! a group has a task beside that, in [`group`]; partitions are taken and given up in `poll` ([`rebalancing`]), where [`assignor`] has
//! decided so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::batch::{BatchError, TimestampType};
use dohle_protocol::record::{Header, RecordError};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cluster_metadata::TopicPartition;
use crate::config::ConsumerConfig;
use crate::error::ClientError;

mod assignor;
mod fetch_session;
mod fetched;
mod fetching;
mod group;
mod listener;
mod offsets;
mod positions;
mod progress;
mod rebalancing;

pub use assignor::Assignor;
pub(crate) use assignor::by_topic;
pub use group::PendingCommit;
pub use listener::RebalanceListener;
pub use offsets::{OffsetAndMetadata, Offsets};

use fetched::Fetched;
use fetching::{Answer, NodeFetch};
use group::Group;
use listener::Indifferent;
use positions::Lookup;
use progress::Progress;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    Earliest,
    Latest,
    Offset(i64),
    /// The first record at or after this time; the end if there is none.
    Timestamp(i64),
    /// Where the group has got to; if it has committed nothing, as `auto.offset.reset` says.
    Committed,
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
    #[error("Nothing is committed for partition {partition}, and auto.offset.reset is none")]
    NoOffset { partition: TopicPartition },
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
    #[error("Partition {partition} is not assigned to this consumer")]
    NotAssigned { partition: TopicPartition },
    #[error("To subscribe to topics or to commit offsets, a group.id must be configured")]
    NoGroup,
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

/// Reads from the partitions that it was given, or that its group gives it.
pub struct Consumer {
    cluster: Arc<Cluster>,
    config: ConsumerConfig,
    group: Option<Group>,
    listener: Box<dyn RebalanceListener>,
    partitions: BTreeMap<TopicPartition, Progress>,
    lookups: FuturesUnordered<BoxFuture<'static, Lookup>>,
    next_lookup: u64,
    sessions: BTreeMap<i32, NodeFetch>,
    in_flight: FuturesUnordered<BoxFuture<'static, Answer>>,
    fetched: VecDeque<Fetched>,
    refresh_failures: u32,
    refresh_not_before: Instant,
}

impl Consumer {
    pub async fn connect(config: ConsumerConfig) -> Result<Consumer, ClientError> {
        let cluster = Cluster::connect(config.client.clone()).await?;
        Ok(Consumer::new(cluster, config))
    }

    /// Must be called within a tokio runtime.
    pub fn new(cluster: Arc<Cluster>, config: ConsumerConfig) -> Consumer {
        Consumer {
            group: config.group.clone().map(|group| Group::new(cluster.clone(), group)),
            cluster,
            config,
            listener: Box::new(Indifferent),
            partitions: BTreeMap::new(),
            lookups: FuturesUnordered::new(),
            next_lookup: 0,
            sessions: BTreeMap::new(),
            in_flight: FuturesUnordered::new(),
            fetched: VecDeque::new(),
            refresh_failures: 0,
            refresh_not_before: Instant::now(),
        }
    }

    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Who is told when a rebalance takes or brings partitions.
    pub fn set_listener(&mut self, listener: impl RebalanceListener + 'static) {
        self.listener = Box::new(listener);
    }

    /// Replaces the assignment; what was fetched for the old one is dropped. For consumers that have not subscribed.
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = (TopicPartition, StartAt)>) {
        self.partitions = partitions.into_iter().map(|(tp, start)| (tp, Progress::new(start))).collect();
        self.sessions.clear();
        self.in_flight.clear();
        self.lookups.clear();
        self.fetched.clear();
    }

    /// The partitions that are read now.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// Goes on from there, whatever has been read or committed.
    pub fn seek(&mut self, partition: &TopicPartition, start: StartAt) -> Result<(), ConsumeError> {
        self.progress_mut(partition)?.restart(start);
        self.fetched.retain(|fetched| fetched.partition() != partition);
        Ok(())
    }

    /// Reads nothing of these partitions until they are resumed. They stay assigned.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        partitions.iter().try_for_each(|partition| {
            self.progress_mut(partition)?.paused = true;
            Ok(())
        })
    }

    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        partitions.iter().try_for_each(|partition| {
            self.progress_mut(partition)?.paused = false;
            Ok(())
        })
    }

    pub fn paused(&self) -> Vec<TopicPartition> {
        let paused = self.partitions.iter().filter(|(_, progress)| progress.paused);
        paused.map(|(tp, _)| tp.clone()).collect()
    }

    /// The offset of the next record that `poll` will return; not known before the first `poll` that found out.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.partitions.get(partition)?.position
    }

    /// What the last fetch of a partition told about its ends.
    pub fn ends(&self, partition: &TopicPartition) -> Option<PartitionEnds> {
        self.partitions.get(partition)?.ends
    }

    /// The next records, at most `max.poll.records`, in order within each partition; none if there are none within `wait_max`.
    ///
    /// A batch that cannot be read is an error each time, until a seek behind it, or a pause of its partition.
    ///
    /// Records count as processed when `poll` is called again: only then their offsets may be committed without being told to. May be
    /// cancelled; no record is lost by that.
    pub async fn poll(&mut self, wait_max: Duration) -> Result<Vec<ConsumerRecord>, ConsumeError> {
        let deadline = Instant::now()
            .checked_add(wait_max)
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400 * 365));
        let _polling = self.begin_poll();
        loop {
            self.follow_group()?;
            self.auto_commit();
            self.start_lookups();
            self.start_fetches().await?;
            if !self.is_giving_up() {
                let records = self.take_records()?;
                if !records.is_empty() {
                    return Ok(records);
                }
            }
            // Partitions that wait for their back-off need a look even if no answer comes.
            let retry = self.partitions.values().filter_map(|progress| progress.not_before).min();
            let wake = [retry, self.auto_commit_at()].into_iter().flatten().fold(deadline, Instant::min);
            tokio::select! {
                Some(answer) = self.in_flight.next() => self.take_answer(answer).await?,
                Some(lookup) = self.lookups.next() => self.take_lookup(lookup)?,
                () = group_changed(&mut self.group) => {}
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

    fn progress_mut(&mut self, partition: &TopicPartition) -> Result<&mut Progress, ConsumeError> {
        self.partitions.get_mut(partition).ok_or_else(|| ConsumeError::NotAssigned {
            partition: partition.clone(),
        })
    }
}

async fn group_changed(group: &mut Option<Group>) {
    match group {
        Some(group) => group.changed().await,
        None => std::future::pending().await,
    }
}
